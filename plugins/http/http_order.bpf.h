/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The order of segments: repeated, missing and early bytes. Rare path: the caller comes here only when a segment does not
 * begin where the last one ended.
 *
 * Retransmitted segments pass the egress hook again; duplicates and reordered ones pass the ingress hook. Bytes that were
 * parsed are passed over. A segment behind a gap is kept and read when the gap has been filled (http_stash.bpf.h). Where there is
 * no room for it, it is noted as a range [ahead_from, ahead_to); when the gap has been filled and parsed, the range is passed
 * over if it lies inside a body, which is what it nearly always does. Where header fields or sizes of chunks stood in such a
 * range, the body's length is not known any more: STATE_BLIND.
 */
#pragma once

#include "http_flow.bpf.h"
#include "limpet/kernel_types.bpf.h"

/* The connection's own TCP state. NULL for early data: a listening socket knows nothing of the connection. */
static __always_inline struct bpf_tcp_sock *tcp_of(const struct __sk_buff *skb)
{
    struct bpf_sock *sk = skb->sk ? bpf_sk_fullsock(skb->sk) : NULL;

    return sk && sk->state != TCP_LISTEN ? bpf_tcp_sock(sk) : NULL;
}

/* One of two members, both of them loaded: else the compiler chooses their offset, which the verifier refuses. */
static __always_inline __u64 by_direction(__u32 direction, __u64 at_ingress, __u64 at_egress)
{
    asm volatile("" : "+r"(at_ingress), "+r"(at_egress));
    return direction == INGRESS ? at_ingress : at_egress;
}

/* The first byte of this direction that the other end has not got yet, as the kernel knows. */
static __always_inline __u32 expected_sequence(const struct bpf_tcp_sock *tcp, __u32 direction)
{
    return (__u32)by_direction(direction, tcp->rcv_nxt, tcp->snd_una);
}

/* True when the kernel has long had the bytes that we miss: they passed before the agent was there. */
static __always_inline int gap_is_ours(struct __sk_buff *skb, const struct http_half *half, __u32 direction)
{
    struct bpf_tcp_sock *tcp = tcp_of(skb);

    return tcp && sequence_distance(expected_sequence(tcp, direction), half->next_sequence) > 0;
}

static __always_inline void note_range(struct http_order *order, __u32 from, __u32 to, int ends)
{
    if (!order->has_range || sequence_distance(from, order->ahead_from) < 0)
        order->ahead_from = from;
    if (!order->has_range || sequence_distance(to, order->ahead_to) > 0) {
        order->ahead_to = to;
        order->range_ends = !!ends;
    }
    order->has_range = 1;
}

/* A segment that came early: kept, or noted at least. */
static __always_inline void note_ahead(struct __sk_buff *skb, struct http_connection *connection,
                                       const struct limpet_segment *segment, __u32 direction)
{
    struct run run = {.end = segment->offset + segment->length};

    connection->halves[direction & 1].flags |= HALF_HAS_AHEAD;
    if (!stash_segment(skb, connection, direction))
        note_range(&connection->order[direction & 1], segment->sequence, segment->sequence + segment->length,
                   segment->length >= 5 && ends_like_last_chunk(skb, &run));
}

/* True where bytes that are missed take the length of the message with them, but not its beginning. */
static __always_inline int loses_sight(const struct http_half *half)
{
    return half->state >= STATE_HEADERS && half->state <= STATE_BLIND && half->state != STATE_BODY;
}

/* Places a segment that does not begin at next_sequence. Returns how many of its bytes not to parse; all of them when it
 * brings nothing that can be parsed now. */
