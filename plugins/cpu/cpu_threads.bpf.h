/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * What is remembered of each thread: where it stands between two switches, and what of it has been counted.
 *
 * The record is in task storage and lives as long as the thread. To find it there costs a switch three dependent cache
 * misses, so the part that switches need stands in a table by thread number instead, one line a thread; a thread whose place
 * is another's has it in its record. Kernel threads, idle and the agent have no record.
 */
#pragma once

#include <limpet/workload.bpf.h>

#include "cpu_kernel.bpf.h"
#include "cpu_series.bpf.h"

#define PLACES 4096 /* a power of two */
#define PLACE_IS_TAKEN 1
#define NO_ROW (~0U)

/* What a switch reads and writes. */
struct cpu_run {
    __u64 task;         /* address of the thread's task_struct; 0: the place is free */
    __u64 run_delay_ns; /* that has been counted */
    __u64 off_since_ns; /* clock of the last switch away; 0 while it runs, and before it ran first */
    __u32 row;
    __u8 off_reason;       /* enum off_reason, valid with off_since_ns */
    __u8 era;              /* in which the last switch of the thread was seen, see limpet_era */
    __u16 bucket_plus_one; /* of the delay of the thread's last arrival, until it leaves its CPU; 0: counted */
    __u64 off_ns[OFF_REASONS];
};
_Static_assert(sizeof(struct cpu_run) == 64, "one cache line");

/* Mappable, so that the kernel begins it at a page and each place at a line. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, PLACES);
    __type(key, __u32);
    __type(value, struct cpu_run);
} cpu_runs SEC(".maps");

struct cpu_thread {
    struct cpu_run run; /* of a thread without a place */
    __u64 cgroups;      /* address of the css_set that the row was found for */
    __u32 workload;
    __u32 is_new; /* born, and nothing of it has been added yet */
    /* what has been added to the row */
    __u64 exec_ns;
    __u64 user_ns;
    __u64 system_ns;
    __u64 voluntary;
    __u64 involuntary;
    __u64 run_delay_ns;
    __u64 off_ns[OFF_REASONS];
};

struct {
    __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, struct cpu_thread);
} cpu_threads SEC(".maps");

static __always_inline __u64 address_of(const void *object)
{
    return (__u64)(long)object;
}

static __always_inline int is_kernel_thread(const struct task_struct *task)
{
    return fields_of(task)->flags & PF_KTHREAD;
}

static __always_inline __u64 cgroups_of(const struct task_struct *task)
{
    return address_of(fields_of(task)->cgroups);
}

static __always_inline struct cpu_thread *thread_of(struct task_struct *task)
{
    return is_kernel_thread(task) ? NULL : bpf_task_storage_get(&cpu_threads, task, NULL, 0);
}

static __always_inline struct cpu_run *place_of(const struct task_struct *task)
{
    __u32 place = (__u32)fields_of(task)->pid & (PLACES - 1);

    return bpf_map_lookup_elem(&cpu_runs, &place);
}

static __always_inline struct cpu_run *run_of(struct task_struct *task)
{
    struct cpu_run *run = place_of(task);
    struct cpu_thread *thread;

    if (run && run->task == address_of(task))
        return run;
    thread = thread_of(task);
    return thread ? &thread->run : NULL;
}

/* What a thread that leaves its CPU on its own account waits for. */
static __always_inline enum off_reason reason_of(const struct task_struct *task)
{
    __u32 state = fields_of(task)->__state;

    if (!state || state & TASK_DEAD)
        return OFF_RUNNABLE;
    if (state & (TASK_STOPPED_OR_TRACED | TASK_FROZEN))
        return OFF_STOPPED;
    if (!(state & TASK_UNINTERRUPTIBLE))
        return OFF_SLEEP;
    return BPF_CORE_READ_BITFIELD(fields_of(task), in_iowait) ? OFF_IO : OFF_UNINTERRUPTIBLE;
}

/* The row of a task's workload. A full table takes no further workload numbers from the other probes. */
static __always_inline __u32 find_row(struct task_struct *task, __u32 *workload)
{
    struct cpu_key key;

    key.workload = cpu_is_full() ? limpet_known_workload(task) : limpet_workload_of(task);
    *workload = key.workload;
    if (key.workload == LIMPET_WORKLOAD_SELF)
        return NO_ROW;
    if (key.workload == LIMPET_WORKLOAD_UNKNOWN) {
        limpet_count(LIMPET_STAT_SERIES_OVERFLOW);
        return LIMPET_OVERFLOW_ROW;
    }
    return cpu_find(&key);
}

