/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * CPU quotas: the counters behind cpu.stat of cgroup v1 and v2, read from the kernel's task groups.
 *
 * A quota belongs to a cgroup, which may hold several workloads: its counts go to the one that was met in it first, or what
 * that has become by exec. Of several quotas above a task the nearest is taken.
 */
#pragma once

#include "cpu_count.bpf.h"
#include "cpu_kernel.bpf.h"
#include "cpu_series.bpf.h"

#define QUOTA_LEVELS 8 /* of cgroups that are searched upwards */
#define NO_QUOTA (~0ULL)
#define E2BIG 7 /* a full hash */

/* What has been counted of a cgroup. */
struct quota_seen {
    __u64 throttled_ns;
    __u32 periods;
    __u32 throttled_periods;
    __u32 workload; /* the counts are this one's */
    __u32 padding;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, ROWS);
    __type(key, __u64); /* address of the cgroup */
    __type(value, struct quota_seen);
} cpu_quotas SEC(".maps");

/* The nearest group with a quota at or above the task's; NULL when there is none. */
static __always_inline struct task_group___cpu *limited_group_of(struct task_struct *task)
{
    int controller = bpf_core_enum_value(enum cgroup_subsys_id, cpu_cgrp_id);
    struct css_set *set = BPF_CORE_READ(task, cgroups);
    struct cgroup_subsys_state *state = NULL;
    struct task_group___cpu *group = NULL;

    if (!bpf_core_field_exists(group->cfs_bandwidth))
        return NULL;
    bpf_core_read(&state, sizeof(state), &set->subsys[0] + controller);
    group = (void *)state;
    for (int level = 0; group && level < QUOTA_LEVELS; level++) {
        if (BPF_CORE_READ(group, cfs_bandwidth.quota) != NO_QUOTA)
            return group;
        group = BPF_CORE_READ(group, parent);
    }
    return NULL;
}

static __always_inline __u32 rise(__u32 *seen, __u32 now)
{
    __s32 risen = (__s32)(now - __sync_lock_test_and_set(seen, now));

    return risen > 0 ? risen : 0;
}

static __always_inline void add_quota(struct quota_seen *seen, const struct quota_seen *now)
{
    struct quota_key key = {.workload = seen->workload};
    struct quota_row *row;

    if (seen->periods == now->periods && seen->throttled_ns == now->throttled_ns)
        return;
    row = cpu_quota_row(cpu_quota_find(&key));
    if (!row)
        return;
    __sync_fetch_and_add(&row->throttled_ns, since(&seen->throttled_ns, now->throttled_ns));
    __sync_fetch_and_add(&row->periods, rise(&seen->periods, now->periods));
    __sync_fetch_and_add(&row->throttled_periods, rise(&seen->throttled_periods, now->throttled_periods));
}

/* Counts what has come of the quota that holds the task back. Whose workload is met first in a cgroup has its counts. */
static __noinline void count_quota(struct task_struct *task, __u32 workload)
{
    struct task_group___cpu *group = limited_group_of(task);
    struct quota_seen now = {.workload = workload}, *seen;
    __u64 cgroup;

    if (!group)
        return;
    cgroup = address_of(BPF_CORE_READ(group, css.cgroup));
    now.throttled_ns = BPF_CORE_READ(group, cfs_bandwidth.throttled_time);
    now.periods = BPF_CORE_READ(group, cfs_bandwidth.nr_periods);
    now.throttled_periods = BPF_CORE_READ(group, cfs_bandwidth.nr_throttled);
    seen = bpf_map_lookup_elem(&cpu_quotas, &cgroup);
    if (seen)
        add_quota(seen, &now);
    else if (bpf_map_update_elem(&cpu_quotas, &cgroup, &now, BPF_NOEXIST) == -E2BIG)
        limpet_count(LIMPET_STAT_SERIES_OVERFLOW);
}

/* A program takes the place of another, and its quota, where that was the other's. */
static __noinline void hand_over_quota(struct task_struct *task, __u32 before, __u32 workload)
{
    struct task_group___cpu *group = limited_group_of(task);
    struct quota_seen *seen;
    __u64 cgroup;

    if (!group)
        return;
    cgroup = address_of(BPF_CORE_READ(group, css.cgroup));
    seen = bpf_map_lookup_elem(&cpu_quotas, &cgroup);
    if (seen && seen->workload == before)
        seen->workload = workload;
}

static __always_inline void forget_quota(struct cgroup *cgroup)
{
    __u64 address = address_of(cgroup);

    bpf_map_delete_elem(&cpu_quotas, &address);
}
