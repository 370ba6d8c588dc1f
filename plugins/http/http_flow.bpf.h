/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The life of requests and responses on one connection: where a message begins and ends, which request a response answers,
 * when it counts. RFC 9112, 6.
 *
 * A request is queued when its first line is whole, and counted when the last byte of its response has passed. A response
 * counts only if a request is queued; bodies are passed over by their length and never looked at.
 */
#pragma once

#include "http_lines.bpf.h"
#include "http_series.bpf.h"
#include "http_shared.h"
#include "limpet/stream.bpf.h"

/* Requests that are counted one by one when a connection ends without their answers; more are let go. */
#define ABANDONED_AT_MOST 64

/* One segment on its way through the state machine. */
struct run {
    __u64 now_ns;    /* 0: not asked for yet */
    __u32 position;  /* next byte to read, counted from the packet's start */
    __u32 end;
    __u32 direction; /* enum http_direction */
    __u32 padding;
};

enum advance_result {
    ADVANCE_OK = 0,
    ADVANCE_NOT_HTTP, /* the first line that a direction sent is not HTTP/1's */
    ADVANCE_TUNNEL,   /* both ends have agreed to speak something else */
};

/* TCP stamps what it sends with its monotonic send time; a received segment carries no usable stamp. */
static __always_inline __u64 clock_of(const struct __sk_buff *skb, struct run *run)
{
    if (!run->now_ns && run->direction == EGRESS)
        run->now_ns = skb->tstamp;
    if (!run->now_ns)
        run->now_ns = bpf_ktime_get_ns();
    return run->now_ns;
}

/* Two clocks meet here: a send stamp may be a little older than a receive time. */
static __always_inline __u64 elapsed(__u64 from_ns, __u64 to_ns)
{
    return to_ns > from_ns ? to_ns - from_ns : 0;
}

static __always_inline int carries_requests(const struct http_half *half, __u16 generation)
{
    return half->generation == generation && half->flags & HALF_CARRIES_REQUESTS;
}

/* Requests that wait for their answer. The responses' half may still be the one of the slot's last connection. */
static __always_inline __u32 unanswered(const struct http_half *requests, const struct http_half *responses)
{
    return requests->count - (responses->generation == requests->generation ? responses->count : 0);
}

/* Begins a half anew for the connection that now has the slot. The cached row belongs to the old one. */
static __always_inline void begin_half(struct http_half *half, __u16 generation, __u16 workload)
{
    __builtin_memset(half, 0, sizeof(*half));
    half->generation = generation;
    half->workload = workload;
}

/* Takes the request at the queue's front off and counts it. `error` says how it ended; ERROR_NONE: whole. `peer` is the
 * server, at the client's end. Not static: the verifier looks at it once instead of once per caller. */
__noinline int finish_request(struct http_slot *slot, __u32 response_direction, __u32 error, __u64 now_ns,
                              struct peer *peer)
{
    struct http_half *responses;
    struct outcome outcome;
    __u64 request, start_ns;
    int has_begun;

    if (!slot || !peer)
        return 0;
    responses = &slot->halves[response_direction & 1];
    request = slot->queue[responses->count & (QUEUE_LENGTH - 1)];
    start_ns = request >> 4;
    has_begun = responses->state != STATE_START && responses->state != STATE_LOST;
    outcome.duration_ns = elapsed(start_ns, now_ns);
    outcome.first_byte_ns = has_begun ? elapsed(start_ns, responses->first_ns) : NO_FIRST_BYTE;
    outcome.status = has_begun ? responses->status : 0;
    outcome.method = request & 15;
    outcome.error = (__u8)error;
    responses->count++;
    if (response_direction == EGRESS)
        count_at_server(responses, &outcome);
    else
        count_at_client(responses, &outcome, peer);
    return 0;
}