static __always_inline __u32 place_segment(struct __sk_buff *skb, struct http_connection *connection,
                                           const struct limpet_segment *segment, __u32 direction)
{
    struct http_half *half = &connection->halves[direction & 1];
    __s32 distance = sequence_distance(segment->sequence, half->next_sequence);

    if (distance < 0) {
        __u32 repeated = (__u32)-distance;

        return repeated < segment->length ? repeated : segment->length;
    }
    if (!gap_is_ours(skb, half, direction)) {
        note_ahead(skb, connection, segment, direction);
        return segment->length;
    }
    if (half->state == STATE_BODY && half->body_left >= (__u32)distance) {
        half->body_left -= (__u32)distance;
    } else if (loses_sight(half)) {
        half->state = STATE_BLIND;
        half->body_left = segment->time_ns;
        forget_body(&connection->heads[direction & 1]);
    } else if (half->state == STATE_UNTIL_CLOSE) {
        announce_more(&connection->heads[direction & 1], (__u32)distance);
    } else if (half->state != STATE_START) {
        limpet_count(LIMPET_STAT_UNSEEN_DESYNC);
        half->state = STATE_LOST;
    }
    half->next_sequence = segment->sequence;
    connection->order[direction & 1].has_range = 0;
    return 0;
}

/* After parsing up to next_sequence: passes over bytes that had come early and were not kept, once the gap before them is
 * closed. */
static __always_inline void absorb_range(struct __sk_buff *skb, struct http_connection *connection, struct run *run)
{
    struct http_half *half = &connection->halves[run->direction & 1];
    struct http_order *order = &connection->order[run->direction & 1];
    __s32 passed;

    if (!order->has_range || sequence_distance(half->next_sequence, order->ahead_from) < 0)
        return;
    order->has_range = 0;
    passed = sequence_distance(order->ahead_to, half->next_sequence);
    if (passed <= 0)
        return;
    half->next_sequence = order->ahead_to;
    if ((half->state == STATE_BODY || half->state == STATE_CHUNK_DATA) && half->body_left >= (__u32)passed) {
        run->position = 0;
        run->end = (__u32)passed;
        if (skip_body(half, run) == ADVANCE_ANSWERED)
            end_response(skb, connection, run);
    } else if (loses_sight(half)) {
        half->state = STATE_BLIND;
        half->body_left = run->now_ns;
        forget_body(&connection->heads[run->direction & 1]);
        if (order->range_ends && end_message(half) == ADVANCE_ANSWERED)
            end_response(skb, connection, run);
    } else if (half->state == STATE_UNTIL_CLOSE) {
        announce_more(&connection->heads[run->direction & 1], (__u32)passed);
    } else if (half->state != STATE_LOST) {
        limpet_count(LIMPET_STAT_UNSEEN_DESYNC);
        half->state = STATE_LOST;
    }
}

/* All that `run` stood for has been read: goes on with what had come early behind it. Returns 0 when nothing has. Not static:
 * the verifier looks at it once. */
__noinline int read_ahead(struct __sk_buff *skb, struct http_connection *connection, struct run *run)
{
    struct limpet_segment segment = limpet_segment_of(skb);
    struct http_order *order;

    if (!connection || !run)
        return 0;
    order = &connection->order[run->direction & 1];
    if (read_stashed(connection, run, segment.slot))
        return 1;
    absorb_range(skb, connection, run);
    if (read_stashed(connection, run, segment.slot))
        return 1;
    if (!order->stash_plus_one && !order->has_range)
        connection->halves[run->direction & 1].flags &= ~HALF_HAS_AHEAD;
    return 0;
}

/* One step of a segment, or of what had come early behind it: advances, and counts the response where one has come to its end.
 * Not static, as give_up_request. Returns ADVANCE_OK, or what to stop at: ADVANCE_NOT_HTTP to ADVANCE_TLS, ADVANCE_TUNNEL, or
 * ADVANCE_DONE. */
__noinline int step(struct __sk_buff *skb, struct http_connection *connection, struct run *run)
{
    struct http_half *half;
    int result;

    if (!connection || !run)
        return ADVANCE_DONE;
    if (run->position >= run->end) {
        half = &connection->halves[run->direction & 1];
        half->next_sequence = run->end_sequence;
        if (!(half->flags & HALF_HAS_AHEAD) || !read_ahead(skb, connection, run))
            return ADVANCE_DONE;
    }
    result = advance(skb, connection, run);
    if (result == ADVANCE_ANSWERED || result == ADVANCE_TUNNEL)
        end_response(skb, connection, run);
    return result == ADVANCE_ANSWERED ? ADVANCE_OK : result;
}
