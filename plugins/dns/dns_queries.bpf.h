/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Queries that wait for their answers, at clients and at servers.
 *
 * A direct-mapped table: a query stands in one of the WAYS slots from the one on that its socket, peer and id say. Queries of one
 * socket with ids in sequence stand side by side, so that a client with many of them open does not displace its own. When
 * all ways are taken the oldest query is displaced, and counted (LIMPET_STAT_EVICTED).
 *
 * A slot is taken and given away by an exchange of its key; whoever wins the exchange owns the slot. A client's query that got no answer in
 * time stays as a mark, so that its repetition is known as one; a mark gives way to any query.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "dns_message.bpf.h"
#include "dns_names.bpf.h"
#include "dns_series.bpf.h"
#include "limpet/stats.bpf.h"

#define QUERIES 4096
#define WAYS 8
#define KEY_FREE 0
#define KEY_HELD 1 /* somebody is filling or reading the slot */

enum query_state { QUERY_WAITS = 0, QUERY_IS_LATE = 1 };

struct query {
    __u64 key;
    __u64 since_ns;
    __u32 hash;   /* of the question's name */
    __u32 server; /* of a client's query: whom it was sent to */
    __u16 workload;
    __u16 name;
    __u8 type; /* type_label */
    __u8 state;
    __u8 is_server;
    __u8 era; /* that it began to wait in */
};
_Static_assert(sizeof(struct query) == 32, "two to a cache line");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, QUERIES);
    __type(key, __u32);
    __type(value, struct query);
} queries SEC(".maps");

const volatile __u64 timeout_ns LIMPET_TAG("config|timeout") = 5000000000ULL;

/* Where a query stands. Those of clients and of servers are never the same: a connection may carry both. */
struct place {
    __u64 key;
    __u32 first; /* slot, modulo QUERIES */
};

static __always_inline struct place place_of(const struct message *message)
{
    __u64 hash = (message->socket ^ message->peer) * 0x9e3779b97f4a7c15ULL;

    hash = (hash ^ hash >> 32 ^ message->peer >> 7) * 0xd6e8feb86659fd93ULL;
    hash ^= hash >> 32;
    hash ^= (__u64)message->id << 47;
    return (struct place){(hash & ~1ULL) | 2 | !is_of_client(message), (__u32)(hash >> 8) + message->id};
}

static __always_inline struct query *query_at(__u32 slot)
{
    slot &= QUERIES - 1;
    return bpf_map_lookup_elem(&queries, &slot);
}

/* True when the slot was `key`'s and is held by the caller now. */
static __always_inline int hold(struct query *query, __u64 key)
{
    return __sync_val_compare_and_swap(&query->key, key, KEY_HELD) == key;
}

static __always_inline void let_go(struct query *query, __u64 key)
{
    __sync_lock_test_and_set(&query->key, key);
}

/* Connections may be sampled, datagrams are not. */
static __always_inline __u32 weight_shift(int is_stream)
{
    return is_stream ? limpet_weight_shift(limpet_level()) : 0;
}

static __always_inline void count_lookup(const struct query *query, __u8 code, __u8 error, __u64 duration_ns)
{
    struct lookup_key key = {query->workload, query->name, query->type, code, error};
    struct lookup_row *row = dns_lookup_row(dns_lookup_find(&key));

    if (row)
        limpet_observe_weighted(&row->duration, limpet_bucket(duration_bounds, duration_ns), duration_ns,
                                weight_shift(!query->server));
}

static __always_inline void count_served(const struct query *query, __u32 workload, __u8 code, __u64 duration_ns,
                                         int is_stream)
{
    struct server_key key = {(__u16)workload, query->type, code};
    struct server_row *row = dns_server_row(dns_server_find(&key));

    if (row)
        limpet_observe_weighted(&row->duration, limpet_bucket(duration_bounds, duration_ns), duration_ns,
                                weight_shift(is_stream));
}

/* Nobody answers a held query any more. A server that does not answer is not a fault of ours and not counted. Where this
 * program has rested meanwhile, the answer may have come. */