/* The connection ends, or is given up, with requests unanswered: each counts once, with `error`. */
static __noinline void abandon(struct http_slot *slot, __u32 request_direction, __u8 error, struct peer *peer)
{
    struct http_half *requests = &slot->halves[request_direction & 1];
    struct http_half *responses = &slot->halves[!(request_direction & 1)];
    __u64 now_ns = bpf_ktime_get_ns();

    if (responses->generation != requests->generation)
        begin_half(responses, requests->generation, requests->workload);
    for (__u32 i = 0; i < ABANDONED_AT_MOST && responses->count != requests->count; i++) {
        finish_request(slot, !(request_direction & 1), error, now_ns, peer);
        responses->state = STATE_START;
    }
    responses->count = requests->count;
}

/* The last byte of the response being read has passed. */
static __always_inline void end_response(const struct __sk_buff *skb, struct http_slot *slot, struct run *run)
{
    struct http_half *responses = &slot->halves[run->direction & 1];
    struct http_half *requests = &slot->halves[!(run->direction & 1)];
    struct peer peer = {};

    if (responses->count != requests->count) {
        if (run->direction == INGRESS)
            peer_of_packet(skb, INGRESS, &peer);
        finish_request(slot, run->direction & 1, ERROR_NONE, clock_of(skb, run), &peer);
    }
    responses->state = STATE_START;
}

/* The body that a head announces; STATE_START: none. */
static __always_inline __u8 body_of_head(struct http_half *half, __u8 state_without_length)
{
    half->line = LINE_START;
    half->scratch = 0;
    if (half->flags & HALF_IS_CHUNKED)
        return STATE_CHUNK_SIZE;
    if (!(half->flags & HALF_HAS_LENGTH))
        return state_without_length;
    return half->body_left ? STATE_BODY : STATE_START;
}

/* Decides where the response ends (RFC 9112, 6.3). */
static __always_inline int end_response_head(const struct __sk_buff *skb, struct http_slot *slot, struct run *run)
{
    struct http_half *half = &slot->halves[run->direction & 1];
    __u8 method = slot->queue[half->count & (QUEUE_LENGTH - 1)] & 15;
    __u8 body;

    if (half->status / 100 == 1 && half->status != 101) {
        half->state = STATE_START; /* an interim response; the final one follows */
        return ADVANCE_OK;
    }
    if (half->status == 101 || (method == METHOD_CONNECT && half->status / 100 == 2)) {
        end_response(skb, slot, run);
        return ADVANCE_TUNNEL;
    }
    if (method == METHOD_HEAD || half->status == 204 || half->status == 304)
        body = STATE_START;
    else
        body = body_of_head(half, STATE_UNTIL_CLOSE);
    if (body == STATE_START)
        end_response(skb, slot, run);
    else
        half->state = body;
    return ADVANCE_OK;
}

static __always_inline void end_message(const struct __sk_buff *skb, struct http_slot *slot, struct run *run)
{
    struct http_half *half = &slot->halves[run->direction & 1];

    if (half->flags & HALF_CARRIES_REQUESTS)
        half->state = STATE_START;
    else
        end_response(skb, slot, run);
}

/* A body of known length: passed over unread. */
static __always_inline void skip_body(const struct __sk_buff *skb, struct http_slot *slot, struct run *run)
{
    struct http_half *half = &slot->halves[run->direction & 1];
    __u64 length = run->end - run->position;

    if (length > half->body_left)
        length = half->body_left;
    half->body_left -= length;
    run->position += (__u32)length;
    if (half->body_left)
        return;
    if (half->state == STATE_BODY) {
        end_message(skb, slot, run);
    } else {
        half->state = STATE_CHUNK_SIZE;
        half->line = CHUNK_BREAK;
    }
}

/* The first byte of a message is about to be read. */
static __always_inline void begin_message(const struct __sk_buff *skb, struct http_half *half, struct run *run)
{
    if (half->state == STATE_START) {
        half->state = half->flags & HALF_CARRIES_REQUESTS ? STATE_REQUEST_LINE : STATE_STATUS_LINE;
        half->line = LINE_START;
        half->status = 0;
        half->body_left = 0;
        half->flags &= ~(HALF_HAS_LENGTH | HALF_IS_CHUNKED);
    }
    half->first_ns = clock_of(skb, run);
}

static __always_inline void queue_request(struct http_slot *slot, struct http_half *half)
{
    slot->queue[half->count & (QUEUE_LENGTH - 1)] = half->first_ns << 4 | half->method;
    half->count++;
    half->flags |= HALF_IS_CONFIRMED;
}

