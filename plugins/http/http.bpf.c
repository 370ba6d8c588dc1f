/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The http probe's kernel side: follows HTTP/1.0 and HTTP/1.1 on any port, at both ends, and counts requests.
 *
 * Hooks   the tap's parsers for both directions (tail-called per segment with payload, FIN or RST);
 *         tp_btf/inet_sock_set_state for connections that end without an answer, cgroup/sock_release for clients that give up.
 * Maps    state in the connections of the tap; http_server_* and http_client_* with 1,024 rows each: 0.6 MB a shard each.
 * Cost    a head that is the one before it is copied, hashed and not read (http_plain.bpf.h); of others one window of up to 256
 *         bytes after another. Bodies are passed over by their length, unread.
 * Kernel  5.15.
 */
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "http_flow.bpf.h"
#include "http_order.bpf.h"
#include "http_plain.bpf.h"
#include "limpet/kernel_types.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

LIMPET_PROGRAM(0, on_set_state); /* the parsers' runs are the tap's */
LIMPET_PROGRAM(1, on_set_state_again);
LIMPET_PROGRAM(2, on_release);

#define CGROUP_ALLOW 1

/* Steps for one segment: a message takes one or two, a chunk less. What is left behind them is not read. */
#define STEPS_PER_SEGMENT 2048

/* The first segment of a direction. */
static __always_inline void meet_half(struct __sk_buff *skb, struct http_half *half,
                                      const struct limpet_segment *segment, __u32 direction)
{
    struct bpf_tcp_sock *tcp = tcp_of(skb);

    half->next_sequence = segment->sequence;
    half->flags |= HALF_IS_MET;
    if (!tcp) {
        half->flags |= HALF_IS_FRESH;
    } else if (by_direction(direction, tcp->bytes_received + 1, tcp->bytes_acked) <= 1) { /* a SYN counts as acked */
        half->flags |= HALF_IS_FRESH;
        half->next_sequence = expected_sequence(tcp, direction); /* this one may not be the first: that may be lost */
    }
}

/* A received segment is read before the socket's lock is taken: while another CPU ends the connection, which is told by what this
 * end sends or by the socket. One of them has the last answer. `has_entered`: this is such a segment. Not static: the verifier looks at it
 * once. */
__noinline int abandon_alone(struct http_connection *connection, __u8 error, struct peer *peer, __u32 has_entered)
{
    if (!connection || !peer || !limpet_enter((void *)connection, has_entered))
        return 0;
    if (unanswered(connection))
        abandon(connection, error, peer);
    limpet_leave((void *)connection, has_entered);
    return 0;
}

/* The sender of this direction has sent its last byte, and all before it has been parsed. */
static __always_inline void end_direction(struct __sk_buff *skb, struct http_connection *connection, struct run *run)
{
    struct http_half *half = &connection->halves[run->direction & 1];
    struct peer peer;

    half->flags &= ~HALF_HAS_FIN;
    if (half->flags & HALF_CARRIES_REQUESTS)
        return; /* a client may close its end and still wait for the answer */
    if (half->state == STATE_UNTIL_CLOSE || half->state == STATE_BLIND)
        end_response(skb, connection, run);
    if (!unanswered(connection))
        return;
    peer_of_packet(skb, run->direction, &peer);
    abandon_alone(connection, ERROR_TRUNCATED, &peer, run->direction == INGRESS);
}

/* TCP takes a received reset at the very next number alone, or behind a FIN (RFC 5961, 3.2): forged ones and those that lost data
 * overtakes end nothing. If one does all the same, the socket's own end tells. */
static __always_inline int is_taken_reset(const struct http_half *half, const struct limpet_segment *segment)
{
    return segment->flags & LIMPET_SEGMENT_RST &&
           (segment->flags & LIMPET_SEGMENT_EGRESS || segment->sequence + segment->length - half->next_sequence <= 1);
}

static __always_inline void reset_connection(struct __sk_buff *skb, struct http_connection *connection, __u32 direction)
{
    struct peer peer;

    if (!unanswered(connection))
        return;
    peer_of_packet(skb, direction, &peer);
    abandon_alone(connection, ERROR_RESET, &peer, direction == INGRESS);
}

/* Reads what repeat_head has left of a segment, up to its end, and what had come early behind it. Returns as step does, but for
 * ADVANCE_DONE. */
static __always_inline int read_segment(struct __sk_buff *skb, struct http_connection *connection, struct run *run)
{
    struct http_half *half = &connection->halves[run->direction & 1];
    int result = ADVANCE_OK;

    for (__u32 steps = 0; steps < STEPS_PER_SEGMENT && !result; steps++)
        result = step(skb, connection, run);
    if (result == ADVANCE_OK) {
        limpet_count(LIMPET_STAT_UNSEEN_LIMIT);
        half->state = STATE_LOST;
        half->next_sequence = run->end_sequence;
    }
    return result == ADVANCE_DONE ? ADVANCE_OK : result;
}

