/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Parsers of byte streams: how a probe receives the TCP segments of its connections from the tap.
 *
 * The tap (core) sees each segment once per end and calls the parser that owns the connection, by tail call, with what
 * it found out in skb->cb[]. A parser brings one program for both directions, in the section SEC(LIMPET_STREAM), and keeps
 * what it remembers of a connection in the state that limpet_connection_at gives it. It returns LIMPET_PASS. One program, not two: what a host sends to itself passes both hooks one
 * right behind the other, and finds code and data in the cache the second time.
 *
 * Where one program has not the stack or the instructions, it hands on to others in SEC(LIMPET_STREAM_FURTHER), by tail call and
 * through a BPF_MAP_TYPE_PROG_ARRAY of the probe's own object, which libbpf fills (`__array(values, …)`); plugins/http does.
 *
 * While nobody owns a connection (`LIMPET_SEGMENT_UNDECIDED`), each parser in turn looks at the first bytes and calls
 *     limpet_claim()      this connection is mine; handle this segment as well
 *     limpet_pass_on()    not mine, let the next parser look; does not return when there is one
 *     limpet_hand_off()   nobody needs to look at this connection again (it has become a tunnel, or is encrypted)
 * The owner may decline later (limpet_decline), when the answer does not look as expected: evidence from both directions. Who
 * keeps anything in the state of a connection owns it: a parser that cannot tell yet, as where a segment has overtaken the first
 * one, claims, and declines if need be.
 *
 * Runs nest and run side by side: both directions of one connection may run on two CPUs at once, and ingress may
 * interrupt egress on one CPU. Write only your direction's part of the state; keep no per-CPU scratch.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "limpet/connection.h"
#include "limpet/socket_owners.bpf.h"
#include "limpet/stats.bpf.h"

#define LIMPET_STREAM "limpet/stream"
#define LIMPET_STREAM_FURTHER "limpet/stream/further"
#define LIMPET_CONNECTIONS 16384
#define LIMPET_MAX_PARSERS 16
#define LIMPET_SEGMENT_LENGTH 0xffffff
#define LIMPET_SEGMENT_FLAGS_SHIFT 24
#define LIMPET_SEGMENT_FLAGS 15
#define LIMPET_SEGMENT_LEVEL_SHIFT 28
#define LIMPET_PASS 1

enum limpet_segment_flags {
    LIMPET_SEGMENT_FIN = 1 << 0,       /* the sender is done; comes with or without payload */
    LIMPET_SEGMENT_RST = 1 << 1,       /* the connection is gone */
    LIMPET_SEGMENT_UNDECIDED = 1 << 2, /* nobody owns the connection yet */
    LIMPET_SEGMENT_EGRESS = 1 << 3,    /* sent by the local program; else received by it */
};

/* What the tap knows of a segment. Packed into skb->cb[] by the tap; the layout is part of the ABI:
 *   cb[0] slot | offset << 16   cb[1] length | flags << 24 | level << 28   cb[2] sequence
 *   cb[3], cb[4] low and high half of the time */
struct limpet_segment {
    __u64 time_ns;  /* CLOCK_MONOTONIC: when TCP sent it, or when it arrived */
    __u32 slot;     /* of the connection, for limpet_connection_at */
    __u32 offset;   /* of the first payload byte in the packet */
    __u32 length;   /* payload bytes; 0 only with FIN or RST */
    __u32 sequence; /* TCP sequence number of the first payload byte (of the FIN when there is none) */
    __u8 flags;     /* enum limpet_segment_flags */
    __u8 level;     /* enum limpet_level: what is counted has the weight 1 << limpet_weight_shift(level) */
};

/* Rounds that limpet_enter waits for another CPU: about half a millisecond. A segment takes it some microseconds at
 * most, but an interrupt or the hypervisor may come in between. */
#define LIMPET_ENTER_ROUNDS 64
#define LIMPET_ENTER_TRIES 256 /* of so many rounds each */

/* The parser's own number; written by the agent. */
const volatile __u32 limpet_parser_number = 1;