static __always_inline void count_timeout(const struct query *query)
{
    if (query->state != QUERY_WAITS || query->is_server)
        return;
    if (query->era != limpet_era())
        limpet_count(LIMPET_STAT_UNSEEN_PAUSED);
    else
        count_lookup(query, LABEL_CODE_NONE, ERROR_TIMEOUT, timeout_ns);
}

/* The slot that holds the query of this key; NULL when none does. */
static __always_inline struct query *find_query(struct place place)
{
    struct query *query;

    for (__u32 way = 0; way < WAYS; way++) {
        query = query_at(place.first + way);
        if (query && query->key == place.key)
            return query;
    }
    return NULL;
}

/* The same question again: the lookup goes on, or begins anew where it had been given up. */
static __always_inline void repeat_query(struct query *query, const struct query *again)
{
    struct workload_row *row;

    if (query->server == again->server) {
        row = row_of_workload(again->workload);
        if (row)
            __sync_fetch_and_add(&row->retries, 1);
    }
    if (again->since_ns - query->since_ns < timeout_ns && query->state == QUERY_WAITS)
        return;
    count_timeout(query);
    query->era = limpet_era();
    query->since_ns = again->since_ns;
    query->state = QUERY_WAITS;
}

/* The query begins to wait for its answer. */
static __always_inline void begin_query(struct query *query, const struct query *from)
{
    query->since_ns = from->since_ns;
    query->hash = from->hash;
    query->server = from->server;
    query->workload = from->workload;
    query->name = from->name;
    query->type = from->type;
    query->state = QUERY_WAITS;
    query->era = limpet_era();
}

/* A query of a client whose socket and id are those of one in the table. Returns 0 when that has just gone. */
static __always_inline int meet_again(struct query *query, const struct query *again)
{
    if (!hold(query, again->key))
        return 0;
    if (query->hash == again->hash && query->type == again->type) {
        repeat_query(query, again);
    } else { /* the id serves another question now */
        if (query->state == QUERY_WAITS)
            limpet_count(LIMPET_STAT_EVICTED);
        begin_query(query, again);
    }
    let_go(query, again->key);
    return 1;
}

static __always_inline void fill(struct query *query, const struct query *from)
{
    begin_query(query, from);
    query->is_server = from->is_server;
    let_go(query, from->key);
}

/* Gives a new query a slot: a free one, or a mark, else the oldest. */
static __always_inline void place_query(const struct query *from, __u32 first)
{
    struct query *query, *oldest = NULL;
    __u64 key;

    for (__u32 way = 0; way < WAYS; way++) {
        query = query_at(first + way);
        if (!query)
            return;
        key = query->key;
        if (key == KEY_HELD)
            continue;
        if ((key == KEY_FREE || query->state == QUERY_IS_LATE) && hold(query, key)) {
            fill(query, from);
            return;
        }
        if (!oldest || query->since_ns < oldest->since_ns)
            oldest = query;
    }
    key = oldest ? oldest->key : KEY_HELD;
    if (key != KEY_HELD && hold(oldest, key)) {
        if (from->since_ns - oldest->since_ns >= timeout_ns)
            count_timeout(oldest);
        else if (key != KEY_FREE)
            limpet_count(LIMPET_STAT_EVICTED);
        fill(oldest, from);
        return;
    }
    limpet_count(LIMPET_STAT_EVICTED); /* this one: other CPUs hold all ways */
}

/* Looks whether a slot's query has waited for too long. For on_tick. */
__noinline int expire(__u32 slot, __u64 now_ns)
{
    struct query *query = query_at(slot);
    __u64 key = query ? query->key : KEY_FREE;
    __u64 age_ns;

    if (!query || key == KEY_FREE || key == KEY_HELD)
        return 0;
    age_ns = now_ns - query->since_ns;
    if ((__s64)age_ns < (__s64)timeout_ns || !hold(query, key))
        return 0;
    count_timeout(query);
    query->state = QUERY_IS_LATE;
    let_go(query, query->is_server || age_ns > 2 * timeout_ns ? KEY_FREE : key);
    return 0;
}
