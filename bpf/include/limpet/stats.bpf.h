/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The counters that every BPF object of limpet has without its author's effort: runs per program, losses, events; and two
 * words by which the agent tells programs to do less.
 *
 * One row per CPU, written only by that CPU without atomics: a row may lose a count when an interrupt lands inside the
 * addition, which is why requests are never counted here. The agent maps the array and sets its size to the number of
 * possible CPUs. Indices are part of the SDK's contract: append only.
 *
 * A program with a hook of its own begins with
 *     LIMPET_BEGIN(0, 0);
 * which counts a run of program 0 (LIMPET_PROGRAM, at most 12 of them) and returns 0 at once when the agent hangs: it has not renewed its
 * lease (limits.lease). It costs no cache line beside the run counter's. Parsers and ticks do without: nobody calls them then.
 * What a program remembers may be out of date when it runs again; limpet_era() is another number then.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

enum limpet_stat {
    LIMPET_STAT_EMITTED = 0,           /* events handed to the ring */
    LIMPET_STAT_DROPPED = 1,           /* events lost: the ring was full */
    LIMPET_STAT_SAMPLED_OUT = 2,       /* events not sent because of the sampling ratio */
    LIMPET_STAT_SERIES_OVERFLOW = 3,   /* times that a full series table sent a new combination to the overflow row */
    LIMPET_STAT_EVICTED = 4,           /* connections whose state was displaced while a request was in flight */
    LIMPET_STAT_UNSEEN_ENCRYPTED = 5,  /* connections that speak TLS */
    LIMPET_STAT_UNSEEN_DESYNC = 6,     /* times that a message boundary was lost */
    LIMPET_STAT_UNSEEN_LIMIT = 7,      /* segments left unread because of a limit of the parser */
    LIMPET_STAT_UNSEEN_HANDED_OFF = 8, /* connections that changed protocol (CONNECT, upgrade, HTTP/2) */
    LIMPET_STAT_UNSEEN_MEMORY = 9,     /* threads or sockets not followed because the kernel had no memory for it */
    LIMPET_STAT_LEASE = 10,            /* no counter: jiffies at which the agent's lease ends; 0: never */
    LIMPET_STAT_CONTROL = 11,          /* no counter: level | era << 8 | …, see limpet_level, limpet_era */
    LIMPET_STAT_RUNS_0 = 12,           /* runs of a program: RUNS_0 … RUNS_3, numbered by the author */
    LIMPET_STAT_UNSEEN_PAUSED = 16,    /* what was under way when programs rested, and is not counted for that */
    LIMPET_STAT_RUNS_4 = 20,           /* … RUNS_4 … RUNS_11 */
    LIMPET_STAT_COUNT = 32
};

struct limpet_stats {
    __u64 values[LIMPET_STAT_COUNT];
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct limpet_stats);
} limpet_stats SEC(".maps");

/* This CPU's row. */
static __always_inline struct limpet_stats *limpet_stats_row(void)
{
    __u32 cpu = bpf_get_smp_processor_id();

    return bpf_map_lookup_elem(&limpet_stats, &cpu);
}

static __always_inline void limpet_count(enum limpet_stat stat)
{
    struct limpet_stats *stats = limpet_stats_row();

    if (stats)
        stats->values[stat & (LIMPET_STAT_COUNT - 1)]++;
}

/* Counts a run. NULL when the agent's lease is over: the program is to return at once. Else this CPU's row. */
static __always_inline struct limpet_stats *limpet_begin(enum limpet_stat runs)
{
    struct limpet_stats *stats = limpet_stats_row();

    if (!stats || bpf_jiffies64() - 1 >= stats->values[LIMPET_STAT_LEASE] - 1) /* a lease of 0 is the longest */
        return NULL;
    stats->values[runs & (LIMPET_STAT_COUNT - 1)]++;
    return stats;
}

#define LIMPET_RUNS(number) ((number) < 4 ? LIMPET_STAT_RUNS_0 + (number) : LIMPET_STAT_RUNS_4 + (number) - 4)

#define LIMPET_BEGIN(number, result)                                                                                   \
    do {                                                                                                               \
        if (!limpet_begin(LIMPET_RUNS(number)))                                                                        \
            return result;                                                                                             \
    } while (0)

/* Changes when programs of this object run again after they had rested. */
static __always_inline __u8 limpet_era(void)
{
    struct limpet_stats *stats = limpet_stats_row();

    return stats ? stats->values[LIMPET_STAT_CONTROL] >> 8 : 0;
}

/* Names the program that a RUNS counter belongs to: LIMPET_PROGRAM(0, on_open) beside the program. */
#define LIMPET_PROGRAM(number, program) const volatile char limpet_program_##number[] = #program