#define LIMPET_VERDICT_UNDECIDED 0
#define LIMPET_VERDICT_NOBODY 255

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, LIMPET_CONNECTIONS);
    __type(key, __u32);
    __type(value, struct limpet_connection);
} limpet_connections SEC(".maps"); /* shared by the agent */

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, LIMPET_MAX_PARSERS);
    __type(key, __u32);
    __type(value, __u32);
} limpet_parsers SEC(".maps"); /* shared by the agent */

static __always_inline struct limpet_segment limpet_segment_of(const struct __sk_buff *skb)
{
    return (struct limpet_segment){
        .time_ns = (__u64)skb->cb[4] << 32 | skb->cb[3],
        .slot = skb->cb[0] & 0xffff,
        .offset = skb->cb[0] >> 16,
        .length = skb->cb[1] & LIMPET_SEGMENT_LENGTH,
        .flags = skb->cb[1] >> LIMPET_SEGMENT_FLAGS_SHIFT & LIMPET_SEGMENT_FLAGS,
        .level = skb->cb[1] >> LIMPET_SEGMENT_LEVEL_SHIFT,
        .sequence = skb->cb[2],
    };
}

/* The connection of a slot. NULL cannot happen for a slot that the tap gave, but check. */
static __always_inline struct limpet_connection *limpet_connection_at(__u32 slot)
{
    return bpf_map_lookup_elem(&limpet_connections, &slot);
}

/* `lock` and its neighbour `done`, which the other direction may be writing: programs of Linux 5.15 exchange whole words only. */
static __always_inline int limpet_try_to_enter(struct limpet_connection *connection)
{
    __u32 *word = (__u32 *)(void *)&connection->done;
    __u32 seen = *(volatile __u32 *)word;

    return !(seen >> 16) && __sync_val_compare_and_swap(word, seen, seen | 1 << 16) == seen;
}

/* Waits a while to enter where another CPU has. The clock is read for the time that this takes. Not static: the verifier looks
 * at it once. */
__noinline int limpet_wait_a_while(struct limpet_connection *connection)
{
    if (!connection)
        return 0;
    for (__u32 i = 0; i < LIMPET_ENTER_ROUNDS; i++) {
        bpf_ktime_get_ns();
        if (limpet_try_to_enter(connection))
            return 1;
    }
    return 0;
}

__noinline int limpet_wait(struct limpet_connection *connection)
{
    if (!connection)
        return 0;
    for (__u32 i = 0; i < LIMPET_ENTER_TRIES; i++)
        if (limpet_wait_a_while(connection))
            return 1;
    limpet_count(LIMPET_STAT_UNSEEN_LIMIT);
    return 0;
}

/* Received segments of one connection may pass on two CPUs at once, where the network reorders them or steers them anew: a parser
 * enters before it looks at the state and leaves before it returns or passes on. What is sent is in order, by the socket's
 * lock. Returns 0 where it has waited in vain: the segment is then unseen, and counted so. What limpet_segment_of has said of an
 * undecided connection may have changed meanwhile: see limpet_is_for_us. */
static __always_inline int limpet_enter(struct limpet_connection *connection, __u32 is_egress)
{
    return is_egress || limpet_try_to_enter(connection) || limpet_wait(connection);
}

static __always_inline void limpet_leave(struct limpet_connection *connection, __u32 is_egress)
{
    if (!is_egress)
        *(volatile __u16 *)&connection->lock = 0;
}

#define LIMPET_COOKIE_MARKS (3ULL << 61) /* the agent's own, where a slot is about to change hands */

/* What the connection is called: the cookie of its socket, or what stands for one that has none yet. */
static __always_inline __u64 limpet_cookie_of(const struct limpet_connection_head *head)
{
    return head->cookie & ~LIMPET_COOKIE_MARKS;
}

static __always_inline int limpet_is_decided(__u32 verdict)
{
    return verdict == LIMPET_VERDICT_NOBODY || verdict - 1 < LIMPET_MAX_PARSERS - 1;
}

/* `verdict` and what stands behind it change together, and only from what they were: both directions may decide at once. */
static __always_inline __u32 limpet_verdict_word(const struct limpet_connection_head *head)
{
    return *(const volatile __u32 *)(const void *)&head->verdict;
}

static __always_inline int limpet_exchange_verdict(struct limpet_connection_head *head, __u32 seen, __u32 next)
{
    return __sync_val_compare_and_swap((__u32 *)(void *)&head->verdict, seen, next) == seen;
}

