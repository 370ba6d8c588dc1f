/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The life of requests and responses on one connection: where a message begins and ends, which request a response answers,
 * when it counts. RFC 9112, 6.
 *
 * A request is queued when its first line is whole or is answered before, and counted when the last byte of its response has
 * passed. A response counts only if a request is queued; bodies are passed over by their length and never looked at.
 */
#pragma once

#include "http_lines.bpf.h"
#include "http_outcome.bpf.h"
#include "http_routes.bpf.h"
#include "http_scan.bpf.h"
#include "http_shared.h"
#include "http_stash.bpf.h"
#include "limpet/stream.bpf.h"

enum advance_result {
    ADVANCE_OK = 0,
    ADVANCE_NOT_HTTP, /* the first line that a direction sent is not HTTP/1's */
    ADVANCE_HTTP2,    /* … it is HTTP/2's */
    ADVANCE_TLS,      /* … it is TLS's */
    ADVANCE_ANSWERED, /* a response has come to its end: the caller calls end_response, on a stack without the window */
    ADVANCE_TUNNEL,   /* the same, and both ends have agreed to speak something else behind it */
    ADVANCE_DONE,     /* all that was there has been read */
};

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

/* The head of a final response has passed and nobody waits for it. If a first line goes on, it is the answer to that: servers
 * refuse lines that are too long (414, 431) or too slow (408) without having read their end. This is the response's direction:
 * a line that ends at the same moment on another CPU may be queued by both; the one too many counts as unanswered. */
static __noinline void queue_unfinished_line(struct http_connection *connection)
{
    const struct http_half *requests = &connection->halves[request_direction(connection)];
    __u64 route = routes_are_on ? ROUTE_OTHER : ROUTE_NONE;

    if (requests->state != STATE_REQUEST_LINE || requests->line != LINE_REST || requests->method == METHOD_PROXY ||
        connection->line_is_answered)
        return;
    connection->newest = requests->first_ns << REQUEST_BITS | route << METHOD_BITS | requests->method;
    connection->line_is_answered = 1;
    connection->begun++;
}

/* Decides where the response ends (RFC 9112, 6.3). */
static __always_inline int end_response_head(struct http_connection *connection, struct http_half *half)
{
    __u16 status = connection->status;
    __u8 method;

    if (status / 100 == 1 && status != 101) {
        half->state = STATE_START; /* an interim response; the final one follows */
        return ADVANCE_OK;
    }
    if (!unanswered(connection))
        queue_unfinished_line(connection);
    if (status == 204 || status == 304)
        return ADVANCE_ANSWERED;
    method = unanswered(connection) ? method_of(front_request(connection)) : METHOD_OTHER;
    if (status == 101 || (method == METHOD_CONNECT && status / 100 == 2))
        return ADVANCE_TUNNEL;
    if (method == METHOD_HEAD)
        return ADVANCE_ANSWERED;
    half->state = body_of_head(half, STATE_UNTIL_CLOSE);
    if (half->state != STATE_START)
        return ADVANCE_OK;
    half->state = STATE_BODY; /* of no bytes: the response has begun, all the same */
    return ADVANCE_ANSWERED;
}

static __always_inline int end_head(struct http_connection *connection, struct http_half *half)
{
    if (!carries_requests(half))
        return end_response_head(connection, half);
    half->state = body_of_head(half, STATE_START);
    return ADVANCE_OK;
}

