/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Plain segments, which nearly all are: the next one of its direction, and in it either a head that is the same as the one
 * before, byte for byte, with nothing behind it but its body, or more of a body whose length is known.
 *
 * They are dealt with in one straight piece, without a call of a function of ours (sizes of bodies are one, where they are on): where
 * the kernel guards its returns against speculation, each costs as much as dozens of instructions. Nothing is changed before it is
 * certain that a segment is plain; what is done then is what http_flow.bpf.h does in more steps.
 */
#pragma once

#include "http_flow.bpf.h"
#include "limpet/loopback.bpf.h"

/* Heads in a row that were not repeated, behind which only one message in 16 is tried for it. */
#define MISSES_IN_A_ROW 4

#define NOT_PLAIN (-1LL)
#define SMALL_HEAD 128 /* bytes: most are no larger */

/* True for the next segment of a direction that nothing is special about. */
static __always_inline int is_next(const struct http_half *half, const struct limpet_segment *segment)
{
    return half->next_sequence == segment->sequence && !(segment->flags & ~LIMPET_SEGMENT_EGRESS) &&
           !(half->flags & (HALF_HAS_FIN | HALF_HAS_AHEAD));
}

/* True where a segment at the start of a message may begin with the head that its direction has sent last. */
static __always_inline int may_repeat(const struct http_connection *connection, const struct http_head *head,
                                      const struct limpet_segment *segment)
{
    if (__builtin_expect(head->route == ROUTE_SHED, 0) && segment->level < LIMPET_LEVEL_NO_ROUTES)
        return 0;
    return head->bytes && segment->length >= head->bytes &&
           (head->misses < MISSES_IN_A_ROW || !(connection->begun & 15));
}

/* How long the body behind a repeated head is (RFC 9112, 6.3). NOT_PLAIN: its length does not say when it ends, or another
 * message waits for its answer as well. */
static __always_inline __s64 body_behind(const struct http_connection *connection, const struct http_half *half,
                                         const struct http_head *head)
{
    __u32 status = connection->status, has_length = half->flags & HALF_HAS_LENGTH;
    __u8 method = method_of(connection->newest);

    if (half->flags & HALF_IS_CHUNKED || unanswered(connection) != !carries_requests(half))
        return NOT_PLAIN;
    if (!carries_requests(half)) {
        if (status < 200 || method == METHOD_CONNECT)
            return NOT_PLAIN;
        if (status == 204 || status == 304 || method == METHOD_HEAD)
            return 0;
        if (!has_length)
            return NOT_PLAIN;
    }
    return has_length ? head->body_length : 0;
}

/* True when the packet has this head at `position`. `limit`: bytes that it has at most, and what of the window is needed. */
static __always_inline int has_head(struct __sk_buff *skb, const struct http_head *head, __u32 position, __u8 *window,
                                    const __u32 limit)
{
    __u32 size = head->bytes;

    __builtin_memset(window, 0, limit);
    asm volatile("" : "+r"(size));
    size = ((size - 1) & (limit - 1)) + 1; /* changes nothing; tells the verifier that it is not 0 */
    asm volatile("" : "+r"(size));         /* … and the compiler nothing: Linux 6.1 needs the loop's bound */
    return !bpf_skb_load_bytes(skb, position, window, size) && hash_of_head(window, size, limit) == head->hash;
}

/* True when the packet begins with the head that its direction has sent last; else that is forgotten: the next one takes its
 * place. */
static __always_inline int is_repeated(struct __sk_buff *skb, struct http_head *head, __u32 position)
{
    __u8 window[WINDOW_BYTES];

    if (!(head->bytes <= SMALL_HEAD ? has_head(skb, head, position, window, SMALL_HEAD)
                                    : has_head(skb, head, position, window, WINDOW_BYTES))) {
        head->misses++;
        head->bytes = 0;
        return 0;
    }
    if (head->misses)
        head->misses = 0;
    return 1;
}

/* The same of a head that has been read at its sender's end, where `sent_head` is its hash; 0: there is none. */
static __always_inline int is_repeated_as_sent(struct http_head *head, __u64 sent_head)
{
    if (!sent_head || head->hash != sent_head)
        return 0;
    if (head->misses)
        head->misses = 0;
    return 1;
}

