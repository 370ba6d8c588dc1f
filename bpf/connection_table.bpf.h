/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The tap's connection table: which probe owns which TCP connection. Private to the core.
 *
 * Direct-mapped by hashed socket cookie (connection_hash.h), two ways; nearly every connection is found in the first, at the
 * price of one cache line. A slot stores the whole cookie; the slot's number is what parsers index their own state by.
 * A new connection takes a free way, else the one that was used longest ago; what a displaced connection had in flight is
 * counted by its parser (LIMPET_STAT_EVICTED), and a displaced idle connection is simply opened anew by its next request.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define LIMPET_CONNECTION_TYPE struct connection
#include "connection_hash.h"
#include "limpet/stream.bpf.h"

_Static_assert(CONNECTION_SETS * CONNECTION_WAYS == LIMPET_CONNECTIONS, "the table has LIMPET_CONNECTIONS slots");

#define COOKIE_EARLY (1ULL << 63)   /* not a cookie but a hash of addresses and ports, see tap.bpf.c */
#define COOKIE_OPENING (1ULL << 62) /* another CPU is filling the slot */

#define CONNECTION_IS_FRESH 1 /* its first bytes have been seen */

struct connection {
    __u64 cookie; /* 0: free */
    __u8 verdict;
    __u8 tries; /* segments that no parser wanted so far */
    __u16 generation;
    __u32 alias_plus_one; /* the slot that holds the connection's state instead of this one; 0: none */
    __u16 workload;
    __u16 flags;
    __u32 last_used; /* connection_age() */
    __u64 padding;
};
_Static_assert(sizeof(struct connection) == 32, "never across two cache lines");
_Static_assert(__builtin_offsetof(struct connection, verdict) ==
                       __builtin_offsetof(struct limpet_connection_head, verdict) &&
                   __builtin_offsetof(struct connection, generation) ==
                       __builtin_offsetof(struct limpet_connection_head, generation),
               "begins as the SDK says");

/* Jiffies in units of about a second at 250 Hz: a busy slot's line is written that often, not per packet. */
static __always_inline __u32 connection_age(void)
{
    return (__u32)(bpf_jiffies64() >> 8);
}

static __always_inline struct connection *connection_at(__u32 slot)
{
    return bpf_map_lookup_elem(&limpet_connections, &slot);
}

/* The connection that holds `cookie`, and its slot's number; NULL when none does. */
static __always_inline struct connection *connection_find(__u64 cookie, __u32 *slot)
{
    struct connection *connection;

    *slot = connection_set(cookie);
    connection = connection_at(*slot);
    if (connection && connection->cookie == cookie)
        return connection;
    *slot += CONNECTION_SETS;
    connection = connection_at(*slot);
    return connection && connection->cookie == cookie ? connection : NULL;
}

/* Gives `cookie` a slot, undecided, of a new generation. Returns its number; LIMPET_CONNECTIONS when another CPU is
 * opening the same connection or took the same way at the same moment (the caller's segment is then lost to parsers).
 * Both directions of a connection may come here at once: the slot is reserved by an atomic exchange, filled, then shown. */
static __always_inline __u32 connection_open(__u64 cookie, __u32 workload, __u8 verdict, __u16 flags)
{
    __u32 set = connection_set(cookie);
    struct connection *first = connection_at(set);
    struct connection *second = connection_at(set + CONNECTION_SETS);
    struct connection *chosen;
    __u64 old;
    __u32 way;

    if (!first || !second)
        return LIMPET_CONNECTIONS;
    if (first->cookie == (cookie | COOKIE_OPENING) || second->cookie == (cookie | COOKIE_OPENING))
        return LIMPET_CONNECTIONS;
    way = connection_victim(first->cookie, first->last_used, second->cookie, second->last_used);
    chosen = way ? second : first;
    old = chosen->cookie;
    if (__sync_val_compare_and_swap(&chosen->cookie, old, cookie | COOKIE_OPENING) != old)
        return LIMPET_CONNECTIONS;
    chosen->verdict = verdict;
    chosen->tries = 0;
    chosen->generation++;
    chosen->alias_plus_one = 0;
    chosen->workload = (__u16)workload;
    chosen->flags = flags;
    chosen->last_used = connection_age();
    __sync_lock_test_and_set(&chosen->cookie, cookie);
    return way ? set + CONNECTION_SETS : set;
}
