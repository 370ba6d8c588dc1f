/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Who owns a socket: tasks are told apart by cgroup and executable, and each combination gets a small number.
 *
 * The number, the workload, goes with the socket in socket storage (a listener's is cloned to the sockets it accepts) and
 * from there into the connection table. The agent maps `limpet_workloads` and turns numbers into labels off the hot path.
 * Slow paths only: connect, listen, the start of the agent.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "limpet/kernel_types.bpf.h"
#include "limpet/stats.bpf.h"

#define WORKLOAD_LIMIT 1024
#define WORKLOAD_UNKNOWN 0
#define WORKLOAD_SELF 0xffff /* the agent: never followed */

struct workload_key {
    __u64 cgroup_id;    /* on cgroup2 */
    __u64 cgroup_v1_id; /* in the memory controller's v1 hierarchy; 0 where that controller is on cgroup2 */
    char executable[32];
};

/* What the agent reads; `used` is set last. */
struct limpet_workload {
    struct workload_key key;
    __u32 tgid; /* of the first process seen, in the initial pid namespace */
    __u32 used;
};
_Static_assert(sizeof(struct limpet_workload) == 56, "the agent reads it");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, WORKLOAD_LIMIT);
    __type(key, struct workload_key);
    __type(value, __u32);
} workload_index SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, WORKLOAD_LIMIT);
    __type(key, __u32);
    __type(value, struct limpet_workload);
} limpet_workloads SEC(".maps");

__u32 limpet_workload_count = 1; /* number 0 is taken: WORKLOAD_UNKNOWN */

/* The agent's own process; written by it before load. */
const volatile __u32 limpet_self_tgid = 0;

static __always_inline void describe_task(struct task_struct *task, struct workload_key *key)
{
    int controller = bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);
    struct css_set *set = BPF_CORE_READ(task, cgroups);
    struct cgroup *unified = BPF_CORE_READ(set, dfl_cgrp);
    struct cgroup_subsys_state *state = NULL;
    struct cgroup *cgroup;

    __builtin_memset(key, 0, sizeof(*key));
    key->cgroup_id = BPF_CORE_READ(unified, kn, id);
    bpf_core_read(&state, sizeof(state), &set->subsys[0] + controller);
    cgroup = BPF_CORE_READ(state, cgroup);
    if (cgroup && BPF_CORE_READ(cgroup, root) != BPF_CORE_READ(unified, root))
        key->cgroup_v1_id = BPF_CORE_READ(cgroup, kn, id);
    bpf_probe_read_kernel_str(key->executable, sizeof(key->executable),
                              BPF_CORE_READ(task, mm, exe_file, f_path.dentry, d_name.name));
}

/* The workload that a task belongs to; made on first sight. WORKLOAD_UNKNOWN when there are too many. */
static __noinline __u32 workload_of(struct task_struct *task)
{
    struct limpet_workload *workload;
    struct workload_key key;
    __u32 number, *found;

    if (BPF_CORE_READ(task, tgid) == limpet_self_tgid)
        return WORKLOAD_SELF;
    describe_task(task, &key);
    found = bpf_map_lookup_elem(&workload_index, &key);
    if (found)
        return *found;
    if (limpet_workload_count >= WORKLOAD_LIMIT) {
        limpet_count(LIMPET_STAT_SERIES_OVERFLOW);
        return WORKLOAD_UNKNOWN;
    }
    number = __sync_fetch_and_add(&limpet_workload_count, 1);
    workload = bpf_map_lookup_elem(&limpet_workloads, &number);
    if (!workload)
        return WORKLOAD_UNKNOWN;
    if (bpf_map_update_elem(&workload_index, &key, &number, BPF_NOEXIST)) {
        found = bpf_map_lookup_elem(&workload_index, &key); /* another CPU was first; our number stays unused */
        return found ? *found : WORKLOAD_UNKNOWN;
    }
    workload->key = key;
    workload->tgid = BPF_CORE_READ(task, tgid);
    __sync_fetch_and_add(&workload->used, 1);
    return number;
}
