/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The queue of requests that wait for their answers: which request a response answers, and how it is counted when it is
 * answered or given up.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "http_bodies.bpf.h"
#include "http_routes.bpf.h"
#include "http_series.bpf.h"
#include "http_shared.h"
#include "limpet/stream.bpf.h"

/* Requests that are counted one by one when a connection ends without their answers; more are let go. */
#define ABANDONED_AT_MOST 64

/* One segment on its way through the state machine, or one that has passed before it and was kept. */
struct run {
    __u64 now_ns;
    __u32 position; /* next byte to read, counted from the packet's start, or from the stash's */
    __u32 end;
    __u32 end_sequence; /* TCP sequence number of `end` */
    __u8 direction;     /* enum http_direction */
    __u8 level;         /* enum limpet_level */
    __u16 stash;        /* 0: the bytes are the packet's; else see http_stash.bpf.h */
};

/* The time since a request began, of which the uppermost bits are not kept: up to three days. Two clocks meet here: a send stamp
 * may be a little older than a receive time. */
static __always_inline __u64 elapsed(__u64 request, __u64 to_ns)
{
    __s64 shifted = (__s64)((to_ns << REQUEST_BITS) - (request >> REQUEST_BITS << REQUEST_BITS));

    return shifted > 0 ? (__u64)shifted >> REQUEST_BITS : 0;
}

static __always_inline __u8 method_of(__u64 request)
{
    return request & ((1 << METHOD_BITS) - 1);
}

static __always_inline __u16 route_of_request(__u64 request)
{
    return request >> METHOD_BITS & ((1 << ROUTE_BITS) - 1);
}

static __always_inline int carries_requests(const struct http_half *half)
{
    return half->flags & HALF_CARRIES_REQUESTS;
}

static __always_inline __u16 unanswered(const struct http_connection *connection)
{
    return connection->begun - connection->done;
}

/* The newest request is about to get one behind it. Where a method falls out of sight that is not the same as the one in its
 * place, an answer's end may be misjudged. */
static __noinline void keep_newest(struct http_connection *connection)
{
    __u32 number = connection->begun - 1, shift = (number & 1) * 4;
    __u8 *pair = &connection->older_methods[number / 2 & (METHODS_KEPT / 2 - 1)];
    __u8 method = method_of(connection->newest);

    if (unanswered(connection) > METHODS_KEPT && (*pair >> shift & 15) != method)
        limpet_count(LIMPET_STAT_UNSEEN_LIMIT);
    *pair = (__u8)((*pair & ~(15U << shift)) | (__u32)method << shift);
    connection->older[number & (QUEUE_LENGTH - 1)] = connection->newest;
}

/* The newest request, which has been read to its end, gets another one behind it: keeps the size of its body. */
static __noinline void keep_body(struct http_connection *connection, __u32 direction)
{
    struct pipelined_body key = {limpet_cookie_of(&connection->head), (__u16)(connection->begun - 1)};
    __u64 bytes = announced_body(&connection->heads[direction & 1]);

    if (!bytes || bpf_map_update_elem(&pipelined_bodies, &key, &bytes, BPF_ANY))
        return;
    connection->newest |= HAS_BODY;
}

static __always_inline __u32 counted_route(__u32 route)
{
    return __builtin_expect(route == ROUTE_SHED, 0) ? ROUTE_OTHER : route;
}

/* Puts the request that half has just read behind those that wait for their answers. */
static __always_inline void queue_request(struct http_connection *connection, struct http_half *half, __u32 route)
{
    if (unanswered(connection)) /* pipelined: else the second pair of lines need not be touched */
        keep_newest(connection);
    connection->newest = half->first_ns << REQUEST_BITS | counted_route(route) << METHOD_BITS | half->method;
    connection->begun++;
    half->flags |= HALF_IS_CONFIRMED;
}

/* The request that is answered next, as `newest`. One that is not among the older ones any more has a later one's time and
 * the route ROUTE_OTHER. */
static __always_inline __u64 front_request(const struct http_connection *connection)
{
    __u32 number = connection->done;
    __u64 request;
    __u8 pair;

    if (unanswered(connection) == 1)
        return connection->newest;
    pair = connection->older_methods[number / 2 & (METHODS_KEPT / 2 - 1)];
    request = connection->older[number & (QUEUE_LENGTH - 1)] >> METHOD_BITS << METHOD_BITS;
    if (unanswered(connection) > QUEUE_LENGTH + 1)
        request = (routes_are_on ? request >> REQUEST_BITS << REQUEST_BITS : request) | HAS_BODY; /* it may have one */
    return request | (pair >> (number & 1) * 4 & 15);
}

/* What has been read of the body of the request at the queue's front. */
static __always_inline __u64 request_body_of_front(const struct http_connection *connection, __u32 direction)
{
    __u64 body = body_so_far(&connection->heads[direction & 1], &connection->halves[direction & 1]), *kept;
    __u32 is_newest = unanswered(connection) == 1;

    asm volatile("" ::: "memory");
    if ((is_newest ? connection->newest : front_request(connection)) &
        HAS_BODY) { /* asked for behind the body: set before that is another request's */
        struct pipelined_body key = {limpet_cookie_of(&connection->head), connection->done};

        kept = bpf_map_lookup_elem(&pipelined_bodies, &key);
        body = kept ? *kept : unanswered(connection) > QUEUE_LENGTH + 1 ? 0 : BODY_UNKNOWN;
        if (kept)
            bpf_map_delete_elem(&pipelined_bodies, &key);
        return body;
    }
    return is_newest ? body : 0;
}

