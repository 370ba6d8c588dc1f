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
#include "http_scan.bpf.h"
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
    ADVANCE_ANSWERED, /* a response has come to its end: the caller calls end_response, on a stack without the window */
    ADVANCE_TUNNEL,   /* the same, and both ends have agreed to speak something else behind it */
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

static __always_inline __u32 answered(const struct http_half *responses, __u16 generation)
{
    return responses->generation == generation ? responses->count : 0;
}

/* Requests queued on the connection of this generation. */
static __always_inline __u32 queued(const struct http_queue *queue, __u16 generation)
{
    return queue->generation == generation ? queue->count : 0;
}

/* Begins a half anew for the connection that now has the slot. The cached row and head belong to the old one. */
static __always_inline void begin_half(struct http_half *half, __u16 generation, __u16 workload)
{
    __builtin_memset(half, 0, sizeof(*half));
    half->generation = generation;
    half->workload = workload;
}

/* Only stores to the queue: so its line need not come back from the other CPU first. */
static __always_inline void queue_request(struct http_queue *queue, struct http_half *half)
{
    __u64 request = half->first_ns << 4 | half->method;

    queue->older[half->count & (QUEUE_LENGTH - 1)] = request;
    queue->newest = request;
    queue->generation = half->generation;
    queue->workload = half->workload;
    half->count++;
    half->flags |= HALF_IS_CONFIRMED;
    queue->count = half->count;
}

/* The request of this number: start_ns << 4 | method. */
static __always_inline __u64 request_at(const struct http_queue *queue, __u32 number)
{
    return number + 1 == queue->count ? queue->newest : queue->older[number & (QUEUE_LENGTH - 1)];
}

/* Takes the request at the queue's front off and counts it. `error` says how it ended; ERROR_NONE: whole. `peer` is the
 * server, at the client's end. */
static __always_inline void finish_front(struct http_slot *slot, __u32 response_direction, __u8 error, __u64 now_ns,
                                         const struct peer *peer)
{
    struct http_half *responses = &slot->halves[response_direction & 1];
    __u64 request = request_at(&slot->queue, responses->count);
    __u64 start_ns = request >> 4;
    int has_begun = responses->state != STATE_START && responses->state != STATE_LOST;
    struct outcome outcome = {
        .duration_ns = elapsed(start_ns, now_ns),
        .first_byte_ns = has_begun ? elapsed(start_ns, responses->first_ns) : NO_FIRST_BYTE,
        .status = has_begun ? responses->status : 0,
        .method = request & 15,
        .error = error,
    };

    responses->count++;
    if (response_direction == EGRESS)
        count_at_server(responses, &outcome);
    else
        count_at_client(responses, &outcome, peer);
}

/* finish_front for callers in a loop. Not static: the verifier looks at it once instead of once per round. */
__noinline int finish_request(struct http_slot *slot, __u32 response_direction, __u32 error, __u64 now_ns,
                              struct peer *peer)
{
    if (slot && peer)
        finish_front(slot, response_direction, (__u8)error, now_ns, peer);
    return 0;
}

/* The connection ends, or is given up, with requests unanswered: each counts once, with `error`. */
static __noinline void abandon(struct http_slot *slot, __u32 request_direction, __u8 error, struct peer *peer)
{
    struct http_half *responses = &slot->halves[!(request_direction & 1)];
    __u64 now_ns = bpf_ktime_get_ns();

    if (responses->generation != slot->queue.generation)
        begin_half(responses, slot->queue.generation, slot->queue.workload);
    for (__u32 i = 0; i < ABANDONED_AT_MOST && responses->count != slot->queue.count; i++) {
        finish_request(slot, !(request_direction & 1), error, now_ns, peer);
        responses->state = STATE_START;
    }
    if (responses->count != slot->queue.count)
        limpet_count(LIMPET_STAT_UNSEEN_LIMIT);
    responses->count = slot->queue.count;
}

/* The last byte of the response being read has passed. Not static, as finish_request. */
__noinline int end_response(struct __sk_buff *skb, struct http_slot *slot, struct run *run)
{
    struct http_half *responses;
    struct peer peer = {};

    if (!slot || !run)
        return 0;
    responses = &slot->halves[run->direction & 1];
    if (responses->count != queued(&slot->queue, responses->generation)) {
        if (run->direction == INGRESS)
            peer_of_packet(skb, INGRESS, &peer);
        finish_front(slot, run->direction & 1, ERROR_NONE, clock_of(skb, run), &peer);
    }
    responses->state = STATE_START;
    return 0;
}

