/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * DNS over TCP (RFC 1035, 4.2.2): messages behind two bytes of length, cut into segments anywhere.
 *
 * The length and the header are put together over segments; what follows is read from the segment in which it begins. A message whose
 * question goes on in another segment counts under the name and type "other".
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "dns_exchange.bpf.h"
#include "dns_message.bpf.h"
#include "limpet/stream.bpf.h"

#define FRAME_BYTES (2 + HEADER_BYTES)
#define MESSAGES_PER_SEGMENT 512

/* One direction of a connection. */
struct dns_half {
    __u32 next_sequence; /* of the first byte not read yet */
    __u32 body_left;     /* bytes of the message still to come that are passed over */
    __u8 is_met;         /* next_sequence is valid */
    __u8 frame_bytes;    /* of `frame` that have come */
    __u8 padding[2];
    union {
        struct {
            __be16 length;
            struct dns_header header;
        } __attribute__((packed));
        __u8 frame[32]; /* longer than it need be, for the verifier */
    };
};

struct dns_connection {
    struct limpet_connection_head head;
    __u8 known[48];
    __u16 of_the_agent[4];     /* last_used; no request is ever begun */
    struct dns_half halves[2]; /* received, sent */
};
_Static_assert(sizeof(struct dns_connection) <= LIMPET_CONNECTION_BYTES &&
                   __builtin_offsetof(struct dns_connection, of_the_agent) ==
                       __builtin_offsetof(struct limpet_connection, last_used),
               "fits the tap's slot");

/* One segment on its way. */
struct stream_run {
    __u32 position; /* next byte to read, counted from the packet's start */
    __u32 end;
    __u32 is_egress;
    __u32 padding;
};

/* The frame is whole, and the first byte behind it is here, if there is one. */
static __always_inline void take_frame(struct __sk_buff *skb, struct dns_connection *connection, struct dns_half *half,
                                       struct stream_run *run)
{
    __u32 length = bpf_ntohs(half->length);
    __u32 body = length - HEADER_BYTES, seen = run->end - run->position;
    struct message message = {
        .socket = limpet_cookie_of(&connection->head),
        .workload = connection->head.workload,
        .is_egress = run->is_egress != 0,
        .body = run->position,
    };

    if (seen > body)
        seen = body;
    message.end = run->position + seen;
    message.is_cut = seen < body;
    read_header(&message, &half->header);
    half->frame_bytes = 0;
    half->body_left = body - seen;
    run->position += seen;
    take_message(skb, &message);
}

/* Puts bytes of the segment into the frame, up to `wanted` of them. */
static __always_inline void gather(struct __sk_buff *skb, struct dns_half *half, struct stream_run *run, __u32 wanted)
{
    __u32 have = half->frame_bytes & 15, more;

    if (have >= wanted || run->position >= run->end)
        return;
    more = run->end - run->position - 1;
    if (more > wanted - have - 1)
        more = wanted - have - 1;
    asm volatile("" : "+r"(more)); /* one less than what is loaded, as in read_question */
    more = (more & 15) + 1;
    if (bpf_skb_load_bytes(skb, run->position, half->frame + have, more))
        return;
    half->frame_bytes = (__u8)(have + more);
    run->position += more;
}

/* Reads on by one piece. A function of its own, that the verifier looks at once instead of once per round. */
__noinline int read_piece(struct __sk_buff *skb, struct stream_run *run)
{
    struct dns_connection *connection = (void *)limpet_connection_at(limpet_segment_of(skb).slot);
    struct dns_half *half;
    __u32 count, length;

    if (!connection || !run)
        return 0;
    half = &connection->halves[run->is_egress != 0];
    if (half->body_left) {
        count = run->end - run->position;
        if (count > half->body_left)
            count = half->body_left;
        half->body_left -= count;
        run->position += count;
        return 0;
    }
    gather(skb, half, run, 2);
    if (half->frame_bytes < 2)
        return 0;
    length = bpf_ntohs(half->length);
    if (length < HEADER_BYTES) {
        half->frame_bytes = 0;
        half->body_left = length;
        return count_malformed(connection->head.workload);
    }
    gather(skb, half, run, FRAME_BYTES);
    if (half->frame_bytes == FRAME_BYTES && (run->position < run->end || length == HEADER_BYTES))
        take_frame(skb, connection, half, run);
    return 0;
}

/* Where in its direction the segment begins. Returns how many of its bytes have been read before. Behind a hole the next message is
 * taken to begin with the segment. */
static __always_inline __u32 place_segment(struct dns_half *half, const struct limpet_segment *segment)
{
    __s32 ahead;

    if (!half->is_met) {
        half->is_met = 1;
        half->next_sequence = segment->sequence;
    }
    ahead = (__s32)(segment->sequence - half->next_sequence);
    if (ahead <= 0)
        return (__u32)-ahead;
    limpet_count(LIMPET_STAT_UNSEEN_DESYNC);
    half->frame_bytes = 0;
    half->body_left = 0;
    return 0;
}

static __always_inline void read_segment(struct __sk_buff *skb, struct dns_connection *connection)
{
    struct limpet_segment segment = limpet_segment_of(skb);
    struct stream_run run = {.is_egress = segment.flags & LIMPET_SEGMENT_EGRESS ? 1 : 0};
    struct dns_half *half = &connection->halves[run.is_egress];
    __u32 passed_over = place_segment(half, &segment);

    if (passed_over >= segment.length)
        return;
    run.position = segment.offset + passed_over;
    run.end = segment.offset + segment.length;
    for (int i = 0; i < MESSAGES_PER_SEGMENT && run.position < run.end; i++)
        read_piece(skb, &run);
    if (run.position < run.end) {
        limpet_count(LIMPET_STAT_UNSEEN_LIMIT);
        half->frame_bytes = 0;
        half->body_left = 0;
    }
    half->next_sequence = segment.sequence + segment.length;
}
