/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The tap's connection table: which probe owns which TCP connection. Private to the core.
 *
 * Direct-mapped by hashed socket cookie (connection_hash.h), four ways; nearly every connection is found in the first, at the
 * price of one cache line. A slot stores the whole cookie; behind it stands the state of the parser that owns it.
 * A new connection takes a free way, else the one used longest ago of those without work; what a displaced connection had in flight is
 * counted (LIMPET_STAT_EVICTED), and a displaced idle connection is simply opened anew by its next request.
 *
 * A slot whose holder is idle may be in use all the same: another CPU has found it and is about to begin a request there. So nobody
 * takes such a slot at once: whoever opens a connection gives notice to the way that goes next, if none is free. Its holder is not found
 * any more, and has the notice withdrawn when it comes again; else the slot falls to the next connection of the set, which
 * comes thousands of connections later.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "connection_hash.h"
#include "limpet/stats.bpf.h"
#include "limpet/stream.bpf.h"

_Static_assert(CONNECTION_SETS *CONNECTION_WAYS == LIMPET_CONNECTIONS, "the table has LIMPET_CONNECTIONS slots");
_Static_assert(sizeof(struct limpet_connection) == LIMPET_CONNECTION_BYTES &&
                   __builtin_offsetof(struct limpet_connection, last_used) == 64 &&
                   __builtin_offsetof(struct limpet_connection, done) == 68 &&
                   __builtin_offsetof(struct limpet_connection, lock) == 70,
               "four cache lines; the first is for reading; `done` and `lock` are one word");

_Static_assert(LIMPET_COOKIE_MARKS == (COOKIE_OPENING | COOKIE_ON_NOTICE), "what parsers are told");

/* Segments that all parsers may refuse of a connection before it is nobody's. Of one that is older than its slot they are shown
 * those alone that follow one of the other direction: it may be inside a long body, and a message begins where the talk
 * changes sides. Its verdict holds the direction of the last segment. */
#define TRIES_IF_FRESH 4
#define TRIES_IF_ADOPTED 200
#define VERDICT_ADOPTED 252 /* last received */
#define VERDICT_ADOPTED_EGRESS 253

/* True for a verdict that is a parser's number. */
static __always_inline int is_parser(__u32 verdict)
{
    return verdict - 1 < LIMPET_MAX_PARSERS - 1;
}

#define OPENING_ROUNDS 1024
#define OPENING_TRIES 4 /* others may take the same way at the same moment */

/* The last connection of each set that was found to be nobody's, by its cookie. Most of a host's segments are of such
 * connections: they cost this one look, at a table that is read alone and small enough to stay near. */
__u64 limpet_nobodys[CONNECTION_SETS] = {}; /* cleared by the agent when a parser comes */

/* The place of a set. The compiler knows that the mask changes nothing and leaves it out; Linux 6.1 wants to see it. */
static __always_inline __u64 *nobodys_cookie(__u32 set)
{
    asm volatile("" : "+r"(set));
    return &limpet_nobodys[set & (CONNECTION_SETS - 1)];
}

static __always_inline int is_known_as_nobodys(__u64 cookie, __u32 set)
{
    return *(volatile __u64 *)nobodys_cookie(set) == cookie;
}

static __always_inline void know_as_nobodys(__u64 cookie)
{
    *nobodys_cookie(connection_set(cookie)) = cookie;
}

/* The number + 1 of the slot at the other end of each slot's connection, where that is on this host too; 0: it is not known to be. Not
 * among the connections themselves: the lines of both ends are fetched at once, so it is needed before either is there. */
static __u16 connection_peers[LIMPET_CONNECTIONS];

static __always_inline __u16 *peer_word(__u32 slot)
{
    asm volatile("" : "+r"(slot));
    return &connection_peers[slot & (LIMPET_CONNECTIONS - 1)];
}

/* Jiffies in units of about a second at 250 Hz. */
static __always_inline __u16 connection_age(void)
{
    return (__u16)(bpf_jiffies64() >> 8);
}

/* Has the line fetched that every segment writes: the connection's other direction has had it last, nearly always on another
 * CPU. A load would hold up the program until it is there, a store does not. The line in front of it is only read, and near. */
