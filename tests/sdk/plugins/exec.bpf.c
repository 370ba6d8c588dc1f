/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Counts the programs that are started, by name, with the time from fork to exec.
 *
 * Hook: tp_btf/sched_process_exec, after the new program is in place. Maps: one series table of 64 names (24 kB on 8
 * shards) and a ring of 64 KiB. Cost: a few hundred ns per exec. Oldest kernel: 5.5 (BTF tracepoints).
 */
#include <limpet/probe.bpf.h>

#include "exec_shared.h"

/* Flavour of the kernel's struct with the one member that is read here (kernel: include/linux/sched.h). */
struct task_struct___exec {
    __u64 start_time;
} __attribute__((preserve_access_index));

LIMPET_BOUNDS(delay_bounds, "ns", "buckets");

struct exec_key {
    LIMPET_LABEL_BYTES(16, command, "command", "text");
};

struct exec_row {
    struct limpet_histogram
        delay LIMPET_TAG("histogram|exec_fork_to_exec_seconds|ns|Time from fork to exec||delay_bounds");
    LIMPET_COUNTER(execs, "exec_programs_total", "1", "Programs started", "");
};

LIMPET_SERIES(exec, struct exec_key, struct exec_row, 64)
LIMPET_RING(64 * 1024);
LIMPET_PROGRAM(0, on_exec);

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task)
{
    const struct task_struct___exec *started = (const void *)task;
    struct exec_event event = {};
    struct exec_key key = {};
    struct exec_row *row;

    LIMPET_BEGIN(0, 0);
    event.tgid = bpf_get_current_pid_tgid() >> 32;
    event.fork_to_exec_ns = bpf_ktime_get_ns() - BPF_CORE_READ(started, start_time);
    bpf_get_current_comm(&key.command, sizeof(key.command));
    row = exec_row(exec_find(&key));
    if (!row)
        return 0;
    __sync_fetch_and_add(&row->execs, 1);
    limpet_observe(&row->delay, delay_bounds, event.fork_to_exec_ns);

    __builtin_memcpy(event.command, key.command, sizeof(event.command));
    limpet_emit(&event);
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
