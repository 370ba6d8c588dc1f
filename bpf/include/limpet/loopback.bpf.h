/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * What a host sends to itself: one run for both ends. For parsers that wish it; one that does not sees each end's segments alone.
 *
 * A segment over loopback passes egress at one end and, a microsecond later and on the same CPU, ingress at the other. Where the tap
 * knows that other end, and nothing keeps the segment on its way, the parser that has dealt with what is sent may deal with what
 * will be received as well: it has the bytes at hand, and the lines of both connections were fetched together. What it has dealt with
 * does not come again, but for rare cases (another CPU receives it, or more was sent before it arrived), in which it is old there.
 *
 *     struct limpet_delivery delivery;
 *
 *     if (is_egress && limpet_receiver_of(&segment, &delivery) && is_next_at(delivery.receiver, &delivery.segment) &&
 *         limpet_enter_receiver(&delivery))
 *         limpet_leave_receiver(&delivery, take(delivery.receiver, &delivery.segment));
 *
 * What a packet filter throws away between the two ends has been received all the same; TCP sends it again, and it is old then.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "limpet/stream.bpf.h"

/* The segment that a CPU has sent last. Where an interrupt sends another one in between, fields may be of both. In the line of the tap's
 * run counters, which is at hand: a line of its own took back half of what all this is worth. */
struct limpet_sent {
    __u64 time_ns;
    __u64 numbers; /* sequence and acknowledgement numbers, as they are in its header; inverted: it is received, too */
    __u32 slot;    /* the sender's */
    __u32 receiver_plus_one; /* slot of the other end, where that can be dealt with; 0: it cannot */
};
_Static_assert(sizeof(struct limpet_sent) == 3 * sizeof(__u64), "between the run counters 0 and 4");

static __always_inline struct limpet_sent *limpet_sent_in(struct limpet_stats *tap_stats)
{
    return (struct limpet_sent *)(void *)&tap_stats->values[LIMPET_STAT_SENT];
}

LIMPET_STATS_MAP(limpet_tap_stats); /* the tap's own limpet_stats, shared by the agent */

struct limpet_delivery {
    struct limpet_connection *receiver;
    struct limpet_segment segment; /* as the receiver sees it */
    struct limpet_sent *sent;
    __u64 numbers;
};

/* The receiver of a segment that is being sent and has been dealt with at its sender; NULL where it is not known, or not this
 * parser's: the segment will come. Not entered: look whether it is the next one there, first. Only then is nothing on its
 * way to that connection which could interrupt this run and wait for it. */
static __always_inline struct limpet_connection *limpet_receiver_of(const struct limpet_segment *segment,
                                                                    struct limpet_delivery *delivery)
{
    __u32 cpu = bpf_get_smp_processor_id();
    struct limpet_stats *tap_stats = bpf_map_lookup_elem(&limpet_tap_stats, &cpu);
    struct limpet_connection *receiver;
    __u64 holder;

    if (!tap_stats)
        return NULL;
    delivery->sent = limpet_sent_in(tap_stats);
    delivery->numbers = *(volatile __u64 *)&delivery->sent->numbers;
    if (!delivery->sent->receiver_plus_one || delivery->sent->slot != segment->slot ||
        (__u32)delivery->numbers != bpf_htonl(segment->sequence))
        return NULL;
    receiver = limpet_connection_at(delivery->sent->receiver_plus_one - 1);
    holder = receiver ? receiver->head.cookie : 0;
    if (!holder || holder & LIMPET_COOKIE_MARKS || receiver->head.verdict != limpet_parser_number)
        return NULL;
    delivery->segment = *segment;
    delivery->segment.flags &= ~LIMPET_SEGMENT_EGRESS;
    return delivery->receiver = receiver;
}

/* Returns 0 where the receiver is busy. */
static __always_inline int limpet_enter_receiver(const struct limpet_delivery *delivery)
{
    return limpet_try_to_enter(delivery->receiver);
}

/* `is_taken`: the tap is not to hand the segment over again. In one word, which another segment's numbers do not match. */
static __always_inline void limpet_leave_receiver(const struct limpet_delivery *delivery, int is_taken)
{
    limpet_leave(delivery->receiver, 0);
    if (is_taken)
        *(volatile __u64 *)&delivery->sent->numbers = ~delivery->numbers;
}