#define LIMPET_VERDICT_OF(word) ((word) & 0xff)
#define LIMPET_TRIES_OF(word) ((word) >> 8 & 0xff)
#define LIMPET_VERDICT_WORD(word, verdict, tries) (((word) & ~0xffffU) | (tries) << 8 | (verdict))

/* For parsers that enter, once they have: another CPU may have decided the connection since the tap looked. Returns 0 where it is
 * not this parser's to look at any more; where it has become this parser's own, the segment is told so. */
static __always_inline int limpet_is_for_us(struct __sk_buff *skb, const struct limpet_connection *connection)
{
    __u32 undecided = LIMPET_SEGMENT_UNDECIDED << LIMPET_SEGMENT_FLAGS_SHIFT;
    __u32 verdict = LIMPET_VERDICT_OF(limpet_verdict_word(&connection->head));

    if (!(skb->cb[1] & undecided))
        return verdict == limpet_parser_number;
    if (verdict == limpet_parser_number)
        skb->cb[1] &= ~undecided;
    return verdict == limpet_parser_number || !limpet_is_decided(verdict);
}

/* Does nothing where somebody was faster. */
static __always_inline void limpet_claim(struct limpet_connection_head *head)
{
    struct limpet_stats *stats = limpet_stats_row();
    __u32 seen = limpet_verdict_word(head), tries = LIMPET_TRIES_OF(seen);

    if (limpet_is_decided(LIMPET_VERDICT_OF(seen)))
        return;
    if (stats && LIMPET_SALT_IN(stats->values[LIMPET_STAT_CONTROL])) /* connections are, or have been, sampled */
        tries = LIMPET_EPOCH_IN(stats->values[LIMPET_STAT_CONTROL]);
    limpet_exchange_verdict(head, seen, LIMPET_VERDICT_WORD(seen, limpet_parser_number, tries));
}

static __always_inline void limpet_hand_off(struct limpet_connection_head *head)
{
    head->verdict = LIMPET_VERDICT_NOBODY;
}

/* All that belongs to the connection's owner becomes 0. */
static __always_inline void limpet_clear_state(struct limpet_connection *connection)
{
    connection->begun = connection->done = 0;
    __builtin_memset(connection->known, 0, sizeof(connection->known));
    __builtin_memset(connection->state, 0, sizeof(connection->state));
}

/* No parser wants the segment. After a few of them the connection is nobody's. */
static __always_inline void limpet_refuse(struct limpet_connection_head *head)
{
    __u32 seen = limpet_verdict_word(head), tries = LIMPET_TRIES_OF(seen);

    if (limpet_is_decided(LIMPET_VERDICT_OF(seen)))
        return;
    if (tries)
        limpet_exchange_verdict(head, seen, LIMPET_VERDICT_WORD(seen, LIMPET_VERDICT_OF(seen), tries - 1));
    else
        limpet_exchange_verdict(head, seen, LIMPET_VERDICT_WORD(seen, LIMPET_VERDICT_NOBODY, 0));
}

/* For the next parser, which finds the state as this one has found it. */
static __always_inline void limpet_pass_on(struct __sk_buff *skb, struct limpet_connection *connection)
{
    bpf_tail_call(skb, &limpet_parsers, limpet_parser_number + 1);
    limpet_refuse(&connection->head);
}

/* For a parser that has entered and kept something of the connection, or owns it: clears the state, leaves and passes on. What
 * comes next of an owned connection is shown to all parsers again. */
static __always_inline void limpet_decline(struct __sk_buff *skb, struct limpet_connection *connection, __u32 is_egress)
{
    __u32 seen = limpet_verdict_word(&connection->head);
    int is_owned = LIMPET_VERDICT_OF(seen) == limpet_parser_number;

    limpet_clear_state(connection);
    if (is_owned)
        limpet_exchange_verdict(&connection->head, seen,
                                LIMPET_VERDICT_WORD(seen, LIMPET_VERDICT_UNDECIDED, LIMPET_TRIES_OF(seen)));
    limpet_leave(connection, is_egress);
    if (!is_owned)
        limpet_pass_on(skb, connection);
}
