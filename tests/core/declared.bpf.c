/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Declarations of every kind, for bpf_metrics_test. Never loaded into a kernel.
 */
#include <limpet/datagram.bpf.h>
#include <limpet/probe.bpf.h>

LIMPET_BOUNDS(delay_bounds, "ns", "delay_buckets");

const volatile __u64 slow_ns LIMPET_TAG("config|slow") = 0;
const volatile __u32 delays_are_on LIMPET_TAG("config|delays") = 1;

LIMPET_PORTS(served_ports, "ports");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 8);
    __type(key, __u32);
    __type(value, char[32]);
} every_texts SEC(".maps") LIMPET_MAP_IF(delays_are_on);

struct every_key {
    LIMPET_LABEL(__u32, workload, "workload", "workload");
    LIMPET_LABEL(__u16, status, "status_code", "nonzero");
    LIMPET_LABEL(__u8, method, "method", "enum:_OTHER,GET,HEAD");
    LIMPET_LABEL(__u8, error, "error_type", "enum:,reset");
    LIMPET_LABEL_BYTES(16, peer, "peer_address", "ip");
    LIMPET_LABEL(__u32, reason, "reason", "text_of:every_texts");
};

struct every_row {
    LIMPET_HISTOGRAM(delay, delay_bounds, "every_delay_seconds", "ns", "How long it took.",
                     "if=delays_are_on;plus=others");
    LIMPET_COUNTER(sent, "every_sent_bytes_total", "bytes", "Bytes sent.", "without=error_type;with=role:client");
    LIMPET_COUNTER(received, "every_received_bytes_total", "bytes", "Bytes received.", "without=error_type");
    LIMPET_GAUGE(open, "every_open", "1", "Open now.",
                 "without=status_code;without=method;without=error_type;without=reason");
    __u64 untagged;
    LIMPET_COUNTER(served, "every_sent_bytes_total", "bytes", "Bytes sent.", "without=error_type;with=role:server");
    LIMPET_GAUGE(mean, "every_mean_seconds", "us", "Mean delay.", "per=untagged");
    LIMPET_COUNTER(resent, "every_sent_bytes_total", "bytes", "Bytes sent.",
                   "without=error_type;without=method;with=resent:yes;while=resent");
    struct limpet_histogram others;
};

LIMPET_SERIES(every, struct every_key, struct every_row, 64)

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec)
{
    struct every_key key = {};
    struct every_row *row = every_row(every_find(&key));

    if (row && delays_are_on)
        limpet_observe(&row->delay, delay_bounds, slow_ns);
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
