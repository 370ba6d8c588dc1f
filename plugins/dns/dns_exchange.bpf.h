/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * What a message means: a query begins to wait, a response ends a wait and is counted.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "dns_answers.bpf.h"
#include "dns_message.bpf.h"
#include "dns_names.bpf.h"
#include "dns_queries.bpf.h"
#include "dns_series.bpf.h"

/* The question of a message, or as much as can be said when the packet holds a part of it only. Returns as read_question. */
static __always_inline int question_of(struct __sk_buff *skb, struct message *message, struct question *question,
                                       __u32 number)
{
    int result = read_question(skb, message, number);

    question->key.workload = message->workload;
    if (!result || !message->is_cut)
        return result;
    question->type = (__u16)~0; /* "other", as the name */
    question->hash = 0;
    return 0;
}

static __always_inline int knows_name(const struct question *question)
{
    return question->key.words[0] != 0 && question->hash;
}

static __always_inline void begin_to_wait(const struct message *message, const struct question *question)
{
    struct place place = place_of(message);
    struct query query = {
        .key = place.key,
        .since_ns = bpf_ktime_get_ns(),
        .hash = question->hash,
        .server = message->server,
        .workload = (__u16)message->workload,
        .type = type_label(question->type),
        .is_server = !message->is_egress,
    };
    struct query *known;

    if (message->is_egress) {
        query.name = knows_name(question) ? number_of_name(question) : NAME_OTHER;
        known = find_query(place);
        if (known && meet_again(known, &query))
            return;
    }
    place_query(&query, place.first);
}

/* Takes the query of that place out of the table, into `copy`. Returns 0 when there is none that still waits. */
static __always_inline int close_query(struct place place, struct query *copy)
{
    struct query *query = find_query(place);

    if (!query || !hold(query, place.key))
        return 0;
    *copy = *query;
    let_go(query, KEY_FREE);
    return copy->state == QUERY_WAITS;
}

/* The whole response code of a response that ends `query`. A client's is read to its end, or the sixteenth record; a
 * server's only where a code above 15 may be: behind no answers. What of it cannot be read is counted. */
static __always_inline int code_of(struct __sk_buff *skb, const struct message *message,
                                   const struct question *question, __u32 number)
{
    /* the last byte of what fits into the map of names tells whether the name does */
    int is_offering = !message->is_egress && question->hash && !(question->key.words[LIMPET_NAME_BYTES / 8 - 1] >> 56);
    int code;

    if (message->is_cut || message->body == message->end || (message->is_egress && message->answers))
        return CODE_OF(message->flags);
    code = read_records(skb, message, question, number, is_offering);
    if (code >= 0)
        return code;
    if (!(message->flags & FLAG_IS_TRUNCATED))
        count_malformed(message->workload);
    return CODE_OF(message->flags);
}

static __always_inline void end_wait(struct __sk_buff *skb, struct message *message, const struct question *question,
                                     __u32 number)
{
    struct workload_row *row;
    struct query query;
    __u64 duration_ns;
    int code;

    if (!close_query(place_of(message), &query))
        return;
    duration_ns = bpf_ktime_get_ns() - query.since_ns;
    if (!message->is_egress)
        message->workload = query.workload;
    code = code_of(skb, message, question, number);
    if (message->is_egress)
        count_served(&query, message->workload, code_label((__u16)code), duration_ns, !message->peer);
    else
        count_lookup(&query, code_label((__u16)code), ERROR_NONE, duration_ns);
    if (!(message->flags & FLAG_IS_TRUNCATED))
        return;
    row = row_of_workload(message->workload);
    if (row)
        __sync_fetch_and_add(&row->truncated, 1);
}

/* A query or a response, at either end. */
__noinline int take_lookup(struct __sk_buff *skb, struct message *message)
{
    struct question *question;
    __u32 number = 0;

    if (!message)
        return 0;
    question = borrow_question(&number);
    if (!question)
        return 0;
    if (question_of(skb, message, question, number))
        count_malformed(message->workload);
    else if (message->flags & FLAG_IS_RESPONSE)
        end_wait(skb, message, question, number);
    else
        begin_to_wait(message, question);
    return_question(question);
    return 0;
}

/* Only lookups are followed: notifications, updates and the like are passed over (IANA, "DNS OpCodes"). */
static __always_inline void take_message(struct __sk_buff *skb, struct message *message)
{
    __u16 opcode = OPCODE_OF(message->flags);

    if (opcode == OPCODE_UNASSIGNED || opcode > OPCODE_LAST)
        count_malformed(message->workload);
    else if (opcode == OPCODE_QUERY)
        take_lookup(skb, message);
}