static __always_inline int end_message(struct http_half *half)
{
    if (!carries_requests(half))
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
static __always_inline void begin_message(struct http_connection *connection, const struct run *run)
{
    struct http_half *half = &connection->halves[run->direction & 1];

    if (half->state == STATE_START) {
        if (body_sizes_are_on && carries_requests(half) && unanswered(connection))
            keep_body(connection, run->direction);
        half->state = half->flags & HALF_CARRIES_REQUESTS ? STATE_REQUEST_LINE : STATE_STATUS_LINE;
        half->line = LINE_START;
        connection->heads[run->direction & 1].bytes = 0;
        announce_body(&connection->heads[run->direction & 1], 0);
        if (!carries_requests(half))
            connection->status = 0;
        else if (connection->line_is_answered) /* the end of that line was lost */
            connection->line_is_answered = 0;
        half->body_left = 0;
        half->flags &= ~(HALF_HAS_LENGTH | HALF_IS_CHUNKED);
    }
    half->first_ns = run->now_ns;
}

/* The bytes are not HTTP/1: nobody's connection yet, the rest of an answer that was given up, or a boundary that was lost. */
static __noinline int fail_reading(const struct http_connection *connection, struct http_half *half, struct run *run)
{
    if (!(half->flags & HALF_IS_CONFIRMED) && half->flags & (HALF_IS_FRESH | HALF_CARRIES_REQUESTS))
        return ADVANCE_NOT_HTTP;
    if (carries_requests(half) || unanswered(connection) || !connection->rest_may_come)
        limpet_count(LIMPET_STAT_UNSEEN_DESYNC);
    half->state = STATE_LOST;
    run->position = run->end;
    return ADVANCE_OK;
}

/* Copies bytes of what is being read. Returns 0, or an error where they do not stand there. */
static __always_inline long load_bytes(struct __sk_buff *skb, const struct run *run, __u32 position, void *to,
                                       __u32 size)
{
    if (__builtin_expect(run->stash, 0))
        return load_stashed(run, to, position, size);
    return bpf_skb_load_bytes(skb, position, to, size);
}

/* A window of zeros, for `size` bytes: 1 to WINDOW_BYTES. Returns the size, as the verifier wants it. */
static __always_inline __u32 clear_window(struct reader *reader, __u32 size)
{
    asm volatile("" : "+r"(size));
    size = ((size - 1) & (WINDOW_BYTES - 1)) + 1; /* changes nothing; tells the verifier that it is not 0 */
    __builtin_memset(reader, 0, sizeof(*reader));
    reader->size = size;
    return size;
}

/* Lines have been read: what they tell of a body's length. */
static __always_inline void take_length(const struct reader *reader, struct http_head *head,
                                        const struct http_half *half)
{
    if (reader->reading == READING_HEAD_ENDED)
        announce_body(head,
                      (half->flags & (HALF_HAS_LENGTH | HALF_IS_CHUNKED)) == HALF_HAS_LENGTH ? half->body_left : 0);
    else if (half->state == STATE_CHUNK_DATA)
        announce_more(head, half->body_left + reader->in_chunks);
    else if (half->state == STATE_CHUNK_SIZE || half->state == STATE_TRAILERS)
        announce_more(head, reader->in_chunks);
}

/* Hash of the window's first `size` bytes, behind which it is cleared. Not static: it has a stack of its own. */
__noinline __u64 hash_of_window(struct reader *reader, __u32 size)
{
    __u32 at = size & ~7U;

    if (!reader || at > WINDOW_BYTES)
        return 0;
    *(__u64 *)(void *)(reader->window + at) &= (1ULL << (size & 7) * 8) - 1; /* the first byte is the lowest */
    for (__u32 i = 8; i < HASH_STRIDE; i += 8)
        *(__u64 *)(void *)(reader->window + at + i) = 0;
    return hash_of_head(reader->window, size, WINDOW_BYTES);
}

/* Remembers the head that fills the reader's window up to its place, for repeat_head. What stands behind it is not needed
 * any more and is cleared for the hash. */
static __always_inline void remember_head(struct reader *reader, struct http_head *head, const struct http_half *half)
{
    __u32 size = reader->at;

    if (half->body_left >> 32)
        return;
    head->bytes = (__u16)size;
    head->hash = hash_of_window(reader, size);
    head->body_length = (__u32)half->body_left;
}

/* Queues the request whose first line has ended in the window, and that is not the one before; keeps a target that goes on
 * behind the window. Not inlined: advance has no room left on the stack. */
static __noinline void take_first_line(struct __sk_buff *skb, struct http_connection *connection, struct reader *reader,
                                       __u32 direction)
{
    struct http_half *half = &connection->halves[direction & 1];
    struct http_head *head = &connection->heads[direction & 1];

    if (reader->has_request && connection->line_is_answered) {
        connection->line_is_answered = 0;
        half->flags |= HALF_IS_CONFIRMED;
    } else if (reader->has_request) {
        head->route = route_of(reader, skb, connection->head.workload);
        queue_request(connection, half, head->route);
    } else if (routes_are_on && half->state == STATE_REQUEST_LINE && half->line == LINE_REST) {
        keep_target(reader, limpet_segment_of(skb).slot);
    }
}

/* Copies the next bytes of the segment and reads the lines in them. */
static __always_inline int read_window(struct __sk_buff *skb, struct http_connection *connection, struct run *run)
{
    struct http_half *half = &connection->halves[run->direction & 1];
    __u32 size = run->end - run->position;
    int scanned = SCANNED_NOTHING;
    struct reader reader;

    if (size > WINDOW_BYTES)
        size = WINDOW_BYTES;
    size = clear_window(&reader, size);
    if (load_bytes(skb, run, run->position, reader.window, size))
        return fail_reading(connection, half, run);
    reader.status = connection->status;
    if (can_scan(half))
        scanned = scan_head(&reader, half);
    if (scanned == SCANNED_NOTHING)
        read_lines(&reader, half);
    if (scanned == SCANNED_HEAD)
        remember_head(&reader, &connection->heads[run->direction & 1], half);
    if (carries_requests(half))
        take_first_line(skb, connection, &reader, run->direction);
    else
        connection->status = reader.status;
    if (body_sizes_are_on)
        take_length(&reader, &connection->heads[run->direction & 1], half);
    run->position += reader.at;
    if (reader.reading == READING_GOES_ON)
        return ADVANCE_OK;
    if (reader.reading == READING_FAILED)
        return fail_reading(connection, half, run);
    if (reader.reading >= READING_HTTP2)
        return reader.reading == READING_HTTP2 ? ADVANCE_HTTP2 : ADVANCE_TLS;
    if (reader.reading == READING_BODY_ENDED)
        return end_message(half);
    return end_head(connection, half);
}

/* True when the bytes up to run->end end like a last chunk without trailers. */
static __always_inline int ends_like_last_chunk(struct __sk_buff *skb, const struct run *run)
{
    __u8 last[8] = {0};

    return !load_bytes(skb, run, run->end - 5, last, 5) && BEGINS_WITH(word_at(last), 0x0a0d0a0d30ULL, 40);
}

/* True when what is being read begins like a message of this direction. */
static __always_inline int begins_like_message(struct __sk_buff *skb, const struct http_half *half,
                                               const struct run *run)
{
    __u64 head = 0;
    __u8 method;

    if (load_bytes(skb, run, run->position, &head, sizeof(head)))
        return 0;
    return carries_requests(half) ? !!common_method(head, &method) : BEGINS_WITH(head, 0x2e312f50545448ULL, 56);
}

/* A body whose length was lost from view: it ends with a segment that ends like the last chunk, at the latest before the next
 * message. What tells then of its last byte is the time of its last segment. */
static __noinline int skip_blindly(struct __sk_buff *skb, struct http_half *half, struct run *run)
{
    if (begins_like_message(skb, half, run))
        return end_message(half);
    half->body_left = run->now_ns;
    run->position = run->end;
    return ends_like_last_chunk(skb, run) ? end_message(half) : ADVANCE_OK;
}

/* Looks for a message at a segment's start after the boundary was lost. The answers in between are lost as well: the next
 * one is taken for that of the newest request. */
static __noinline void find_boundary(struct __sk_buff *skb, struct http_connection *connection, struct run *run)
{
    struct http_half *half = &connection->halves[run->direction & 1];

    if (!begins_like_message(skb, half, run)) {
        run->position = run->end;
        return;
    }
    half->state = STATE_START;
    if (carries_requests(half) || !unanswered(connection))
        return;
    if (connection->rest_may_come && unanswered(connection) > 1) /* not told yet */
        limpet_count(LIMPET_STAT_UNSEEN_DESYNC);
    connection->done = connection->begun - 1;
}

/* The shortcut for a message whose head is the one before it, byte for byte: takes it over with all that was found out
 * about it, and what of its body stands in the segment. Leaves run->position alone when the head is another one. */
__noinline int repeat_head(struct __sk_buff *skb, struct http_connection *connection, struct run *run)
{
    struct http_half *half;
    struct http_head *head;
    struct reader reader;
    int result;

    if (!connection || !run)
        return ADVANCE_OK;
    half = &connection->halves[run->direction & 1];
    head = &connection->heads[run->direction & 1];
    if (bpf_skb_load_bytes(skb, run->position, reader.window, clear_window(&reader, head->bytes)))
        return ADVANCE_OK;
    if (hash_of_head(reader.window, reader.size, WINDOW_BYTES) != head->hash) {
        head->misses++;
        return ADVANCE_OK;
    }
    if (head->misses)
        head->misses = 0;
    if (body_sizes_are_on && half->flags & HALF_CARRIES_REQUESTS && unanswered(connection))
        keep_body(connection, run->direction);
    half->first_ns = run->now_ns;
    if ((half->flags & (HALF_HAS_LENGTH | HALF_IS_CHUNKED)) != HALF_HAS_LENGTH && announced_body(head))
        announce_body(head, 0); /* what has passed of the one before */
    half->body_left = half->flags & HALF_HAS_LENGTH ? head->body_length : 0;
    half->state = STATE_HEADERS;
    run->position += reader.size;
    if (half->flags & HALF_CARRIES_REQUESTS)
        queue_request(connection, half, head->route);
    result = end_head(connection, half);
    if (result == ADVANCE_OK && half->state == STATE_BODY && run->position < run->end)
        return skip_body(half, run);
    return result;
}

/* A window of lines, or what of a body the segment holds. */
static __noinline int advance(struct __sk_buff *skb, struct http_connection *connection, struct run *run)
{
    struct http_half *half = &connection->halves[run->direction & 1];

    if (half->state == STATE_LOST)
        find_boundary(skb, connection, run);
    if (half->state == STATE_UNTIL_CLOSE)
        announce_more(&connection->heads[run->direction & 1], run->end - run->position);
    if (half->state == STATE_LOST || half->state == STATE_UNTIL_CLOSE || half->state == STATE_TUNNEL) {
        run->position = run->end;
        return ADVANCE_OK;
    }
    if (half->state == STATE_BODY || half->state == STATE_CHUNK_DATA)
        return skip_body(half, run);
    if (half->state == STATE_BLIND)
        return skip_blindly(skb, half, run);
    if (half->state == STATE_START || (half->state <= STATE_STATUS_LINE && half->line == LINE_START))
        begin_message(connection, run);
    return read_window(skb, connection, run);
}
