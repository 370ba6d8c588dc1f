/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The http probe's kernel side: follows HTTP/1.0 and HTTP/1.1 on any port, at both ends, and counts requests.
 *
 * Hooks   the tap's parsers for both directions (tail-called per segment with payload, FIN or RST);
 *         tp_btf/inet_sock_set_state for connections that end without an answer.
 * Maps    http_slots 4 MB; http_server_* and http_client_* with 1,024 rows each: 0.4 MB a shard each.
 * Cost    per message one window of up to 256 bytes is copied and read; bodies are passed over by their length, unread.
 * Kernel  5.15.
 */
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "http_flow.bpf.h"
#include "http_order.bpf.h"
#include "limpet/kernel_types.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, LIMPET_CONNECTIONS);
    __type(key, __u32);
    __type(value, struct http_slot);
} http_slots SEC(".maps");

LIMPET_PROGRAM(0, on_set_state); /* the parsers' runs are the tap's */

/* Steps for one segment: a message takes one or two, a chunk less. What is left behind them is not read. */
#define STEPS_PER_SEGMENT 1024

/* The direction in which the requests of the slot's queue travel. */
static __always_inline __u32 request_direction(const struct http_slot *slot)
{
    return carries_requests(&slot->halves[INGRESS], slot->queue.generation) ? INGRESS : EGRESS;
}

static __always_inline __u32 unanswered(const struct http_slot *slot)
{
    return slot->queue.count - answered(&slot->halves[!request_direction(slot)], slot->queue.generation);
}

/* The first segment of a direction. */
static __always_inline void meet_half(struct __sk_buff *skb, struct http_slot *slot, struct http_half *half,
                                      const struct limpet_segment *segment, __u32 direction)
{
    struct http_half *other = &slot->halves[!direction];
    struct bpf_sock *sk = skb->sk ? bpf_sk_fullsock(skb->sk) : NULL;
    struct bpf_tcp_sock *tcp = sk ? bpf_tcp_sock(sk) : NULL;

    /* the slot's last connection was displaced, or it would have been told of its end */
    if (other->generation != segment->generation && unanswered(slot))
        limpet_count(LIMPET_STAT_EVICTED);
    begin_half(half, segment->generation, segment->workload);
    half->next_sequence = segment->sequence;
    if (!tcp)
        half->flags = HALF_IS_FRESH;
    else if (direction == INGRESS ? !tcp->bytes_received : tcp->bytes_acked <= 1) {
        half->flags = HALF_IS_FRESH;
        half->next_sequence = direction == INGRESS ? tcp->rcv_nxt : tcp->snd_una; /* a first segment may be lost */
    }
}

/* The sender of this direction has sent its last byte, and all before it has been parsed. */
static __always_inline void end_direction(struct __sk_buff *skb, struct http_slot *slot, struct run *run)
{
    struct http_half *half = &slot->halves[run->direction & 1];
    struct peer peer;

    half->flags &= ~HALF_HAS_FIN;
    if (half->flags & HALF_CARRIES_REQUESTS)
        return; /* a client may close its end and still wait for the answer */
    if (half->state == STATE_UNTIL_CLOSE)
        end_response(skb, slot, run);
    if (half->count == queued(&slot->queue, half->generation))
        return;
    peer_of_packet(skb, run->direction, &peer);
    abandon(slot, !(run->direction & 1), ERROR_TRUNCATED, &peer);
}

static __always_inline void reset_connection(struct __sk_buff *skb, struct http_slot *slot, __u32 direction,
                                             __u16 generation)
{
    struct peer peer;

    if (slot->queue.generation != generation || !unanswered(slot))
        return;
    peer_of_packet(skb, direction, &peer);
    abandon(slot, request_direction(slot), ERROR_RESET, &peer);
}

static __always_inline void decline(struct __sk_buff *skb, struct http_slot *slot, __u16 generation, void *parsers)
{
    slot->halves[INGRESS].generation = slot->halves[EGRESS].generation = generation - 1;
    slot->halves[INGRESS].flags = slot->halves[EGRESS].flags = 0;
    slot->queue.generation = generation - 1;
    slot->queue.count = 0;
    limpet_decline(skb, parsers);
}

