/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The tap's connection table: which probe owns which TCP connection. Private to the core.
 *
 * Direct-mapped by hashed socket cookie (connection_hash.h), four ways; nearly every connection is found in the first, at the
 * price of one cache line. A slot stores the whole cookie; behind it stands the state of the parser that owns it.
 * A new connection takes a free way, else one without work, else the one used longest ago; what a displaced connection had in flight is
 * counted (LIMPET_STAT_EVICTED), and a displaced idle connection is simply opened anew by its next request.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "connection_hash.h"
#include "limpet/stats.bpf.h"
#include "limpet/stream.bpf.h"

_Static_assert(CONNECTION_SETS *CONNECTION_WAYS == LIMPET_CONNECTIONS, "the table has LIMPET_CONNECTIONS slots");
_Static_assert(sizeof(struct limpet_connection) == LIMPET_CONNECTION_BYTES &&
                   __builtin_offsetof(struct limpet_connection, last_used) == 64 &&
                   __builtin_offsetof(struct limpet_connection, done) == 68 &&
                   __builtin_offsetof(struct limpet_connection, lock) == 70,
               "four cache lines; the first is for reading; `done` and `lock` are one word");

/* Segments that parsers are shown of a connection before it is nobody's. Of one that is older than its slot they are shown
 * those alone that follow one of the other direction: it may be inside a long body, and a message begins where the talk
 * changes sides. Its verdict holds the direction of the last segment. */
#define TRIES_IF_FRESH 4
#define TRIES_IF_ADOPTED 200
#define VERDICT_ADOPTED 252 /* last received */
#define VERDICT_ADOPTED_EGRESS 253

/* True for a verdict that is a parser's number. */
static __always_inline int is_parser(__u32 verdict)
{
    return verdict - 1 < LIMPET_MAX_PARSERS - 1;
}

#define COOKIE_OPENING (1ULL << 62) /* another CPU is filling the slot */
#define OPENING_ROUNDS 1024

/* The last connection of each set that was found to be nobody's, by its cookie. Most of a host's segments are of such
 * connections: they cost this one look, at a table that is read alone and small enough to stay near. */
struct nobodys_connections {
    __u64 cookies[CONNECTION_SETS];
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct nobodys_connections);
} limpet_nobodys SEC(".maps"); /* cleared by the agent when a parser comes */

static __always_inline struct nobodys_connections *nobodys_connections(void)
{
    __u32 zero = 0;

    return bpf_map_lookup_elem(&limpet_nobodys, &zero);
}

/* The place of a set. The compiler knows that the mask changes nothing and leaves it out; Linux 6.1 wants to see it. */
static __always_inline __u64 *nobodys_cookie(struct nobodys_connections *nobodys, __u32 set)
{
    asm volatile("" : "+r"(set));
    return &nobodys->cookies[set & (CONNECTION_SETS - 1)];
}

static __always_inline int is_known_as_nobodys(__u64 cookie, __u32 set)
{
    struct nobodys_connections *nobodys = nobodys_connections();

    return nobodys && *nobodys_cookie(nobodys, set) == cookie;
}

static __always_inline void know_as_nobodys(__u64 cookie)
{
    struct nobodys_connections *nobodys = nobodys_connections();

    if (nobodys)
        *nobodys_cookie(nobodys, connection_set(cookie)) = cookie;
}

/* Jiffies in units of about a second at 250 Hz. */
static __always_inline __u16 connection_age(void)
{
    return (__u16)(bpf_jiffies64() >> 8);
}

/* Has the line fetched that every segment writes: the connection's other direction has had it last, nearly always on another
 * CPU. A load would hold up the program until it is there, a store does not. The line in front of it is only read, and near. */
static __always_inline void connection_touch(__u32 slot)
{
    struct limpet_connection *connection = limpet_connection_at(slot);

    if (connection)
        connection->last_used = connection_age();
}

