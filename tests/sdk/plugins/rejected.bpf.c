/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Hook: exec of a program. Map: one counter. It writes through a lookup's result without asking whether there was one,
 * which clang compiles and no kernel's verifier accepts.
 */
#include <limpet/probe.bpf.h>

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} rejected_count SEC(".maps");

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task)
{
    __u32 key = 0;
    __u64 *count = bpf_map_lookup_elem(&rejected_count, &key);

    *count += 1;
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
