/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The counters that every BPF object of limpet has without its author's effort: runs per program, losses, events.
 *
 * One row per CPU, written only by that CPU without atomics: a row may lose a count when an interrupt lands inside the
 * addition, which is why requests are never counted here. The agent maps the array and sets its size to the number of
 * possible CPUs. Indices are part of the SDK's contract: append only.
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
    LIMPET_STAT_RUNS_0 = 12,           /* runs of a program: RUNS_0 … RUNS_3, numbered by the author */
    LIMPET_STAT_COUNT = 16
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

static __always_inline void limpet_count(enum limpet_stat stat)
{
    __u32 cpu = bpf_get_smp_processor_id();
    struct limpet_stats *stats = bpf_map_lookup_elem(&limpet_stats, &cpu);

    if (stats)
        stats->values[stat & (LIMPET_STAT_COUNT - 1)]++;
}

/* Names the program that a RUNS counter belongs to: LIMPET_PROGRAM(0, on_open) beside the program. */
#define LIMPET_PROGRAM(number, program) const volatile char limpet_program_##number[] = #program
