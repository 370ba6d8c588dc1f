/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * A series table that counts what it is told to, for shares_test.
 *
 * Hooks   none: the test runs it.
 * Maps    shared_*: 16 rows.
 * Cost    a test's.
 * Kernel  5.15.
 */
#include <limpet/probe.bpf.h>
#include <limpet/tick.bpf.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct shared_key {
    LIMPET_LABEL(__u32, kind, "kind", "uint");
    LIMPET_LABEL(__u16, workload, "workload", "workload");
    __u16 unused;
};

struct shared_row {
    LIMPET_COUNTER(events, "shared_events_total", "1", "What happened.", "");
};

LIMPET_SERIES(shared, struct shared_key, struct shared_row, 16)

__u64 kind;
__u64 workload;

SEC(LIMPET_TICK)
int on_event(struct __sk_buff *skb)
{
    struct shared_key key = {.kind = (__u32)kind, .workload = (__u16)workload};
    struct shared_row *row = shared_row(shared_find(&key));

    (void)skb;
    if (row)
        __sync_fetch_and_add(&row->events, 1);
    return 0;
}
