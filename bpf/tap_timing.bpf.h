/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * What of the tap's time is its own. Part of the tap's object.
 *
 * The kernel's run-time statistics charge a tail-called parser to its caller. So one run in TIMED_ONE_IN is timed from its
 * begin to the tail call, and it is noted who was called: the rest of the tap's time is the parsers', by how often each is
 * called. Two clock reads in 256 runs.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "limpet/stream.bpf.h"
#include "tap_datagram.bpf.h"

#define TIMED_ONE_IN 256

/* Whether the run of this number is timed: by multiples of the golden ratio, which keep step with nothing. On a CPU whose programs talk to
 * others on this host every second run receives what the one before has sent, and costs less: every 256th was always of one sort. */
static __always_inline int is_timed(__u64 number)
{
    return (__u32)number * 0x9e3779b1U < (1ULL << 32) / TIMED_ONE_IN;
}

/* The agent reads it. */
struct limpet_tap_times {
    __u64 runs;                        /* timed */
    __u64 own_ns;                      /* of these, each with one clock read in it */
    __u64 streams[LIMPET_MAX_PARSERS]; /* calls by parser; 0: tap_open */
    __u64 datagrams[LIMPET_MAX_PARSERS];
};
_Static_assert(sizeof(struct limpet_tap_times) == 272, "as the agent has it");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct limpet_tap_times);
} limpet_tap_times SEC(".maps");

/* One row for all CPUs, with atomics: this is rare. */
static __always_inline void note_route(const struct __sk_buff *skb, __u32 parser, __u64 own_ns)
{
    __u32 zero = 0, wanted_by = skb->cb[4] & (LIMPET_MAX_PARSERS - 1);
    struct limpet_tap_times *times = bpf_map_lookup_elem(&limpet_tap_times, &zero);

    if (!times)
        return;
    __sync_fetch_and_add(&times->runs, 1);
    __sync_fetch_and_add(&times->own_ns, own_ns);
    if (parser < LIMPET_MAX_PARSERS) {
        asm volatile(""
                     : "+r"(parser)); /* Linux 6.1 forgets the bound in a copy of the number: the mask says it again */
        __sync_fetch_and_add(&times->streams[parser & (LIMPET_MAX_PARSERS - 1)], 1);
    } else if (parser == TO_DATAGRAM) {
        __sync_fetch_and_add(&times->datagrams[wanted_by], 1);
    }
}
