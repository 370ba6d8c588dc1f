/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * What a host sends to itself. Part of the tap's object.
 *
 * A segment over loopback passes egress at one end and, a microsecond later and on the same CPU, ingress at the other. What
 * is known of it is kept for that moment: when it was sent, so that the clock need not be read again, and by which
 * connection. That one remembers the slot of its peer, and has its lines fetched with the next segment, while the network
 * stack is at work: the wait for them was the dearest part of the tap.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "connection_table.bpf.h"
#include "limpet/stats.bpf.h"
#include "tap_context.bpf.h"

#define LOOPBACK_INDEX 1 /* in every network namespace (include/net/net_namespace.h) */

/* The last segment that this CPU has sent. Where an interrupt sends another one in between, the time or the slots are that
 * one's: the time is before this segment arrives, all the same, and slots are only where to look first. In the line of the
 * run counters, where programs 1 to 3 would have theirs: a line of its own took back half of what all this is worth. */
enum {
    SENT_NS = LIMPET_RUNS(1),
    SENT_SLOTS = LIMPET_RUNS(2), /* the sender's; << 16 its peer's with LIMPET_PEER, or 0 */
    SENT_NUMBERS = LIMPET_RUNS(3),
};

_Static_assert(LIMPET_CONNECTIONS <= LIMPET_PEER, "slots and their numbers + 1 leave the bit free");

/* A segment's sequence and acknowledgement numbers, as they are in its header. */
static __always_inline __u64 numbers_of(const __u8 *tcp)
{
    return *(const __u64 *)(const void *)(tcp + 4);
}

/* True for the segment that this CPU has sent last, now received. */
static __always_inline int was_sent_last(const struct __sk_buff *skb, const __u8 *tcp, const struct limpet_stats *stats)
{
    return skb->ingress_ifindex == LOOPBACK_INDEX && stats->values[SENT_NUMBERS] == numbers_of(tcp);
}

/* `peer`: what fetch_peer has returned. */
static __always_inline void note_sent(struct limpet_stats *stats, const __u8 *tcp, __u32 slot, __u32 peer,
                                      __u64 time_ns)
{
    stats->values[SENT_NS] = time_ns;
    stats->values[SENT_SLOTS] = slot | peer << 16;
    asm volatile("" ::: "memory");
    stats->values[SENT_NUMBERS] = numbers_of(tcp);
}

/* Has the peer's lines fetched: the one that it will write by a store, as connection_touch does, the one that it will read by a
 * load that nobody waits for. Returns the peer's slot with LIMPET_PEER; 0 where it is not known. */
static __always_inline __u32 fetch_peer(const struct limpet_connection *connection)
{
    __u32 other = connection->head.other;
    struct limpet_connection *peer;

    if (!(other & LIMPET_PEER))
        return 0;
    peer = limpet_connection_at(other & ~LIMPET_PEER);
    if (!peer)
        return 0;
    peer->last_used = connection_age();
    asm volatile("" : : "r"(holder_of(peer)));
    return other;
}

/* The receiver of the segment that was sent last, if its sender knows it. */
static __always_inline struct limpet_connection *known_peer(const struct limpet_stats *stats, __u64 cookie, __u32 *slot)
{
    __u32 slots = (__u32)stats->values[SENT_SLOTS];
    struct limpet_connection *peer;

    if (!(slots >> 31))
        return NULL;
    *slot = slots >> 16 & (LIMPET_PEER - 1);
    peer = limpet_connection_at(*slot);
    return peer && peer->head.cookie == cookie ? peer : NULL;
}

/* The sender of the segment that was sent last is told whom it talks to. Its slot may be about to change hands: an alias that
 * is entered at this moment stays. */
static __always_inline void introduce_peer(const struct limpet_stats *stats, __u32 slot)
{
    struct limpet_connection *sender = limpet_connection_at((__u32)stats->values[SENT_SLOTS] & (LIMPET_PEER - 1));
    __u32 *word, seen;

    if (!sender || sender->head.other == (slot | LIMPET_PEER) || limpet_alias_of(&sender->head))
        return;
    word = (__u32 *)(void *)&sender->head.other;
    seen = *(volatile __u32 *)word;
    if ((seen & 0xffff) - 1 >= LIMPET_PEER - 1) /* still no alias; the lower half is the lower address */
        __sync_val_compare_and_swap(word, seen, (seen & 0xffff0000) | slot | LIMPET_PEER);
}