static __always_inline struct limpet_connection *connection_touch(__u32 slot, __u16 age)
{
    struct limpet_connection *connection = limpet_connection_at(slot);

    if (connection)
        connection->last_used = age;
    return connection;
}

/* The connection that holds `cookie`, and its slot's number; NULL when none does. `connection`: of *slot.
 * REQUIRES: *slot is connection_set(cookie). */
static __always_inline struct limpet_connection *connection_find(struct limpet_connection *connection, __u64 cookie,
                                                                 __u32 *slot)
{
    if (__builtin_expect(connection && connection->head.cookie == cookie, 1))
        return connection;
#pragma unroll
    for (int way = 1; way < CONNECTION_WAYS; way++) {
        *slot += CONNECTION_SETS;
        connection = limpet_connection_at(*slot);
        if (connection && connection->head.cookie == cookie)
            return connection;
    }
    return NULL;
}

static __always_inline __u64 holder_of(const struct limpet_connection *connection)
{
    return *(const volatile __u64 *)&connection->head.cookie;
}

/* False when the slot is not `holder`'s any more. */
static __always_inline int exchange_holder(struct limpet_connection *connection, __u64 holder, __u64 next)
{
    return __sync_val_compare_and_swap(&connection->head.cookie, holder, next) == holder;
}

/* True when the slot is open for `cookie`. Where another CPU is about to open it, waits for it, which takes it a fraction of a
 * microsecond, unless an interrupt or the hypervisor comes in between. The clock is read for the time that this takes. Not static: the
 * verifier looks at it once. */
__noinline int connection_is_open(struct limpet_connection_head *head, __u64 cookie)
{
    __u64 holder;

    if (!head)
        return 0;
    for (__u32 i = 0; i < OPENING_ROUNDS; i++) {
        holder = *(volatile __u64 *)&head->cookie;
        if (holder != (cookie | COOKIE_OPENING))
            return holder == cookie;
        bpf_ktime_get_ns();
    }
    return 0;
}

static __always_inline void connection_release(struct limpet_connection *connection, __u64 holder)
{
    exchange_holder(connection, holder, 0);
}

static __always_inline struct connection_claim claim_of(const struct limpet_connection *connection)
{
    struct connection_claim claim = {holder_of(connection), RANK_FREE, connection->last_used};

    if (!claim.holder)
        claim.last_used = 0; /* of free ways the first goes first, though connection_touch has been there */
    else if (claim.holder & COOKIE_OPENING)
        claim.rank = RANK_BARRED;
    else if (connection->begun != connection->done)
        claim.rank = RANK_AT_WORK;
    else
        claim.rank = claim.holder & COOKIE_ON_NOTICE ? RANK_ON_NOTICE : RANK_IDLE;
    return claim;
}

/* The way of a set that goes first, but for slot `barred` - 1: its number + 1, and its claim. This and what follows is not
 * static: the verifier looks at it once. */
__noinline __u32 first_to_go(__u32 place, __u32 barred, struct connection_claim *claim)
{
    struct limpet_connection *candidate;
    struct connection_claim other;
    __u32 first = 0;

    if (!claim)
        return 0;
    claim->rank = RANK_BARRED;
    for (int way = 0; way < CONNECTION_WAYS; way++, place += CONNECTION_SETS) {
        candidate = limpet_connection_at(place);
        if (!candidate || place + 1 == barred)
            continue;
        other = claim_of(candidate);
        if (other.rank == RANK_BARRED || (first && !connection_goes_first(other, *claim)))
            continue;
        *claim = other;
        first = place + 1;
    }
    return first;
}

/* Sees to it that the next connection of the set finds a way, if it can be had without loss. */
static __always_inline void give_notice(__u32 set, __u32 taken)
{
    struct connection_claim claim = {0};
    struct limpet_connection *next = limpet_connection_at(first_to_go(set, taken, &claim) - 1);

    if (next && claim.rank == RANK_IDLE)
        exchange_holder(next, claim.holder, claim.holder | COOKIE_ON_NOTICE);
}

/* As connection_find, for a connection that may be on notice, which is withdrawn, or that another CPU is opening. Its slot's
 * number + 1; 0: there is none. */