/* The connection that holds `cookie`, and its slot's number; NULL when none does.
 * REQUIRES: *slot is connection_set(cookie). */
static __always_inline struct limpet_connection *connection_find(__u64 cookie, __u32 *slot)
{
    struct limpet_connection *connection = limpet_connection_at(*slot);

    if (__builtin_expect(connection && connection->head.cookie == cookie, 1))
        return connection;
#pragma unroll
    for (int way = 1; way < CONNECTION_WAYS; way++) {
        *slot += CONNECTION_SETS;
        connection = limpet_connection_at(*slot);
        if (connection && connection->head.cookie == cookie)
            return connection;
    }
    return NULL;
}

static __always_inline struct connection_claim claim_of(const struct limpet_connection *connection)
{
    return (struct connection_claim){connection->head.cookie, connection->last_used,
                                     connection->begun != connection->done};
}

/* Another CPU is opening the slot for `cookie`: waits for it, which takes it a fraction of a microsecond, unless an interrupt
 * or the hypervisor comes in between. The clock is read for the time that this takes. Not static: the verifier looks at it
 * once. */
__noinline int connection_is_open(struct limpet_connection_head *head, __u64 cookie)
{
    if (!head)
        return 0;
    for (__u32 i = 0; i < OPENING_ROUNDS; i++) {
        if (*(volatile __u64 *)&head->cookie == cookie)
            return 1;
        bpf_ktime_get_ns();
    }
    return 0;
}

static __always_inline void set_alias(struct limpet_connection_head *head, __u32 alias, __u32 workload)
{
    head->workload = (__u16)workload;
    head->alias_plus_one = (__u16)alias;
}

/* Gives `cookie` a slot, of a new generation and with a state of zeros; or, with an alias, of which `workload` is the
 * generation, one whose state is elsewhere. Both directions of a connection may come here at
 * once: the slot is reserved by an atomic exchange, filled, then shown; who comes second waits and gets the same slot. Returns
 * NULL when another connection took the way at the same moment (the caller's segment is then lost to parsers). */
static __always_inline struct limpet_connection *connection_open(__u64 cookie, __u32 workload, __u8 verdict, __u8 tries,
                                                                 __u32 alias, __u32 *slot)
{
    struct limpet_connection *chosen = NULL, *candidate;
    __u32 place = connection_set(cookie);
    __u64 old = 0, holder;

#pragma unroll
    for (int way = 0; way < CONNECTION_WAYS; way++, place += CONNECTION_SETS) {
        candidate = limpet_connection_at(place);
        if (!candidate)
            return NULL;
        holder = *(volatile __u64 *)&candidate->head.cookie;
        if (holder == cookie || holder == (cookie | COOKIE_OPENING)) {
            *slot = place;
            if (!connection_is_open(&candidate->head, cookie))
                return NULL;
            if (alias)
                set_alias(&candidate->head, alias, workload);
            return candidate;
        }
        if (!chosen || connection_goes_first(claim_of(candidate), claim_of(chosen))) {
            chosen = candidate;
            old = holder; /* as seen in this look: a later one may show the same connection, on another CPU */
            *slot = place;
        }
    }
    if (!chosen)
        return NULL;
    holder = __sync_val_compare_and_swap(&chosen->head.cookie, old, cookie | COOKIE_OPENING);
    if (holder != old)
        return (holder & ~COOKIE_OPENING) == cookie && connection_is_open(&chosen->head, cookie) ? chosen : NULL;
    if (old && chosen->begun != chosen->done)
        limpet_count(LIMPET_STAT_EVICTED);
    chosen->head.verdict = verdict;
    chosen->head.tries = tries;
    chosen->head.generation++;
    set_alias(&chosen->head, alias, workload);
    chosen->last_used = connection_age();
    limpet_clear_state(chosen);
    __sync_lock_test_and_set(&chosen->head.cookie, cookie);
    return chosen;
}
