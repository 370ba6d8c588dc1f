/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * A probe that waits for connections that never come: looks at each new one, and leaves it to the next probe.
 *
 * Hooks   the tap's parsers of streams.
 * Cost    what an enabled probe without traffic of its own costs the host; the benchmark measures it.
 * Kernel  5.15.
 */
#include <limpet/probe.bpf.h>

#include <limpet/stream.bpf.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

LIMPET_PROGRAM(0, on_segment);

SEC(LIMPET_STREAM)
int on_segment(struct __sk_buff *skb)
{
    struct limpet_connection *connection = limpet_connection_at(limpet_segment_of(skb).slot);

    limpet_count(LIMPET_STAT_RUNS_0);
    if (connection)
        limpet_pass_on(skb, connection);
    return LIMPET_PASS;
}
