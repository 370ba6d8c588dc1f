/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * A witness for the test of agent.cpus: how often each thread of each process called "limpet" was put on which CPU.
 *
 * Hooks   tp_btf/sched_switch.
 * Maps    512 rows of 8 bytes.
 * Cost    a test's.
 * Kernel  5.15.
 */
#include <limpet/probe.bpf.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct task_struct___switches {
    int pid;
    int tgid;
    struct task_struct___switches *group_leader;
    char comm[16];
} __attribute__((preserve_access_index));

struct switches_key {
    LIMPET_LABEL(__u32, process, "process", "uint");
    LIMPET_LABEL(__u32, thread, "thread", "uint");
    LIMPET_LABEL(__u32, cpu, "cpu", "uint");
};

struct switches_row {
    LIMPET_COUNTER(switches, "switches_total", "1", "Times that a thread was put on a CPU", "");
};

LIMPET_SERIES(switches, struct switches_key, struct switches_row, 512)
LIMPET_PROGRAM(0, on_switch);

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, _Bool is_preempted, struct task_struct *previous, struct task_struct *next)
{
    const struct task_struct___switches *task = (const void *)next;
    char command[8] = {};
    struct switches_key key = {};
    struct switches_row *row;

    LIMPET_BEGIN(0, 0);
    BPF_CORE_READ_STR_INTO(&command, task, group_leader, comm);
    if (__builtin_memcmp(command, "limpet", sizeof("limpet")))
        return 0;
    key.process = BPF_CORE_READ(task, tgid);
    key.thread = BPF_CORE_READ(task, pid);
    key.cpu = bpf_get_smp_processor_id();
    row = switches_row(switches_find(&key));
    if (row)
        __sync_fetch_and_add(&row->switches, 1);
    return 0;
}
