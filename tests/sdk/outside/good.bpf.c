/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Counts forks. Hook: tp_btf/sched_process_fork. Maps: one series table of one row. Oldest kernel: 5.5.
 */
#include <limpet/probe.bpf.h>

struct fork_key {
    LIMPET_LABEL(__u32, cpu, "cpu", "uint");
};

struct fork_row {
    LIMPET_COUNTER(forks, "outside_forks_total", "1", "Processes and threads made", "");
};

LIMPET_SERIES(forks, struct fork_key, struct fork_row, 256)

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork)
{
    struct fork_key key = {.cpu = bpf_get_smp_processor_id()};
    struct fork_row *row = forks_row(forks_find(&key));

    if (row)
        __sync_fetch_and_add(&row->forks, 1);
    return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
