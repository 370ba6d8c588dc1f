/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The cpu probe: CPU time, context switches, run-queue delay, waits and throttling of every workload.
 *
 * Hooks   tp_btf/sched_switch for the delay of each arrival on a CPU and for waits; tp_btf/task_newtask, sched_process_exec,
 *         cgroup_attach_task, sched_process_exit, sched_process_free for the life of a thread; iter/task before each scrape.
 * Maps    cpu_* and cpu_quota_* with 256 rows each: 0.08 MB a shard; cpu_runs 0.25 MB; cpu_threads 0.5 KB a thread with what
 *         the kernel adds.
 * Cost    a switch: a cache line for either thread, and a bucket; no clock. A scrape: about 600 ns for each thread.
 * Kernel  5.15, with CONFIG_SCHED_INFO (delay accounting and schedstats select it) and CONFIG_FAIR_GROUP_SCHED.
 */
#include <limpet/probe.bpf.h>

#include "cpu_count.bpf.h"
#include "cpu_kernel.bpf.h"
#include "cpu_quota.bpf.h"
#include "cpu_series.bpf.h"
#include "cpu_threads.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

LIMPET_PROGRAM(0, on_switch);
LIMPET_PROGRAM(1, on_new_task);
LIMPET_PROGRAM(2, on_free);
LIMPET_PROGRAM(3, on_task);
LIMPET_PROGRAM(4, on_exec);
LIMPET_PROGRAM(5, on_attach);
LIMPET_PROGRAM(6, on_exit);
LIMPET_PROGRAM(7, on_rmdir);

/* An arrival is counted when the thread leaves again: a process may have become another program by then. */
static __always_inline void count_arrival(struct cpu_run *run)
{
    struct cpu_row *row = cpu_row(run->row);
    __u32 bucket = run->bucket_plus_one - 1U;

    if (row && bucket < LIMPET_BUCKETS)
        __sync_fetch_and_add(&row->run_queue_delay.buckets[bucket], 1); /* the sum follows: bring_up_to_date */
    run->bucket_plus_one = 0;
}

static __always_inline void leave(struct task_struct *task, _Bool is_preempted, __u64 now, __u8 era)
{
    struct cpu_run *run = is_kernel_thread(task) ? NULL : run_of(task);

    if (!run)
        return;
    if (__builtin_expect(run->era != era, 0))
        catch_up(task, run, era);
    run->off_reason = is_preempted ? OFF_RUNNABLE : reason_of(task);
    run->off_since_ns = now;
    count_arrival(run);
}

/* The wait that ends now: what of it was spent in a run queue, and the rest on what the thread left its CPU for. */
static __always_inline void end_wait(struct cpu_run *run, __u64 delay_ns, __u64 now)
{
    volatile struct cpu_run *live = run;
    __u64 began = run->off_since_ns;
    __u32 reason = run->off_reason;

    live->off_since_ns = 0; /* first: see add_off_cpu */
    if (began && now > began + delay_ns && reason < OFF_REASONS)
        live->off_ns[reason] += now - began - delay_ns;
}

/* Most delays are short: they are spared the search. */
static __always_inline __u32 bucket_of(__u64 delay_ns)
{
    return delay_ns <= delay_bounds[0] ? 0 : limpet_bucket(delay_bounds, delay_ns);
}

/* The kernel adds the delay of this arrival to run_delay a moment later, from the same clock. The difference to what was
 * counted includes waits that ended without an arrival: in a queue that the thread was moved away from. */
static __always_inline void arrive(struct task_struct *task, __u64 now, __u8 era)
{
    struct cpu_run *run = is_kernel_thread(task) ? NULL : run_of(task);
    __u64 run_delay_ns, queued_at, delay_ns;

    if (!run)
        return;
    if (__builtin_expect(run->era != era, 0))
        catch_up(task, run, era);
    run_delay_ns = fields_of(task)->sched_info.run_delay;
    queued_at = fields_of(task)->sched_info.last_queued;
    if (queued_at)
        run_delay_ns += now - queued_at;
    delay_ns = run_delay_ns > run->run_delay_ns ? run_delay_ns - run->run_delay_ns : 0;
    run->run_delay_ns = run_delay_ns;
    end_wait(run, delay_ns, now);
    run->bucket_plus_one = bucket_of(delay_ns) + 1;
}

