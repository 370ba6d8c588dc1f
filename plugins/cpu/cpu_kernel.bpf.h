/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * What the cpu probe reads of the kernel: flavours of its structs (the part behind ___ is ours), placed by CO-RE.
 */
#pragma once

#include <limpet/probe.bpf.h>

#define PF_EXITING 0x00000004 /* include/linux/sched.h */
#define PF_KTHREAD 0x00200000

/* task_struct::__state, include/linux/sched.h. Of the others: WAKING is what a
 * task on its way to sleep has become when another CPU is about to wake it. */
#define TASK_UNINTERRUPTIBLE 0x0002
#define TASK_STOPPED_OR_TRACED 0x000c
#define TASK_DEAD 0x0080
#define TASK_FROZEN 0x8000 /* from 6.1 on; f5d39b020809 */

/* include/linux/sched.h, CONFIG_SCHED_INFO: what /proc/<pid>/schedstat shows. Written by kernel/sched/stats.h. */
struct sched_info___cpu {
    __u64 run_delay;   /* waits that are over, ns */
    __u64 last_queued; /* since when the task waits for a CPU, by its run queue's clock; 0: it does not */
} LIMPET_KERNEL_TYPE;

/* kernel/sched/sched.h */
struct rq___cpu {
    __u64 clock;
} LIMPET_KERNEL_TYPE;

struct cfs_rq___cpu {
    struct rq___cpu *rq; /* CONFIG_FAIR_GROUP_SCHED */
} LIMPET_KERNEL_TYPE;

struct sched_entity___cpu {
    __u64 sum_exec_runtime;
    struct cfs_rq___cpu *cfs_rq; /* of the CPU that the task runs on or is queued at, whatever its scheduling class */
} LIMPET_KERNEL_TYPE;

struct task_struct___cpu {
    unsigned int __state; /* `state` before 5.14: 2f064a59a11f */
    unsigned int flags;
    int on_cpu; /* CONFIG_SMP */
    int pid;    /* the thread's number */
    struct mm_struct *mm;
    struct css_set *cgroups;
    struct sched_info___cpu sched_info;
    struct sched_entity___cpu se;
    __u64 utime;
    __u64 stime;
    unsigned long nvcsw;
    unsigned long nivcsw;
    unsigned int in_iowait : 1;
} LIMPET_KERNEL_TYPE;

struct cfs_bandwidth___cpu {
    __u64 quota; /* ns a period; ~0: none */
    int nr_periods;
    int nr_throttled;
    __u64 throttled_time; /* ns; cpu.stat of cgroup v1 and v2 show these three */
} LIMPET_KERNEL_TYPE;

struct task_group___cpu {
    struct cgroup_subsys_state css; /* the first member: a pointer to it is a pointer to the group */
    struct task_group___cpu *parent;
    struct cfs_bandwidth___cpu cfs_bandwidth; /* CONFIG_CFS_BANDWIDTH */
} LIMPET_KERNEL_TYPE;

/* kernel/bpf/task_iter.c */
struct bpf_iter__task {
    struct bpf_iter_meta *meta;
    struct task_struct *task;
} LIMPET_KERNEL_TYPE;

static __always_inline const struct task_struct___cpu *fields_of(const struct task_struct *task)
{
    return (const void *)task;
}

/* The clock of the run queue of the CPU that a task runs on, which the kernel brings up to date before each switch. It is
 * the one that sched_info counts in: no clock has to be read, and differences agree to the nanosecond. (The per-CPU
 * variable `runqueues` has an address only where the kernel was built with CONFIG_KALLSYMS_ALL.) */
static __always_inline __u64 run_queue_clock(const struct task_struct *running)
{
    return fields_of(running)->se.cfs_rq->rq->clock;
}