/* The last byte of the only response that is waited for. Its size is 0, whatever the head announces, where no body is behind it. */
static __always_inline void end_plain_response(struct http_connection *connection, __u32 direction,
                                               struct histograms *row, const struct outcome *outcome,
                                               const struct limpet_segment *segment)
{
    struct http_half *half = &connection->halves[direction & 1];

    if (body_sizes_are_on && segment->level < LIMPET_LEVEL_NO_SIZES) {
        if (half->state == STATE_START)
            half->state = segment->length > connection->heads[direction & 1].bytes ? STATE_BODY : STATE_HEADERS;
        half->body_left = 0;
        count_sizes(connection, direction);
    }
    connection->done++;
    count_in(row, outcome, segment->level);
    half->state = STATE_START;
}

/* A segment that is no response's last has been found to be plain. */
static __always_inline void go_on(struct http_connection *connection, struct http_half *half,
                                  const struct http_head *head, __u64 left, __u64 now_ns)
{
    if (half->state == STATE_START) {
        half->first_ns = now_ns;
        if (half->flags & HALF_CARRIES_REQUESTS) {
            connection->newest = now_ns << REQUEST_BITS | counted_route(head->route) << METHOD_BITS | half->method;
            connection->begun++;
        }
    }
    half->body_left = left;
    half->state = left ? STATE_BODY : STATE_START;
}

/* Deals with a plain segment. Returns 0 when it is none: nothing has changed then, but that a head which is not repeated is forgotten.
 * `skb` is NULL, a constant, where the segment is not at hand: see is_repeated_as_sent. */
static __always_inline int take_plain(struct __sk_buff *skb, struct http_connection *connection,
                                      const struct limpet_segment *segment, __u32 direction, __u64 sent_head)
{
    struct http_half *half = &connection->halves[direction & 1];
    struct http_head *head = &connection->heads[direction & 1];
    struct histograms *row = NULL;
    struct outcome outcome;
    __u32 is_start = half->state == STATE_START;
    __s64 left;

    if (!is_next(half, segment) || !(is_start || half->state == STATE_BODY))
        return 0;
    if (is_start && !may_repeat(connection, head, segment))
        return 0;
    left = is_start ? body_behind(connection, half, head) + head->bytes : (__s64)half->body_left;
    left -= segment->length;
    if (left < 0)
        return 0;
    if (!left && !carries_requests(half)) {
        outcome = outcome_of_newest(connection, is_start ? segment->time_ns : half->first_ns, segment->time_ns);
        row = unanswered(connection) == 1 ? cached_row(connection, &outcome, direction) : NULL;
        if (!row)
            return 0;
    }
    if (is_start && !(skb ? is_repeated(skb, head, segment->offset) : is_repeated_as_sent(head, sent_head)))
        return 0;
    half->next_sequence += segment->length;
    if (row)
        end_plain_response(connection, direction, row, &outcome, segment);
    else
        go_on(connection, half, head, left, segment->time_ns);
    return 1;
}

/* A segment that has been found to be plain is sent to somebody on this host: deals with its receiver's end as well, if it is plain there
 * too. `sent_head`: of take_plain. */
static __always_inline void take_at_receiver(const struct limpet_segment *segment, __u64 sent_head)
{
    struct limpet_delivery delivery;
    struct http_connection *receiver = (void *)limpet_receiver_of(segment, &delivery);

    if (receiver && is_next(&receiver->halves[INGRESS], &delivery.segment) && limpet_enter_receiver(&delivery))
        limpet_leave_receiver(&delivery, take_plain(NULL, receiver, &delivery.segment, INGRESS, sent_head));
}

/* True for one that brings nothing new: its sender has dealt with it, or it was sent again. */
static __always_inline int is_last_again(const struct http_half *half, const struct limpet_segment *segment)
{
    return half->next_sequence == segment->sequence + segment->length && segment->length && !segment->flags &&
           half->flags & HALF_IS_MET;
}