LIMPET_RESTS_AT(on_switch, LIMPET_LEVEL_NO_DURATIONS);

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, _Bool is_preempted, struct task_struct *previous, struct task_struct *next)
{
    const struct limpet_stats *stats = limpet_begin(LIMPET_RUNS(0));
    __u64 now;
    __u8 era;

    if (!stats || limpet_level_in(stats->values[LIMPET_STAT_CONTROL]) >= LIMPET_LEVEL_NO_DURATIONS)
        return 0;
    era = LIMPET_ERA_IN(stats->values[LIMPET_STAT_CONTROL]);
    now = run_queue_clock(next);
    leave(previous, is_preempted, now, era);
    arrive(next, now, era);
    return 0;
}

/* A thread is born: with its parent's workload, unless it begins in another cgroup. */
SEC("tp_btf/task_newtask")
int BPF_PROG(on_new_task, struct task_struct *task)
{
    struct task_struct *current = bpf_get_current_task_btf();
    struct cpu_thread *parent;
    struct cpu_run *run;

    LIMPET_BEGIN(1, 0);
    parent = thread_of(current);
    run = parent ? run_of(current) : NULL;
    if (parent && run && parent->cgroups == cgroups_of(task))
        inherit(task, parent, run->row);
    else
        meet(task, 1);
    return 0;
}

/* A program takes the place of another: what was before it is counted as the other's. But what a process does between its
 * birth and its first exec counts for the program that it becomes, as in /proc and rusage. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task)
{
    struct cpu_thread *thread;
    __u32 before;

    LIMPET_BEGIN(4, 0);
    thread = thread_of(task);
    if (!thread) {
        meet(task, 0);
        return 0;
    }
    before = thread->workload;
    if (!thread->is_new)
        bring_up_to_date(task, thread);
    assign(task, thread);
    hand_over_quota(task, before, thread->workload);
    return 0;
}

/* A process moves to another cgroup. Only its first thread is named; the others follow at the next scrape. */
SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(on_attach, struct cgroup *cgroup, const char *path, struct task_struct *task)
{
    struct cpu_thread *thread;

    LIMPET_BEGIN(5, 0);
    thread = thread_of(task);
    if (!thread)
        return 0;
    bring_up_to_date(task, thread);
    assign(task, thread);
    count_quota(task, thread->workload);
    return 0;
}

/* Counts here already what has been used, since the kernel frees a thread as late as it likes. The last look at its quota: the
 * cgroup may be gone when the thread is. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
    struct cpu_thread *thread;

    LIMPET_BEGIN(6, 0);
    thread = thread_of(task);
    if (!thread)
        return 0;
    bring_up_to_date(task, thread);
    count_quota(task, thread->workload);
    return 0;
}

/* A thread has run for the last time; its end, in which memory is given back, is included. */
SEC("tp_btf/sched_process_free")
int BPF_PROG(on_free, struct task_struct *task)
{
    struct cpu_thread *thread;

    LIMPET_BEGIN(2, 0);
    thread = thread_of(task);
    if (thread)
        bring_up_to_date(task, thread);
    forget(task);
    return 0;
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(on_rmdir, struct cgroup *cgroup)
{
    LIMPET_BEGIN(7, 0);
    forget_quota(cgroup);
    return 0;
}

/* The thread may have become another program unseen. */
static __always_inline int has_rested(struct task_struct *task)
{
    struct cpu_run *run = run_of(task);
    __u8 era = limpet_era();

    if (!run || run->era == era)
        return 0;
    catch_up(task, run, era);
    return 1;
}

/* Every thread of the host: at the start to meet those that are there, then before each scrape. */
SEC("iter/task")
int on_task(struct bpf_iter__task *context)
{
    struct task_struct *task = context->task;
    struct cpu_thread *thread;

    LIMPET_BEGIN(3, 0);
    if (!task)
        return 0;
    thread = thread_of(task);
    if (!thread) {
        meet(task, 0);
        thread = thread_of(task);
    } else {
        bring_up_to_date(task, thread);
        if (thread->cgroups != cgroups_of(task) || has_rested(task))
            assign(task, thread);
    }
    if (thread && !(fields_of(task)->flags & PF_EXITING))
        count_quota(task, thread->workload);
    return 0;
}