/* The body that a head announces; STATE_START: none. */
static __always_inline __u8 body_of_head(struct http_half *half, __u8 state_without_length)
{
    half->line = LINE_START;
    if (half->flags & HALF_IS_CHUNKED) {
        half->body_left = 0;
        return STATE_CHUNK_SIZE;
    }
    if (!(half->flags & HALF_HAS_LENGTH))
        return state_without_length;
    return half->body_left ? STATE_BODY : STATE_START;
}

/* Decides where the response ends (RFC 9112, 6.3). */
static __always_inline int end_response_head(const struct http_queue *queue, struct http_half *half)
{
    __u8 method;

    if (half->status / 100 == 1 && half->status != 101) {
        half->state = STATE_START; /* an interim response; the final one follows */
        return ADVANCE_OK;
    }
    if (half->status == 204 || half->status == 304)
        return ADVANCE_ANSWERED;
    method = request_at(queue, half->count) & 15;
    if (half->status == 101 || (method == METHOD_CONNECT && half->status / 100 == 2))
        return ADVANCE_TUNNEL;
    if (method == METHOD_HEAD)
        return ADVANCE_ANSWERED;
    half->state = body_of_head(half, STATE_UNTIL_CLOSE);
    if (half->state != STATE_START)
        return ADVANCE_OK;
    half->state = STATE_BODY; /* of no bytes: the response has begun, all the same */
    return ADVANCE_ANSWERED;
}

static __always_inline int end_head(const struct http_queue *queue, struct http_half *half)
{
    if (!(half->flags & HALF_CARRIES_REQUESTS))
        return end_response_head(queue, half);
    half->state = body_of_head(half, STATE_START);
    return ADVANCE_OK;
}

static __always_inline int end_message(struct http_half *half)
{
    if (!(half->flags & HALF_CARRIES_REQUESTS))
        return ADVANCE_ANSWERED;
    half->state = STATE_START;
    return ADVANCE_OK;
}

/* A body of known length: passed over unread. */
static __always_inline int skip_body(struct http_half *half, struct run *run)
{
    __u64 length = run->end - run->position;

    if (length > half->body_left)
        length = half->body_left;
    half->body_left -= length;
    run->position += (__u32)length;
    if (half->body_left)
        return ADVANCE_OK;
    if (half->state == STATE_BODY)
        return end_message(half);
    half->state = STATE_CHUNK_SIZE;
    half->line = CHUNK_BREAK;
    return ADVANCE_OK;
}

/* The first byte of a message is about to be read. */
static __always_inline void begin_message(const struct __sk_buff *skb, struct http_half *half, struct run *run)
{
    if (half->state == STATE_START) {
        half->state = half->flags & HALF_CARRIES_REQUESTS ? STATE_REQUEST_LINE : STATE_STATUS_LINE;
        half->line = LINE_START;
        half->status = 0;
        half->head_bytes = 0;
        half->body_left = 0;
        half->flags &= ~(HALF_HAS_LENGTH | HALF_IS_CHUNKED);
    }
    half->first_ns = clock_of(skb, run);
}

/* The bytes are not HTTP/1: nobody's connection yet, or a boundary that was lost. */
static __always_inline int fail_reading(struct http_half *half, struct run *run)
{
    if (!(half->flags & HALF_IS_CONFIRMED) && half->flags & (HALF_IS_FRESH | HALF_CARRIES_REQUESTS))
        return ADVANCE_NOT_HTTP;
    limpet_count(LIMPET_STAT_UNSEEN_DESYNC);
    half->state = STATE_LOST;
    run->position = run->end;
    return ADVANCE_OK;
}

/* Copies `size` bytes of the segment, 1 to WINDOW_BYTES, to a window of zeros. */
static __always_inline long load_window(struct __sk_buff *skb, const struct run *run, struct reader *reader, __u32 size)
{
    asm volatile("" : "+r"(size));
    size = ((size - 1) & (WINDOW_BYTES - 1)) + 1; /* changes nothing; tells the verifier that it is not 0 */
    __builtin_memset(reader, 0, sizeof(*reader));
    reader->size = size;
    return bpf_skb_load_bytes(skb, run->position, reader->window, size);
}