/* Finds the segment's place in its direction, which may be new; sets what of it is to be read. */
static __noinline void place(struct __sk_buff *skb, struct http_connection *connection, struct run *run)
{
    struct limpet_segment segment = limpet_segment_of(skb);
    __u32 direction = run->direction & 1;
    struct http_half *half = &connection->halves[direction];
    __u32 passed_over = 0;

    if (!(half->flags & HALF_IS_MET))
        meet_half(skb, half, &segment, direction);
    /* whoever sends a request line first is the client */
    if (segment.flags & LIMPET_SEGMENT_UNDECIDED && !carries_requests(&connection->halves[!direction]))
        half->flags |= HALF_CARRIES_REQUESTS;
    if (segment.sequence != half->next_sequence && segment.length)
        passed_over = place_segment(skb, connection, &segment, direction);
    run->position = segment.offset + passed_over;
    run->end = segment.offset + segment.length;
}

/* The segment has been read, or was not to be: what follows from its place and its flags. */
static __noinline void conclude(struct __sk_buff *skb, struct http_connection *connection, struct run *run,
                                __u32 was_read)
{
    struct limpet_segment segment = limpet_segment_of(skb);
    __u32 direction = run->direction & 1;
    struct http_half *half = &connection->halves[direction];

    if (segment.flags & LIMPET_SEGMENT_UNDECIDED && (was_read || half->flags & HALF_HAS_AHEAD))
        limpet_claim(&connection->head);
    if (segment.flags & LIMPET_SEGMENT_FIN) {
        half->flags |= HALF_HAS_FIN;
        connection->order[direction].fin_sequence = segment.sequence + segment.length;
    }
    if (half->flags & HALF_HAS_FIN && half->next_sequence == connection->order[direction].fin_sequence)
        end_direction(skb, connection, run);
    if (is_taken_reset(half, &segment))
        reset_connection(skb, connection, direction);
}

/* Every segment that is not the plain next one: the first of a direction, those out of order, the last, and messages that
 * repeat_head does not know. `run->position` is 0, or where repeat_head has come to. Returns as step does. */
static __always_inline int follow(struct __sk_buff *skb, struct http_connection *connection, struct run *run)
{
    struct limpet_segment segment = limpet_segment_of(skb);
    __u32 is_read;
    int result = ADVANCE_OK;

    if (!run->position)
        place(skb, connection, run);
    run->end_sequence = segment.sequence + segment.length;
    is_read = run->position < run->end;
    if (is_read)
        result = read_segment(skb, connection, run);
    if (!result)
        conclude(skb, connection, run, is_read);
    return result;
}

/* A message whose head is the one before it, in a segment that holds more than that or does not end with it. Returns 1 when the
 * segment is dealt with; else `run` tells how far it came. */
static __always_inline int repeat(struct __sk_buff *skb, struct http_connection *connection, struct run *run)
{
    struct limpet_segment segment = limpet_segment_of(skb);
    struct http_half *half = &connection->halves[run->direction & 1];
    int result;

    if (!is_next(half, &segment) || half->state != STATE_START ||
        !may_repeat(connection, &connection->heads[run->direction & 1], &segment))
        return 0;
    run->position = segment.offset;
    run->end = segment.offset + segment.length;
    result = repeat_head(skb, connection, run);
    if (result >= ADVANCE_ANSWERED)
        end_response(skb, connection, run);
    if (result == ADVANCE_TUNNEL) {
        limpet_count(LIMPET_STAT_UNSEEN_HANDED_OFF);
        limpet_hand_off(&connection->head);
        return 1;
    }
    if (run->position != run->end)
        return 0;
    half->next_sequence += segment.length;
    return 1;
}

/* Any segment. on_segment has entered the connection. */
SEC(LIMPET_STREAM_FURTHER)
int on_any_segment(struct __sk_buff *skb)
{
    struct limpet_segment segment = limpet_segment_of(skb);
    struct http_connection *connection = (void *)limpet_connection_at(segment.slot);
    struct run run = {.now_ns = segment.time_ns,
                      .direction = segment.flags & LIMPET_SEGMENT_EGRESS ? EGRESS : INGRESS,
                      .level = segment.level};
    int result = ADVANCE_OK;

    if (!connection)
        return LIMPET_PASS;
    if (limpet_is_for_us(skb, (void *)connection) && !repeat(skb, connection, &run))
        result = follow(skb, connection, &run);
    if (result == ADVANCE_NOT_HTTP) {
        limpet_decline(skb, (void *)connection, run.direction == EGRESS);
        return LIMPET_PASS;
    }
    if (result != ADVANCE_OK) {
        limpet_count(result == ADVANCE_TLS ? LIMPET_STAT_UNSEEN_ENCRYPTED : LIMPET_STAT_UNSEEN_HANDED_OFF);
        limpet_hand_off(&connection->head);
    }
    limpet_leave((void *)connection, run.direction == EGRESS);
    return LIMPET_PASS;
}

