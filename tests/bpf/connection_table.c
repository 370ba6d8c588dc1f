/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The tap's connection table in user space: its own source, and of the kernel what it calls.
 */
#include "connection_table.bpf.h"

#include <string.h>
#include <unistd.h>

#include "connection_table.h"

static struct limpet_connection connections[LIMPET_CONNECTIONS];
static struct limpet_stats stats;
static __u64 jiffies;

void *bpf_map_lookup_elem(const void *map, const void *key)
{
    __u32 index = *(const __u32 *)key;

    if (map == &limpet_stats)
        return &stats;
    return map == &limpet_connections && index < LIMPET_CONNECTIONS ? &connections[index] : NULL;
}

__u32 bpf_get_smp_processor_id(void)
{
    return 0;
}

/* Called where the table waits for another CPU. */
__u64 bpf_ktime_get_ns(void)
{
    usleep(1);
    return 0;
}

__u64 bpf_jiffies64(void)
{
    return jiffies;
}

void clear_table(void)
{
    memset(connections, 0, sizeof(connections));
    memset(&stats, 0, sizeof(stats));
}

void let_a_second_pass(void)
{
    jiffies += 256;
}

struct limpet_connection *open_connection(__u64 cookie, __u32 alias)
{
    struct opening opening = {.cookie = cookie, .alias_plus_one = alias};

    return limpet_connection_at(connection_open(&opening) - 1);
}

struct limpet_connection *find_connection(__u64 cookie)
{
    __u32 slot = connection_set(cookie);

    return connection_find(connection_touch(slot, connection_age()), cookie, &slot);
}

void close_connection(__u64 cookie)
{
    struct limpet_connection *connection = limpet_connection_at(connection_recall(cookie) - 1);

    if (connection)
        connection_release(connection, cookie);
}

__u32 ways_of(__u64 cookie)
{
    __u32 ways = 0;

    for (__u32 i = connection_set(cookie); i < LIMPET_CONNECTIONS; i += CONNECTION_SETS)
        ways += (connections[i].head.cookie & ~LIMPET_COOKIE_MARKS) == cookie;
    return ways;
}

__u32 number_of(const struct limpet_connection *connection)
{
    return (__u32)(connection - connections);
}

__u64 displaced_at_work(void)
{
    return stats.values[LIMPET_STAT_EVICTED];
}