/* Remembers the head that fills the reader's window up to its place, for repeat_head. */
static __always_inline void remember_head(const struct reader *reader, struct http_half *half)
{
    half->head_bytes = (__u16)reader->at;
    half->head_length = half->body_left;
    half->head_hash = hash_of_head(reader->window, reader->at);
}

/* Copies the next bytes of the segment and reads the lines in them. */
static __always_inline int read_window(struct __sk_buff *skb, struct http_slot *slot, struct run *run)
{
    struct http_half *half = &slot->halves[run->direction & 1];
    int begins = half->state <= STATE_STATUS_LINE;
    __u32 size = run->end - run->position;
    struct reader reader;

    if (size > WINDOW_BYTES)
        size = WINDOW_BYTES;
    if (load_window(skb, run, &reader, size))
        return fail_reading(half, run);
    if (!can_scan(half) || !scan_head(&reader, half))
        read_lines(&reader, half);
    else if (begins && reader.reading == READING_HEAD_ENDED)
        remember_head(&reader, half);
    if (reader.has_request)
        queue_request(&slot->queue, half);
    run->position += reader.at;
    if (reader.reading == READING_GOES_ON)
        return ADVANCE_OK;
    if (reader.reading == READING_FAILED)
        return fail_reading(half, run);
    if (reader.reading == READING_BODY_ENDED)
        return end_message(half);
    return end_head(&slot->queue, half);
}

/* Looks for a message at a segment's start after the boundary was lost. The answers in between are lost as well: the next
 * one is taken for that of the newest request. */
static __always_inline void find_boundary(struct __sk_buff *skb, struct http_slot *slot, struct run *run)
{
    struct http_half *half = &slot->halves[run->direction & 1];
    __u32 requests = queued(&slot->queue, half->generation);
    __u64 head = 0;
    __u8 method;

    if (!bpf_skb_load_bytes(skb, run->position, &head, sizeof(head))) {
        if (half->flags & HALF_CARRIES_REQUESTS) {
            if (common_method(head, &method))
                half->state = STATE_START;
        } else if (BEGINS_WITH(head, 0x2e312f50545448ULL, 56)) {
            half->state = STATE_START;
            if (requests != half->count)
                half->count = requests - 1;
        }
    }
    if (half->state == STATE_LOST)
        run->position = run->end;
}

/* The shortcut for a message whose head is the one before it, byte for byte: takes it over with all that was found out
 * about it, and what of its body stands in the segment. Leaves run->position alone when the head is another one. */
__noinline int repeat_head(struct __sk_buff *skb, struct http_slot *slot, struct run *run)
{
    struct http_half *half;
    struct reader reader;
    __u32 size;
    int result;

    if (!slot || !run)
        return ADVANCE_OK;
    half = &slot->halves[run->direction & 1];
    size = half->head_bytes;
    if (load_window(skb, run, &reader, size))
        return ADVANCE_OK;
    if (hash_of_head(reader.window, reader.size) != half->head_hash) {
        half->misses++;
        return ADVANCE_OK;
    }
    half->misses = 0;
    half->first_ns = clock_of(skb, run);
    half->body_left = half->head_length;
    half->state = STATE_HEADERS;
    run->position += size;
    if (half->flags & HALF_CARRIES_REQUESTS)
        queue_request(&slot->queue, half);
    result = end_head(&slot->queue, half);
    if (result == ADVANCE_OK && half->state == STATE_BODY && run->position < run->end)
        return skip_body(half, run);
    return result;
}

/* True where repeat_head is worth a try. Behind a few misses in a row only one message in 16 tries. */
static __always_inline int may_repeat(const struct http_half *half, const struct run *run)
{
    return half->state == STATE_START && half->head_bytes && run->end - run->position >= half->head_bytes &&
           (half->misses < 4 || !(half->count & 15));
}

/* One step: a window of lines, or what of a body the segment holds. Not static, as finish_request. */
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
    if (half->state == STATE_BODY || half->state == STATE_CHUNK_DATA)
        return skip_body(half, run);
    if (half->state == STATE_START || (half->state <= STATE_STATUS_LINE && half->line == LINE_START))
        begin_message(skb, half, run);
    return read_window(skb, slot, run);
}
