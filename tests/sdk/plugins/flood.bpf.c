/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * A flood of events, for the test of limits.agent_cpu: one for each system call of programs called "dd".
 *
 * Hooks   tp_btf/sys_enter.
 * Maps    a ring of 256 KiB.
 * Cost    a test's.
 * Kernel  5.15.
 */
#include <limpet/probe.bpf.h>

#include "flood_shared.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Else each is one that the agent has to read. */
const volatile __u32 is_sampled = 0;

LIMPET_RING(256 * 1024);
LIMPET_PROGRAM(0, on_call);

SEC("tp_btf/sys_enter")
int BPF_PROG(on_call, void *registers, long number)
{
    struct flood_event event = {.number = (__u64)number};
    char command[8] = {};

    LIMPET_BEGIN(0, 0);
    bpf_get_current_comm(&command, sizeof(command));
    if (command[0] != 'd' || command[1] != 'd' || command[2])
        return 0;
    if (is_sampled)
        limpet_emit_sampled(&event);
    else
        limpet_emit(&event);
    return 0;
}
