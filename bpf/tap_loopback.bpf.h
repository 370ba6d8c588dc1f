/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * What a host sends to itself (limpet/loopback.bpf.h). Part of the tap's object.
 *
 * What is known of a segment that is sent is kept for the moment when it is received: when it was sent, so that the clock need not be
 * read again, and by which connection. From the second segment of each direction on both ends know each other's slots, and the
 * lines of both are fetched at once: these waits are the dearest part of the tap.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "connection_table.bpf.h"
#include "limpet/loopback.bpf.h"
#include "tap_context.bpf.h"

/* A segment's sequence and acknowledgement numbers, as they are in its header. */
static __always_inline __u64 numbers_of(const __u8 *tcp)
{
    return *(const __u64 *)(const void *)(tcp + 4);
}

/* True for the segment that this CPU has sent last, now received. `device`: through which; 0: it is being sent. */
static __always_inline int was_sent_last(__u32 device, const __u8 *tcp, const struct limpet_sent *sent)
{
    return device == LOOPBACK_INDEX && sent->numbers == numbers_of(tcp);
}

/* True where its sender has dealt with it for both ends. */
static __always_inline int was_dealt_with(__u32 device, const __u8 *tcp, const struct limpet_sent *sent)
{
    return device == LOOPBACK_INDEX && sent->numbers == ~numbers_of(tcp);
}

/* The number + 1 of the slot at the other end, as far as is known; 0: it is not. */
static __always_inline __u32 peer_of(__u32 slot)
{
    return *(volatile __u16 *)peer_word(slot);
}

/* Has the lines of slot `peer` - 1 fetched: the one that is written by a store, as connection_touch does, the one that is read by a load
 * that nobody waits for. */
static __always_inline void fetch_peer(__u32 peer, __u16 age)
{
    struct limpet_connection *connection = connection_touch(peer - 1, age);

    if (connection)
        asm volatile("" : : "r"(holder_of(connection)));
}

/* The number + 1 of the slot that the sender's parser may deal with as well; 0: none. Both ends must say so. What waits in a queue is
 * received later, and samples are drawn when it is. */
static __always_inline __u32 receiver_of(struct __sk_buff *skb, __u32 slot, __u64 control)
{
    __u32 peer = peer_of(slot);

    return peer && peer_of(peer - 1) == slot + 1 && limpet_level_in(control) < LIMPET_LEVEL_SAMPLED &&
                   goes_without_queue(skb)
               ? peer
               : 0;
}

static __always_inline void note_sent(struct limpet_sent *sent, const __u8 *tcp, __u32 slot, __u32 receiver,
                                      __u64 time_ns)
{
    sent->time_ns = time_ns;
    sent->slot = slot;
    sent->receiver_plus_one = receiver;
    asm volatile("" ::: "memory");
    sent->numbers = numbers_of(tcp);
}

/* The sender of the segment that was sent last is told whom it talks to. It may be told wrongly, where fields are of two segments:
 * whoever deals with a receiver looks whether the segment is the next one there. */
static __always_inline void introduce_peer(const struct limpet_sent *sent, __u32 slot)
{
    if (peer_of(sent->slot) != slot + 1)
        *peer_word(sent->slot) = slot + 1;
}
