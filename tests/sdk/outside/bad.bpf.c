/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Does not compile: a warning is an error.
 */
#include <limpet/probe.bpf.h>

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork)
{
    int unused_by_anyone;

    return 0;
}