/* A place is free, or from an era whose threads may have gone unseen. One that is still there goes on with its record. */
static __always_inline int take_place(struct cpu_run *place, __u8 era)
{
    __u64 task = place->task;

    if (task && (task == PLACE_IS_TAKEN || place->era == era))
        return 0;
    return __sync_val_compare_and_swap(&place->task, task, PLACE_IS_TAKEN) == task;
}

/* Makes the record of a thread. The place first: from then on switches use it, so that nothing is written twice. */
static __always_inline void remember(struct task_struct *task, struct cpu_thread *thread)
{
    struct cpu_run *place = place_of(task);

    if (place && take_place(place, thread->run.era)) {
        place->era = thread->run.era;
        place->run_delay_ns = thread->run.run_delay_ns;
        place->off_since_ns = thread->run.off_since_ns;
        place->row = thread->run.row;
        place->off_reason = thread->run.off_reason;
        place->bucket_plus_one = 0;
        __builtin_memset(place->off_ns, 0, sizeof(place->off_ns));
        __sync_lock_test_and_set(&place->task, address_of(task));
    }
    if (!bpf_task_storage_get(&cpu_threads, task, thread, BPF_LOCAL_STORAGE_GET_F_CREATE))
        limpet_count(LIMPET_STAT_UNSEEN_MEMORY);
}

static __always_inline void forget(const struct task_struct *task)
{
    struct cpu_run *place = place_of(task);

    if (place && place->task == address_of(task))
        __sync_lock_test_and_set(&place->task, 0);
}

/* Where a thread that is met late stands: nothing of its past is counted. */
static __always_inline void skip_past(const struct task_struct *task, struct cpu_thread *thread)
{
    const struct task_struct___cpu *now = fields_of(task);

    thread->run.run_delay_ns = thread->run_delay_ns = now->sched_info.run_delay;
    thread->exec_ns = now->se.sum_exec_runtime;
    thread->user_ns = now->utime;
    thread->system_ns = now->stime;
    thread->voluntary = now->nvcsw;
    thread->involuntary = now->nivcsw;
    if (bpf_core_field_exists(now->on_cpu) && now->on_cpu)
        return;
    thread->run.off_since_ns = run_queue_clock(bpf_get_current_task_btf());
    thread->run.off_reason = reason_of(task);
}

/* Begins the record of a thread that has none. `is_born`: all that it does is still to come. */
static __noinline void meet(struct task_struct *task, int is_born)
{
    struct cpu_thread thread = {};

    if (is_kernel_thread(task) || !fields_of(task)->mm)
        return;
    thread.run.row = find_row(task, &thread.workload);
    if (thread.run.row == NO_ROW)
        return;
    thread.cgroups = cgroups_of(task);
    thread.run.era = limpet_era();
    thread.is_new = is_born;
    if (!is_born)
        skip_past(task, &thread);
    remember(task, &thread);
}

/* The same for a thread that is born with the workload of its parent. */
static __always_inline void inherit(struct task_struct *task, const struct cpu_thread *parent, __u32 row)
{
    struct cpu_thread thread = {.run = {.row = row, .era = limpet_era()},
                                .cgroups = parent->cgroups,
                                .workload = parent->workload,
                                .is_new = 1};

    remember(task, &thread);
}

/* The program has rested since it last saw this thread switch: what it did meanwhile is nobody's wait or delay. */
static __always_inline void catch_up(const struct task_struct *task, struct cpu_run *run, __u8 era)
{
    run->off_since_ns = 0;
    run->bucket_plus_one = 0;
    run->run_delay_ns = fields_of(task)->sched_info.run_delay;
    run->era = era;
}

/* Finds out again whose a thread is, after its program or its cgroup has changed. */
static __noinline void assign(struct task_struct *task, struct cpu_thread *thread)
{
    __u32 workload, row = find_row(task, &workload);
    struct cpu_run *run = run_of(task);

    if (row == NO_ROW || !run)
        return;
    run->row = row;
    thread->workload = workload;
    thread->cgroups = cgroups_of(task);
    thread->is_new = 0;
}
