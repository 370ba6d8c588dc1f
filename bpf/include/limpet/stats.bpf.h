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
    LIMPET_STAT_CONTROL = 11,          /* no counter: see limpet_level_in, LIMPET_ERA_IN and so on */
    LIMPET_STAT_RUNS_0 = 12,           /* runs of a program: RUNS_0 … RUNS_3, numbered by the author */
    LIMPET_STAT_SENT = 13,             /* … in the tap, which has one there, no counters: struct limpet_sent */
    LIMPET_STAT_UNSEEN_PAUSED = 16,    /* what was under way when programs rested, and is not counted for that */
    LIMPET_STAT_RUNS_4 = 20,           /* … RUNS_4 … RUNS_11 */
    LIMPET_STAT_COUNT = 32
};

struct limpet_stats {
    __u64 values[LIMPET_STAT_COUNT];
};

#define LIMPET_STATS_MAP(name)                                                                                         \
    struct {                                                                                                           \
        __uint(type, BPF_MAP_TYPE_ARRAY);                                                                              \
        __uint(map_flags, BPF_F_MMAPABLE);                                                                             \
        __uint(max_entries, 1);                                                                                        \
        __type(key, __u32);                                                                                            \
        __type(value, struct limpet_stats);                                                                            \
    } name SEC(".maps")

LIMPET_STATS_MAP(limpet_stats);

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

/* How much the agent wants done, so that its limits are kept. What a level leaves out, those above it leave out as well; counts
 * are exact below LIMPET_LEVEL_SAMPLED. Numbers are part of the SDK's contract. */
enum limpet_level {
    LIMPET_LEVEL_ALL = 0,
    LIMPET_LEVEL_NO_EVENTS = 1,     /* what limpet_emit_sampled sends */
    LIMPET_LEVEL_NO_SIZES = 2,      /* sizes of what is counted */
    LIMPET_LEVEL_NO_FIRST_BYTE = 3, /* times other than the main one */
    LIMPET_LEVEL_NO_ROUTES = 4,     /* labels that are found by reading on: what is not known yet is "other" */
    LIMPET_LEVEL_NO_DURATIONS = 5,  /* times, and what costs every switch of a thread: see LIMPET_RESTS_AT */
    LIMPET_LEVEL_SAMPLED = 6,       /* one connection in two, at the next level one in four, and so on, by weight */
    LIMPET_LEVEL_PAUSED = 15,
};

static __always_inline __u32 limpet_level_in(__u64 control)
{
    return control & 15;
}

/* What else the agent says in the same word. */
#define LIMPET_ERA_IN(control) ((__u8)((control) >> 8))
#define LIMPET_EPOCH_IN(control) ((__u8)((control) >> 16)) /* goes on by one with each sample and level */
#define LIMPET_SALT_IN(control) ((__u16)((control) >> 32)) /* of the sample of connections; 0: there has been none */
#define LIMPET_SALT_BEFORE_IN(control) ((__u16)((control) >> 48))

/* The level now. Parsers have it in their segment, at no price. */
static __always_inline __u32 limpet_level(void)
{
    struct limpet_stats *stats = limpet_stats_row();

    return stats ? limpet_level_in(stats->values[LIMPET_STAT_CONTROL]) : LIMPET_LEVEL_ALL;
}

/* What is counted of a connection at this level stands for so many: 1 << shift. */
static __always_inline __u32 limpet_weight_shift(__u32 level)
{
    return level < LIMPET_LEVEL_SAMPLED ? 0 : (level - LIMPET_LEVEL_SAMPLED + 1) & 15;
}

/* Changes when programs of this object run again after they had rested. */
static __always_inline __u8 limpet_era(void)
{
    struct limpet_stats *stats = limpet_stats_row();

    return stats ? LIMPET_ERA_IN(stats->values[LIMPET_STAT_CONTROL]) : 0;
}

/* From this level on the program is not attached: LIMPET_RESTS_AT(on_switch, LIMPET_LEVEL_NO_DURATIONS) beside one whose hook is called
 * so often that it is dear even where the program returns at once. When it is attached again limpet_era() is another number.
 * It asks for the level all the same: agents that do not know this line leave it attached, and a run may be under way. */
#define LIMPET_RESTS_AT(program, level) const volatile __u32 limpet_rests_##program = (level)

/* Names the program that a RUNS counter belongs to: LIMPET_PROGRAM(0, on_open) beside the program. */
#define LIMPET_PROGRAM(number, program) const volatile char limpet_program_##number[] = #program
