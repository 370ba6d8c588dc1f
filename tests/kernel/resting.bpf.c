/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Programs that rest at some level, for resting_programs_test.
 *
 * Hooks   cgroup/connect4; tp_btf/sched_process_exec.
 * Maps    none of its own.
 * Cost    a test's.
 * Kernel  5.15.
 */
#include <limpet/probe.bpf.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

__u64 execs;

LIMPET_RESTS_AT(on_exec, LIMPET_LEVEL_NO_SIZES);
LIMPET_RESTS_AT(on_connect, LIMPET_LEVEL_NO_DURATIONS);

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec)
{
    __sync_fetch_and_add(&execs, 1);
    return 0;
}

SEC("cgroup/connect4")
int on_connect(struct bpf_sock_addr *context)
{
    (void)context;
    return 1;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit)
{
    return 0;
}