/* The bytes are not HTTP/1: nobody's connection yet, or a boundary that was lost. */
static __always_inline int fail_reading(struct http_slot *slot, struct http_half *half, struct run *run)
{
    if (!(half->flags & HALF_IS_CONFIRMED) && half->flags & HALF_IS_FRESH)
        return ADVANCE_NOT_HTTP;
    if (half->flags & HALF_CARRIES_REQUESTS && !(half->flags & HALF_IS_CONFIRMED))
        return ADVANCE_NOT_HTTP;
    limpet_count(LIMPET_STAT_UNSEEN_DESYNC);
    half->state = STATE_LOST;
    run->position = run->end;
    return ADVANCE_OK;
}

/* Copies the next bytes of the segment and reads the lines in them. */
static __always_inline int read_window(struct __sk_buff *skb, struct http_slot *slot, struct run *run)
{
    struct http_half *half = &slot->halves[run->direction & 1];
    __u32 size = run->end - run->position;
    struct reader reader;

    if (size > WINDOW_BYTES)
        size = WINDOW_BYTES;
    asm volatile("" : "+r"(size));
    size = ((size - 1) & (WINDOW_BYTES - 1)) + 1; /* changes nothing; tells the verifier that it is not 0 */
    __builtin_memset(&reader, 0, sizeof(reader));
    reader.size = size;
    if (bpf_skb_load_bytes(skb, run->position, reader.window, size))
        return fail_reading(slot, half, run);
    read_lines(&reader, half);
    if (reader.has_request)
        queue_request(slot, half);
    run->position += reader.at;
    if (reader.reading == READING_GOES_ON)
        return ADVANCE_OK;
    if (reader.reading == READING_FAILED)
        return fail_reading(slot, half, run);
    if (reader.reading == READING_BODY_ENDED)
        end_message(skb, slot, run);
    else if (half->flags & HALF_CARRIES_REQUESTS)
        half->state = body_of_head(half, STATE_START);
    else
        return end_response_head(skb, slot, run);
    return ADVANCE_OK;
}

/* Looks for a message at a segment's start after the boundary was lost. The answers in between are lost as well: the next
 * one is taken for that of the newest request. */
static __always_inline void find_boundary(struct __sk_buff *skb, struct http_slot *slot, struct run *run)
{
    struct http_half *half = &slot->halves[run->direction & 1];
    struct http_half *other = &slot->halves[!(run->direction & 1)];
    __u8 method, head[8] = {0};
    __u64 word;

    if (bpf_skb_load_bytes(skb, run->position, head, sizeof(head))) {
        run->position = run->end;
        return;
    }
    word = word_at(head);
    if (half->flags & HALF_CARRIES_REQUESTS) {
        if (common_method(word, &method))
            half->state = STATE_START;
    } else if (BEGINS_WITH(word, 0x2e312f50545448ULL, 56)) {
        half->state = STATE_START;
        if (other->count != half->count)
            half->count = other->count - 1;
    }
    if (half->state == STATE_LOST)
        run->position = run->end;
}

/* One step: a window of lines, or what of a body the segment holds. A function of its own, and not static, so that the
 * verifier looks at it once instead of once per step. */
__noinline int advance(struct __sk_buff *skb, struct http_slot *slot, struct run *run)
{
    struct http_half *half;

    if (!slot || !run)
        return ADVANCE_OK;
    half = &slot->halves[run->direction & 1];
    if (half->state == STATE_LOST)
        find_boundary(skb, slot, run);
    if (half->state == STATE_LOST || half->state == STATE_UNTIL_CLOSE || half->state == STATE_TUNNEL) {
        run->position = run->end;
        return ADVANCE_OK;
    }
    if (half->state == STATE_BODY || half->state == STATE_CHUNK_DATA) {
        skip_body(skb, slot, run);
        return ADVANCE_OK;
    }
    if (half->state == STATE_START || (half->state <= STATE_STATUS_LINE && half->line == LINE_START))
        begin_message(skb, half, run);
    return read_window(skb, slot, run);
}