/* A program of its own for what is not plain: it needs all of the stack, and plain segments the shortest way. */
struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 1);
    __uint(key_size, sizeof(__u32));
    __array(values, int(struct __sk_buff *));
} http_programs SEC(".maps") = {.values = {[0] = (void *)&on_any_segment}};

SEC(LIMPET_STREAM)
int on_segment(struct __sk_buff *skb)
{
    struct limpet_segment segment = limpet_segment_of(skb);
    struct http_connection *connection = (void *)limpet_connection_at(segment.slot);
    __u32 direction = segment.flags & LIMPET_SEGMENT_EGRESS ? EGRESS : INGRESS;
    const struct http_half *half;
    __u64 sent_head;

    if (!connection || !limpet_enter((void *)connection, direction == EGRESS))
        return LIMPET_PASS;
    half = &connection->halves[direction];
    sent_head = half->state == STATE_START ? connection->heads[direction].hash : 0;
    if (!take_plain(skb, connection, &segment, direction, 0)) {
        if (!is_last_again(half, &segment))
            bpf_tail_call_static(skb, &http_programs, 0);
    } else if (direction == EGRESS) {
        take_at_receiver(&segment, sent_head);
    }
    limpet_leave((void *)connection, direction == EGRESS);
    return LIMPET_PASS;
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

static __always_inline void peer_of_release(const struct bpf_sock *sk, struct peer *peer)
{
    __be32 address = sk->dst_ip4;

    if (sk->family == AF_INET) {
        map_ipv4(peer, &address);
    } else {
        for (int i = 0; i < 4; i++)
            ((__be32 *)peer->address)[i] = sk->dst_ip6[i];
    }
    peer->port = bpf_ntohs((__be16)sk->dst_port);
}

/* The connection of a socket, if it has left something unanswered; NULL otherwise, which is nearly always. */
static __always_inline struct http_connection *unanswered_connection(const struct limpet_socket *owner)
{
    struct http_connection *connection;

    if (!owner || !owner->slot_plus_one)
        return NULL;
    connection = (void *)limpet_connection_at(owner->slot_plus_one - 1);
    if (!connection || connection->head.generation != (__u16)owner->generation ||
        connection->head.verdict != limpet_parser_number || !unanswered(connection))
        return NULL;
    return connection;
}

/* A connection is over. What it left unanswered counts as an error. */
static __always_inline int close_connection(struct sock *sk)
{
    struct http_connection *connection = unanswered_connection(bpf_sk_storage_get(&limpet_sockets, sk, NULL, 0));
    struct peer peer;

    if (!connection)
        return 0;
    peer_of_socket(sk, &peer);
    abandon_alone(connection, BPF_CORE_READ(sk, sk_err) == ETIMEDOUT ? ERROR_TIMEOUT : ERROR_RESET, &peer, 0);
    return 0;
}

/* Two programs for one hook: the kernel leaves out one that is under way on that CPU already. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_set_state, struct sock *sk, int old_state, int new_state)
{
    LIMPET_BEGIN(0, 0);
    if (new_state != TCP_CLOSE)
        return 0;
    return close_connection(sk);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_set_state_again, struct sock *sk, int old_state, int new_state)
{
    LIMPET_BEGIN(1, 0);
    if (new_state != TCP_CLOSE)
        return 0;
    return close_connection(sk);
}

/* A client closes its socket without the answer, which nobody will read now. Its connection goes on in the kernel until the
 * server agrees, and there are kernels that do not run tracing programs wherever that is. */
SEC("cgroup/sock_release")
int on_release(struct bpf_sock *sk)
{
    struct http_connection *connection;
    struct limpet_socket *owner;
    struct peer peer = {0};

    LIMPET_BEGIN(2, CGROUP_ALLOW);
    if (sk->type != SOCK_STREAM)
        return CGROUP_ALLOW;
    owner = bpf_sk_storage_get(&limpet_sockets, sk, NULL, 0);
    connection = unanswered_connection(owner);
    if (!connection || !(owner->flags & LIMPET_SOCKET_CONNECTS))
        return CGROUP_ALLOW;
    peer_of_release(sk, &peer);
    abandon_alone(connection, ERROR_RESET, &peer, 0);
    return CGROUP_ALLOW;
}
