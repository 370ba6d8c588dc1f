/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Workloads: tasks are told apart by cgroup and executable, and each combination gets a small number, the same in all
 * probes. The agent maps `limpet_workloads` and turns numbers into labels off the hot path.
 *
 * limpet_workload_of(task)      the task's number, made on first sight
 * limpet_known_workload(task)   its number, or LIMPET_WORKLOAD_UNKNOWN where nothing has asked for it yet
 *
 * Both read a dozen fields of the kernel and look into a hash: ask once per socket, program or thread and keep the
 * answer. There are few (1,023 at a time), so ask for what is going to be exported only. The decoder "workload" of a label
 * makes the number container_id and service_name.
 *
 * The agent gives back what belonged to a cgroup that is gone (agent.forget_after). A number is an index in the lower 10 bits and
 * a generation in the 6 above, so that an answer which was kept is not taken for a later workload: it is then nobody's.
 * Numbers that were never used go first, then those that have been free for longest.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "kernel_types.bpf.h"
#include "stats.bpf.h"

#define LIMPET_WORKLOAD_LIMIT 1024
#define LIMPET_WORKLOAD_INDEX (LIMPET_WORKLOAD_LIMIT - 1)
#define LIMPET_WORKLOAD_UNKNOWN 0
#define LIMPET_WORKLOAD_SELF 0xffff /* the agent: never followed */

struct limpet_workload_key {
    __u64 cgroup_id;    /* on cgroup2 */
    __u64 cgroup_v1_id; /* in the memory controller's v1 hierarchy; 0 where that controller is on cgroup2 */
    char executable[32];
};

/* What the agent reads, by index; `used` is set last. Element 0 stands for LIMPET_WORKLOAD_UNKNOWN and its `used` is how many indices
 * have been handed out. */
struct limpet_workload {
    struct limpet_workload_key key;
    __u32 tgid; /* of the first process seen, in the initial pid namespace */
    __u32 used;
};
_Static_assert(sizeof(struct limpet_workload) == 56, "the agent reads it");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, LIMPET_WORKLOAD_LIMIT);
    __type(key, struct limpet_workload_key);
    __type(value, __u32);
} limpet_workload_index SEC(".maps"); /* shared by the agent */

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, LIMPET_WORKLOAD_LIMIT);
    __type(key, __u32);
    __type(value, struct limpet_workload);
} limpet_workloads SEC(".maps"); /* shared by the agent */

struct {
    __uint(type, BPF_MAP_TYPE_QUEUE);
    __uint(max_entries, LIMPET_WORKLOAD_LIMIT);
    __type(value, __u32);
} limpet_free_workloads SEC(".maps"); /* shared by the agent, which fills it */

/* The agent's own process; written by it before load. */
const volatile __u32 limpet_self_tgid = 0;

static __always_inline void limpet_describe_task(struct task_struct *task, struct limpet_workload_key *key)
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

/* A number that nobody has; LIMPET_WORKLOAD_UNKNOWN when there is none. */
static __always_inline __u32 limpet_take_workload_number(void)
{
    __u32 number = LIMPET_WORKLOAD_UNKNOWN;
    struct limpet_workload *first = bpf_map_lookup_elem(&limpet_workloads, &number);

    if (first && first->used < LIMPET_WORKLOAD_LIMIT - 1)
        number = __sync_fetch_and_add(&first->used, 1) + 1;
    if (number && number < LIMPET_WORKLOAD_LIMIT)
        return number;
    return bpf_map_pop_elem(&limpet_free_workloads, &number) ? LIMPET_WORKLOAD_UNKNOWN : number;
}

/* Enters `key` under a new number; LIMPET_WORKLOAD_UNKNOWN when there are too many. */
static __always_inline __u32 limpet_new_workload(const struct limpet_workload_key *key, __u32 tgid)
{
    __u32 number = limpet_take_workload_number(), index = number & LIMPET_WORKLOAD_INDEX, *found;
    struct limpet_workload *workload = bpf_map_lookup_elem(&limpet_workloads, &index);

    if (!index || !workload) {
        limpet_count(LIMPET_STAT_SERIES_OVERFLOW);
        return LIMPET_WORKLOAD_UNKNOWN;
    }
    if (bpf_map_update_elem(&limpet_workload_index, key, &number, BPF_NOEXIST)) {
        bpf_map_push_elem(&limpet_free_workloads, &number, 0);
        found = bpf_map_lookup_elem(&limpet_workload_index, key); /* another CPU was first */
        return found ? *found : LIMPET_WORKLOAD_UNKNOWN;
    }
    workload->key = *key;
    workload->tgid = tgid;
    __sync_fetch_and_add(&workload->used, 1);
    return number;
}

static __noinline __u32 limpet_find_workload(struct task_struct *task, __u32 may_be_new)
{
    __u32 tgid = BPF_CORE_READ(task, tgid), *found;
    struct limpet_workload_key key;

    if (tgid == limpet_self_tgid)
        return LIMPET_WORKLOAD_SELF;
    limpet_describe_task(task, &key);
    found = bpf_map_lookup_elem(&limpet_workload_index, &key);
    if (found)
        return *found;
    return may_be_new ? limpet_new_workload(&key, tgid) : LIMPET_WORKLOAD_UNKNOWN;
}

/* The workload that a task belongs to; made on first sight. LIMPET_WORKLOAD_UNKNOWN when there are too many. */
static __always_inline __u32 limpet_workload_of(struct task_struct *task)
{
    return limpet_find_workload(task, 1);
}

/* The same, but LIMPET_WORKLOAD_UNKNOWN for one that has no number yet. */
static __always_inline __u32 limpet_known_workload(struct task_struct *task)
{
    return limpet_find_workload(task, 0);
}
