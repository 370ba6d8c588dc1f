/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The cpu probe's metrics. Histograms are counted at each switch; all else is brought up to date from the threads' own
 * counters before a scrape, and when a thread ends, execs or moves (cpu_threads.bpf.h).
 */
#pragma once

#include <limpet/probe.bpf.h>

#define ROWS 256

LIMPET_BOUNDS(delay_bounds, "ns", "run_queue_delay_bounds");

struct cpu_key {
    LIMPET_LABEL(__u32, workload, "workload", "workload");
};

#define OFF_CPU(member, reason)                                                                                        \
    LIMPET_COUNTER(member, "container_cpu_off_cpu_seconds_total", "ns",                                                \
                   "Time that threads were not on a CPU, by what they waited for.", "with=reason:" reason)
#define CPU_TIME(member, mode)                                                                                         \
    LIMPET_COUNTER(member, "container_cpu_time_seconds_total", "ns", "CPU time of the workload's threads.",            \
                   "with=cpu_mode:" mode)
#define SWITCHES(member, type)                                                                                         \
    LIMPET_COUNTER(member, "container_cpu_context_switches_total", "1",                                                \
                   "Times that a thread left its CPU: voluntary to wait, else another one's turn came.",               \
                   "with=switch_type:" type)

struct cpu_row {
    LIMPET_HISTOGRAM(run_queue_delay, delay_bounds, "container_cpu_run_queue_delay_seconds", "ns",
                     "Time from when a thread could run until it ran, each time it got a CPU.", "");
    CPU_TIME(user_ns, "user");
    CPU_TIME(system_ns, "system");
    SWITCHES(voluntary, "voluntary");
    SWITCHES(involuntary, "involuntary");
    OFF_CPU(off_run_queue_ns, "run_queue");
    OFF_CPU(off_sleep_ns, "sleep"); /* the first of as many as enum off_reason has */
    OFF_CPU(off_io_ns, "io");
    OFF_CPU(off_uninterruptible_ns, "uninterruptible");
    OFF_CPU(off_stopped_ns, "stopped");
    __u64 user_ticks_ns; /* what the kernel has booked by mode, which decides how CPU time is divided */
    __u64 system_ticks_ns;
};

/* In the order of the members off_…_ns. A thread that could run waits for nothing but its run queue. */
enum off_reason { OFF_SLEEP, OFF_IO, OFF_UNINTERRUPTIBLE, OFF_STOPPED, OFF_REASONS, OFF_RUNNABLE = OFF_REASONS };

LIMPET_SERIES(cpu, struct cpu_key, struct cpu_row, ROWS)

/* Workloads in a cgroup with a quota. */
struct quota_key {
    LIMPET_LABEL(__u32, workload, "workload", "workload");
};

struct quota_row {
    LIMPET_COUNTER(periods, "container_cpu_periods_total", "1",
                   "Quota periods in which the cgroup's threads ran or wanted to.", "");
    LIMPET_COUNTER(throttled_periods, "container_cpu_throttled_periods_total", "1",
                   "Quota periods in which the cgroup used up its CPU quota.", "");
    LIMPET_COUNTER(throttled_ns, "container_cpu_throttled_seconds_total", "ns",
                   "Time that the cgroup was kept from running, added up over CPUs.", "");
};

LIMPET_SERIES(cpu_quota, struct quota_key, struct quota_row, ROWS)