__noinline __u32 connection_recall(__u64 cookie)
{
    struct limpet_connection *connection;
    __u32 place = connection_set(cookie);
    __u64 holder;

    for (int way = 0; way < CONNECTION_WAYS; way++, place += CONNECTION_SETS) {
        connection = limpet_connection_at(place);
        if (!connection)
            return 0;
        holder = holder_of(connection);
        if ((holder & ~LIMPET_COOKIE_MARKS) != cookie)
            continue;
        if (holder & COOKIE_ON_NOTICE) {
            connection->last_used = connection_age();
            if (!exchange_holder(connection, holder, cookie))
                continue;
            give_notice(connection_set(cookie), place + 1); /* to another */
        }
        return connection_is_open(&connection->head, cookie) ? place + 1 : 0;
    }
    return 0;
}

/* What a slot is opened for. With an alias its state is elsewhere. */
struct opening {
    __u64 cookie;
    __u32 alias_plus_one;
    __u16 workload; /* with an alias: its generation */
    __u8 verdict;
    __u8 tries;
};

static __always_inline void set_alias(struct limpet_connection_head *head, const struct opening *opening)
{
    head->workload = opening->workload;
    head->alias = (__u16)opening->alias_plus_one;
}

/* Another CPU may have reserved another way for the same connection at the same moment: at least one of the two sees what the other has
 * done. Who holds the higher way gives it up as soon as it sees the lower one; who holds the lower way waits until the other one has, or
 * has opened it without having seen anything. True where way `taken` - 1 is to be given up. */
__noinline int is_given_twice(__u64 cookie, __u32 taken)
{
    struct limpet_connection *connection;
    __u32 place = connection_set(cookie);
    __u64 holder;

    for (int way = 0; way < CONNECTION_WAYS; way++, place += CONNECTION_SETS) {
        connection = limpet_connection_at(place);
        if (!connection || place + 1 == taken)
            continue;
        holder = holder_of(connection);
        if ((holder & ~LIMPET_COOKIE_MARKS) != cookie)
            continue;
        if (place + 1 < taken || !(holder & COOKIE_OPENING) || connection_is_open(&connection->head, cookie))
            return 1;
    }
    return 0;
}

/* Reserves a way by an atomic exchange, fills it, then shows it. 0 when another connection took it at the same moment, or another
 * CPU has one for this connection. */
static __always_inline __u32 take_way(const struct opening *opening)
{
    __u32 set = connection_set(opening->cookie), taken;
    struct connection_claim claim = {0};
    struct limpet_connection *chosen;

    /* the alias may stand in the same set: it must not make room for what points to it */
    taken = first_to_go(set, opening->alias_plus_one, &claim);
    chosen = limpet_connection_at(taken - 1);
    if (!chosen || !exchange_holder(chosen, claim.holder, opening->cookie | COOKIE_OPENING))
        return 0;
    if (claim.holder && chosen->begun != chosen->done)
        limpet_count(LIMPET_STAT_EVICTED);
    if (is_given_twice(opening->cookie, taken)) {
        connection_release(chosen, opening->cookie | COOKIE_OPENING);
        return 0;
    }
    chosen->head.verdict = opening->verdict;
    chosen->head.tries = opening->tries;
    chosen->head.generation++;
    set_alias(&chosen->head, opening);
    *peer_word(taken - 1) = 0;
    chosen->last_used = connection_age();
    limpet_clear_state(chosen);
    __sync_lock_test_and_set(&chosen->head.cookie, opening->cookie);
    give_notice(set, taken);
    return taken;
}

/* Gives a cookie its slot: the one that it has, or one of a new generation with a state of zeros. Both directions of a connection may
 * come here at once: who comes second waits and gets the same slot. The slot's number + 1; 0 when there is none to be had: the caller's
 * segment is then lost to parsers. */
__noinline __u32 connection_open(const struct opening *opening)
{
    struct limpet_connection *connection;
    __u32 found = 0;

    if (!opening)
        return 0;
    for (int i = 0; i < OPENING_TRIES && !found; i++) {
        found = connection_recall(opening->cookie);
        connection = limpet_connection_at(found - 1);
        if (connection && (opening->alias_plus_one || connection->head.alias))
            set_alias(&connection->head, opening); /* what it stood for may be gone */
        if (!connection)
            found = take_way(opening);
    }
    return found;
}
