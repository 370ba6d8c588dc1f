/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * How what a thread has done becomes counts of its workload.
 *
 * The kernel keeps every thread's CPU time, switches and waits itself, so nothing of that is counted at a switch: it is
 * enough to add the difference since last time before a scrape, and when the thread ends or changes its workload.
 */
#pragma once

#include "cpu_threads.bpf.h"

/* What has come since `*counted` was brought to `now`. Two CPUs may look at one thread at once; each difference is taken
 * once. */
static __always_inline __u64 since(__u64 *counted, __u64 now)
{
    __u64 before = __sync_lock_test_and_set(counted, now);

    return now > before ? now - before : 0;
}

/* Divides CPU time between the modes as the kernel does for processes and cgroups (cputime_adjust, kernel/sched/cputime.c):
 * the sum is exact, the ratio is that of the ticks, and neither part ever falls. user = exec * user_ticks / ticks, written
 * so that it does not overflow: user_ticks + (exec - ticks) * user_ticks / ticks. */
static __always_inline void add_time(struct cpu_row *row, __u64 exec_ns, __u64 user_ns, __u64 system_ns)
{
    __u64 user_ticks = __sync_fetch_and_add(&row->user_ticks_ns, user_ns) + user_ns;
    __u64 ticks = user_ticks + __sync_fetch_and_add(&row->system_ticks_ns, system_ns) + system_ns;
    __u64 user_share = 1 << 16; /* of 2^16; without a tick all is user time */
    __s64 beyond_ticks = (__s64)(row->user_ns + row->system_ns + exec_ns - ticks);
    __s64 added;

    if (ticks)
        user_share = user_ticks < 1ULL << 47 ? (user_ticks << 16) / ticks : user_ticks / (ticks >> 16);
    added = (__s64)user_ticks + (beyond_ticks * (__s64)user_share >> 16) - (__s64)row->user_ns;
    if (added < 0)
        added = 0;
    if ((__u64)added > exec_ns)
        added = (__s64)exec_ns;
    __sync_fetch_and_add(&row->user_ns, added);
    __sync_fetch_and_add(&row->system_ns, exec_ns - added);
}

/* A wait that is under way counts as far as it has come. Read in this order no wait counts twice: a switch clears
 * off_since_ns before it raises off_ns. */
static __always_inline void add_off_cpu(struct cpu_row *row, struct cpu_thread *thread, struct cpu_run *run)
{
    volatile struct cpu_run *live = run;
    __u64 *counters = &row->off_sleep_ns;
    __u64 off_ns[OFF_REASONS], began, now;
    __u32 reason;

#pragma unroll
    for (int i = 0; i < OFF_REASONS; i++)
        off_ns[i] = live->off_ns[i];
    began = run->era == limpet_era() ? live->off_since_ns : 0;
    reason = live->off_reason;
    now = run_queue_clock(bpf_get_current_task_btf());
#pragma unroll
    for (int i = 0; i < OFF_REASONS; i++) {
        if (began && reason == i && now > began)
            off_ns[i] += now - began;
        if (off_ns[i] > thread->off_ns[i])
            __sync_fetch_and_add(&counters[i], since(&thread->off_ns[i], off_ns[i]));
    }
}

/* Adds what a thread has done since last time to its row. */
static __noinline void bring_up_to_date(struct task_struct *task, struct cpu_thread *thread)
{
    const struct task_struct___cpu *now = fields_of(task);
    struct cpu_run *run = run_of(task);
    struct cpu_row *row = run ? cpu_row(run->row) : NULL;
    __u64 run_delay_ns;

    if (!row)
        return;
    thread->is_new = 0;
    add_time(row, since(&thread->exec_ns, now->se.sum_exec_runtime), since(&thread->user_ns, now->utime),
             since(&thread->system_ns, now->stime));
    __sync_fetch_and_add(&row->voluntary, since(&thread->voluntary, now->nvcsw));
    __sync_fetch_and_add(&row->involuntary, since(&thread->involuntary, now->nivcsw));
    run_delay_ns = since(&thread->run_delay_ns, now->sched_info.run_delay);
    __sync_fetch_and_add(&row->off_run_queue_ns, run_delay_ns);
    if (limpet_level() >= LIMPET_LEVEL_NO_DURATIONS)
        return; /* no switch is seen: arrivals have no buckets, and nobody says when a wait ends */
    __sync_fetch_and_add(&row->run_queue_delay.sum, run_delay_ns);
    add_off_cpu(row, thread, run);
}
