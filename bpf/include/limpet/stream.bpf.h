/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Parsers of byte streams: how a probe receives the TCP segments of its connections from the tap.
 *
 * The tap (core) sees each segment once per end and calls the parser that owns the connection, by tail call, with what
 * it found out in skb->cb[]. A parser brings two programs, one per direction, in the sections
 *     SEC(LIMPET_STREAM_INGRESS)   segments that the local program receives
 *     SEC(LIMPET_STREAM_EGRESS)    segments that the local program sends
 * and its own slot array (any map type indexed by `slot`; the agent sets max_entries of a map whose name ends in
 * "_slots" to LIMPET_CONNECTIONS). It must return LIMPET_PASS.
 *
 * While nobody owns a connection (`LIMPET_SEGMENT_UNDECIDED`), each parser in turn looks at the first bytes and calls
 *     limpet_claim()      this connection is mine; handle this segment as well
 *     limpet_decline()    not mine, let the next parser look; does not return when there is one
 *     limpet_hand_off()   nobody needs to look at this connection again (it has become a tunnel, or is encrypted)
 * The owner may decline later, when the answer does not look as expected: evidence from both directions.
 *
 * Runs nest and run side by side: both directions of one connection may run on two CPUs at once, and ingress may
 * interrupt egress on one CPU. Write only your direction's half of a slot; keep no per-CPU scratch.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define LIMPET_STREAM_INGRESS "limpet/stream_ingress"
#define LIMPET_STREAM_EGRESS "limpet/stream_egress"
#define LIMPET_CONNECTIONS 16384
#define LIMPET_MAX_PARSERS 16
#define LIMPET_PASS 1

enum limpet_segment_flags {
    LIMPET_SEGMENT_FIN = 1 << 0,       /* the sender is done; comes with or without payload */
    LIMPET_SEGMENT_RST = 1 << 1,       /* the connection is gone */
    LIMPET_SEGMENT_UNDECIDED = 1 << 2, /* nobody owns the connection yet */
};

/* What the tap knows of a segment. Packed into skb->cb[] by the tap; the layout is part of the ABI:
 *   cb[0] slot   cb[1] offset | flags << 16 | parser << 24   cb[2] length   cb[3] sequence   cb[4] workload | generation << 16 */
struct limpet_segment {
    __u32 slot;       /* index into the parser's own slot array */
    __u32 offset;     /* of the first payload byte in the packet */
    __u32 length;     /* payload bytes; 0 only with FIN or RST */
    __u32 sequence;   /* TCP sequence number of the first payload byte (of the FIN when there is none) */
    __u16 workload;   /* number of the workload that owns the socket; 0 when unknown */
    __u16 generation; /* differs from the slot's last user when the slot has been given to another connection */
    __u8 flags;       /* enum limpet_segment_flags */
};

/* The parser's own number; written by the agent. */
const volatile __u32 limpet_parser_number = 1;

/* Tap's table; a value begins with these members whatever the agent's version. Only the functions below use it. */
struct limpet_connection_head {
    __u64 cookie;
    __u8 verdict; /* 0 undecided, 1…15 the owner's number, 255 nobody */
    __u8 tries;
    __u16 generation;
    __u32 reserved;
};
#define LIMPET_VERDICT_UNDECIDED 0
#define LIMPET_VERDICT_NOBODY 255

#ifndef LIMPET_CONNECTION_TYPE
#define LIMPET_CONNECTION_TYPE struct limpet_connection_head
#endif

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, LIMPET_CONNECTIONS);
    __type(key, __u32);
    __type(value, LIMPET_CONNECTION_TYPE);
} limpet_connections SEC(".maps"); /* shared by the agent */

/* What the agent remembers of a socket; a value begins with these members. */
struct limpet_socket {
    __u32 workload;
    __u32 slot_plus_one; /* 0 until the tap has seen payload */
    __u32 generation;
    __u32 flags;
};

struct {
    __uint(type, BPF_MAP_TYPE_SK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
    __type(key, int);
    __type(value, struct limpet_socket);
} limpet_sockets SEC(".maps"); /* shared by the agent */

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, LIMPET_MAX_PARSERS);
    __type(key, __u32);
    __type(value, __u32);
} limpet_ingress SEC(".maps"), limpet_egress SEC(".maps"); /* shared by the agent */

static __always_inline struct limpet_segment limpet_segment_of(const struct __sk_buff *skb)
{
    return (struct limpet_segment){
        .slot = skb->cb[0],
        .offset = skb->cb[1] & 0xffff,
        .flags = skb->cb[1] >> 16 & 0xff,
        .length = skb->cb[2],
        .sequence = skb->cb[3],
        .workload = skb->cb[4] & 0xffff,
        .generation = skb->cb[4] >> 16,
    };
}

static __always_inline void limpet_decide(__u32 slot, __u8 verdict)
{
    struct limpet_connection_head *connection = bpf_map_lookup_elem(&limpet_connections, &slot);

    if (connection)
        connection->verdict = verdict;
}

static __always_inline void limpet_claim(__u32 slot)
{
    limpet_decide(slot, limpet_parser_number);
}

static __always_inline void limpet_hand_off(__u32 slot)
{
    limpet_decide(slot, LIMPET_VERDICT_NOBODY);
}

/* `parsers` is &limpet_ingress or &limpet_egress, as the section. */
static __always_inline void limpet_decline(struct __sk_buff *skb, void *parsers)
{
    if (skb->cb[1] >> 16 & LIMPET_SEGMENT_UNDECIDED)
        bpf_tail_call(skb, parsers, limpet_parser_number + 1);
    else
        limpet_decide(skb->cb[0], LIMPET_VERDICT_UNDECIDED);
}