/* The row of sizes that belongs to the connection's row. One that was taken back is to be found anew, the next time. */
#define LINKED_ROW(table, connection)                                                                                  \
    ({                                                                                                                 \
        const struct table##_key_slot *main = table##_slot(connection->row);                                           \
        __u32 link = main ? main->link : LIMPET_OVERFLOW_ROW, place;                                                   \
                                                                                                                       \
        if (!table##_sizes_is_row(link)) {                                                                             \
            link = LIMPET_OVERFLOW_ROW;                                                                                \
            connection->row_key = 0;                                                                                   \
        }                                                                                                              \
        place = (link & LIMPET_ROW_NUMBER) * (limpet_shard_mask + 1) + limpet_shard();                                 \
        (struct both_sizes *)bpf_map_lookup_elem(&table##_sizes_rows, &place);                                         \
    })

/* Counts the sizes of the request at the queue's front and of its response, which the direction reads: beside the durations, in
 * the row that belongs to the connection's. Not static, as give_up_request. */
__noinline int count_sizes(struct http_connection *connection, __u32 response_direction)
{
    const struct http_half *responses;
    struct both_sizes *row;

    if (!connection)
        return 0;
    row = response_direction == EGRESS ? LINKED_ROW(http_server, connection) : LINKED_ROW(http_client, connection);
    if (!row)
        return 0;
    observe_size(&row->request, request_body_of_front(connection, !response_direction));
    responses = &connection->halves[response_direction & 1];
    if (responses->state != STATE_START)
        observe_size(&row->response, body_so_far(&connection->heads[response_direction & 1], responses));
    return 0;
}

/* How the newest request ended, whose response has been read to its end and began at `first_ns`. */
static __always_inline struct outcome outcome_of_newest(const struct http_connection *connection, __u64 first_ns,
                                                        __u64 now_ns)
{
    __u64 request = connection->newest;

    return (struct outcome){
        .duration_ns = elapsed(request, now_ns),
        .first_byte_ns = elapsed(request, first_ns),
        .status = connection->status,
        .method = method_of(request),
        .route = route_of_request(request),
        .error = ERROR_NONE,
    };
}

/* How the request at the queue's front ended. `error`: ERROR_NONE when it is whole. */
static __always_inline struct outcome outcome_of_front(const struct http_connection *connection,
                                                       const struct http_half *responses, __u8 error, __u64 now_ns)
{
    __u64 request = front_request(connection);
    int has_begun = responses->state != STATE_START && responses->state != STATE_LOST;
    int has_status = has_begun && (responses->state != STATE_STATUS_LINE || responses->line == LINE_REST);

    return (struct outcome){
        .duration_ns = elapsed(request, now_ns),
        .first_byte_ns = has_begun ? elapsed(request, responses->first_ns) : NO_FIRST_BYTE,
        .status = has_status ? connection->status : 0,
        .method = method_of(request),
        .route = route_of_request(request),
        .error = error,
    };
}

/* Takes the request at the queue's front off and counts it as unanswered. `peer` is the server, at the client's end. Not
 * static: the verifier looks at it once instead of once per round of abandon. */
__noinline int give_up_request(struct http_connection *connection, __u32 response_direction, __u32 error, __u64 now_ns,
                               struct peer *peer)
{
    __u32 level = limpet_level();
    struct http_half *responses;
    struct outcome outcome;

    if (!connection || !peer)
        return 0;
    responses = &connection->halves[response_direction & 1];
    outcome = outcome_of_front(connection, responses, (__u8)error, now_ns);
    find_row(connection, &outcome, response_direction, peer);
    if (body_sizes_are_on && level < LIMPET_LEVEL_NO_SIZES)
        count_sizes(connection, response_direction);
    count_in(row_of_connection(connection, response_direction), &outcome, level);
    connection->done++;
    responses->state = STATE_START;
    return 0;
}

static __always_inline __u32 request_direction(const struct http_connection *connection)
{
    return carries_requests(&connection->halves[INGRESS]) ? INGRESS : EGRESS;
}

/* The connection ends, or is given up, with requests unanswered: each counts once, with `error`. */
static __noinline void abandon(struct http_connection *connection, __u8 error, struct peer *peer)
{
    __u32 response_direction = !request_direction(connection);
    __u64 now_ns = bpf_ktime_get_ns();

    if (connection->halves[response_direction & 1].state != STATE_START)
        connection->rest_may_come = 1;
    for (__u32 i = 0; i < ABANDONED_AT_MOST && unanswered(connection); i++)
        give_up_request(connection, response_direction, error, now_ns, peer);
    if (unanswered(connection))
        limpet_count(LIMPET_STAT_UNSEEN_LIMIT);
    connection->done = connection->begun;
}

static __noinline void find_row_of_packet(const struct __sk_buff *skb, struct http_connection *connection,
                                          const struct outcome *outcome, __u32 direction)
{
    struct peer peer;

    peer_of_packet(skb, direction, &peer);
    find_row(connection, outcome, direction, &peer);
}

/* The last byte of the response being read has passed. Not static, as give_up_request. */
__noinline int end_response(struct __sk_buff *skb, struct http_connection *connection, struct run *run)
{
    struct http_half *responses;
    struct outcome outcome;

    if (!connection || !run)
        return 0;
    responses = &connection->halves[run->direction & 1];
    if (unanswered(connection)) {
        outcome = outcome_of_front(connection, responses, ERROR_NONE,
                                   responses->state == STATE_BLIND ? responses->body_left : run->now_ns);
        if (!cached_row(connection, &outcome, run->direction))
            find_row_of_packet(skb, connection, &outcome, run->direction);
        if (body_sizes_are_on && run->level < LIMPET_LEVEL_NO_SIZES)
            count_sizes(connection, run->direction);
        connection->done++;
        count_in(row_of_connection(connection, run->direction), &outcome, run->level);
    }
    responses->state = STATE_START;
    return 0;
}