static __always_inline int on_segment(struct __sk_buff *skb, void *parsers, __u32 direction)
{
    struct limpet_segment segment = limpet_segment_of(skb);
    struct http_slot *slot = bpf_map_lookup_elem(&http_slots, &segment.slot);
    struct run run = {.direction = direction};
    struct http_half *half;
    __u32 passed_over = 0;
    int result = ADVANCE_OK;

    if (!slot)
        return LIMPET_PASS;
    half = &slot->halves[direction];
    if (half->generation != segment.generation)
        meet_half(skb, slot, half, &segment, direction);
    if (half->workload != segment.workload) {
        half->workload = segment.workload;
        half->row_key = 0;
    }
    if (segment.flags & LIMPET_SEGMENT_UNDECIDED) {
        if (!segment.length)
            return LIMPET_PASS;
        /* whoever sends a request line first is the client */
        if (!carries_requests(&slot->halves[!direction], segment.generation))
            half->flags |= HALF_CARRIES_REQUESTS;
    }
    if (segment.sequence != half->next_sequence && segment.length)
        passed_over = place_segment(skb, slot, &segment, direction);
    if (passed_over < segment.length) {
        run.position = segment.offset + passed_over;
        run.end = segment.offset + segment.length;
        if (may_repeat(half, &run))
            result = repeat_head(skb, slot, &run);
        if (result >= ADVANCE_ANSWERED)
            end_response(skb, slot, &run);
        for (__u32 step = 0; step < STEPS_PER_SEGMENT && run.position < run.end; step++) {
            if (result == ADVANCE_NOT_HTTP || result == ADVANCE_TUNNEL)
                break;
            result = advance(skb, slot, &run);
            if (result >= ADVANCE_ANSWERED)
                end_response(skb, slot, &run);
        }
        if (result == ADVANCE_NOT_HTTP) {
            decline(skb, slot, segment.generation, parsers);
            return LIMPET_PASS;
        }
        if (result == ADVANCE_TUNNEL) {
            limpet_count(LIMPET_STAT_UNSEEN_HANDED_OFF);
            limpet_hand_off(segment.slot);
            return LIMPET_PASS;
        }
        if (run.position < run.end) {
            limpet_count(LIMPET_STAT_UNSEEN_LIMIT);
            half->state = STATE_LOST;
        }
        half->next_sequence = segment.sequence + segment.length;
        if (half->flags & HALF_HAS_AHEAD)
            absorb_ahead(skb, slot, &run);
        if (segment.flags & LIMPET_SEGMENT_UNDECIDED)
            limpet_claim(segment.slot);
    }
    if (segment.flags & LIMPET_SEGMENT_FIN) {
        half->flags |= HALF_HAS_FIN;
        slot->queue.order[direction].fin_sequence = segment.sequence + segment.length;
    }
    if (half->flags & HALF_HAS_FIN && half->next_sequence == slot->queue.order[direction].fin_sequence)
        end_direction(skb, slot, &run);
    if (segment.flags & LIMPET_SEGMENT_RST)
        reset_connection(skb, slot, direction, segment.generation);
    return LIMPET_PASS;
}

SEC(LIMPET_STREAM_INGRESS)
int on_ingress(struct __sk_buff *skb)
{
    return on_segment(skb, &limpet_ingress, INGRESS);
}

SEC(LIMPET_STREAM_EGRESS)
int on_egress(struct __sk_buff *skb)
{
    return on_segment(skb, &limpet_egress, EGRESS);
}

static __always_inline void peer_of_socket(struct sock *sk, struct peer *peer)
{
    __be32 address = BPF_CORE_READ(sk, __sk_common.skc_daddr);

    __builtin_memset(peer, 0, sizeof(*peer));
    if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET)
        map_ipv4(peer, &address);
    else
        BPF_CORE_READ_INTO(&peer->address, sk, __sk_common.skc_v6_daddr.in6_u.u6_addr8);
    peer->port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
}

/* A connection is over. What it left unanswered counts as an error; nearly always there is nothing. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_set_state, struct sock *sk, int old_state, int new_state)
{
    struct limpet_socket *owner;
    struct http_slot *slot;
    struct peer peer;
    __u32 number;

    if (new_state != TCP_CLOSE)
        return 0;
    limpet_count(LIMPET_STAT_RUNS_0);
    owner = bpf_sk_storage_get(&limpet_sockets, sk, NULL, 0);
    if (!owner || !owner->slot_plus_one)
        return 0;
    number = owner->slot_plus_one - 1;
    slot = bpf_map_lookup_elem(&http_slots, &number);
    if (!slot)
        return 0;
    if (slot->queue.generation != (__u16)owner->generation || !unanswered(slot))
        return 0;
    peer_of_socket(sk, &peer);
    abandon(slot, request_direction(slot), BPF_CORE_READ(sk, sk_err) == ETIMEDOUT ? ERROR_TIMEOUT : ERROR_RESET, &peer);
    return 0;
}
