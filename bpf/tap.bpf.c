/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The tap: sees every TCP segment of the host once per end, and hands it to the probe that owns the connection. Datagrams:
 * tap_datagram.bpf.h.
 *
 * Hooks   cgroup_skb ingress and egress on the root of cgroup2, one program for both; tp_btf/inet_sock_set_state for owners,
 *         early data and closing (tap_states.bpf.h); iter/task_file for the sockets that are older than the agent.
 * Maps    limpet_connections 4 MB, limpet_workloads 56 KB, limpet_workload_index 0.1 MB, limpet_sockets 32 bytes a socket.
 * Cost    a segment without payload: two header reads. With payload: one cache line of the table and a tail call; of a
 *         connection that no probe wants, a look at limpet_nobodys. What a host sends to itself is dealt with for both
 *         ends when it is sent, where its parser can (tap_loopback.bpf.h).
 *         A new connection: one socket-storage look-up more, in tap_open.
 * Kernel  6.2; tap_portable.bpf.c is the same for 5.15.
 *
 * A segment that meets a listening socket carries "early data": with deferred accept, or when the handshake's last ACK was
 * lost, the first request arrives before the accepted socket exists and is never filtered again. It is parsed at once,
 * under a slot that stands for its addresses and ports; the accepted socket, which the same CPU creates right behind,
 * gets that slot as its alias, at the latest with its first segment.
 */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>

#include "adopt.bpf.h"
#include "connection_table.bpf.h"
#include "limpet/stats.bpf.h"
#include "limpet/tick.bpf.h"
#include "limpet/workload.bpf.h"
#include "tap_context.bpf.h"
#include "tap_datagram.bpf.h"
#include "tap_loopback.bpf.h"
#include "tap_sample.bpf.h"
#include "tap_states.bpf.h"
#include "tap_timing.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define TAP_OPEN 0     /* index of tap_open in limpet_parsers */
#define FIRST_PARSER 1 /* undecided connections start there */

#define TCP_FLAG_FIN 0x01
#define TCP_FLAG_SYN 0x02
#define TCP_FLAG_RST 0x04

LIMPET_PROGRAM(0, tap);

/* Where the TCP header begins; 0 for anything that is not TCP over IPv4 or IPv6. Headers are linear on both hooks. */
static __always_inline __u32 tcp_header_offset(const __u8 *data, const __u8 *end)
{
    __u32 offset;

    if (__builtin_expect(data + 40 > end, 0))
        return 0;
    if (__builtin_expect(data[0] >> 4 == 4, 1)) {
        offset = (__u32)(data[0] & 15) * 4;
        return data[9] == IPPROTO_TCP ? offset : 0;
    }
    if (data[6] == IPPROTO_TCP)
        return 40;
    /* more than 64 KB at once (Linux: BIG TCP): a jumbo header of eight bytes stands in between (RFC 2675) */
    return data[6] == IPPROTO_HOPOPTS && data + 48 <= end && data[40] == IPPROTO_TCP && !data[41] ? 48 : 0;
}

/* TCP stamps what it sends with its monotonic send time; a received segment carries no usable stamp. What was sent last by this
 * CPU has arrived when it was sent, as for a capture, if nothing keeps it on its way. */
static __always_inline __u64 time_of_segment(struct __sk_buff *skb, __u32 device, const struct limpet_sent *sent,
                                             __u32 is_sent_last)
{
    __u64 sent_ns;

    if (device)
        return is_sent_last && has_no_queue(skb) ? sent->time_ns : bpf_ktime_get_ns();
    sent_ns = skb->tstamp;
    asm volatile(
        ""
        : "+r"(sent_ns)); /* loaded here: else the compiler chooses an address for both loads, which is no context's */
    return sent_ns ? sent_ns : bpf_ktime_get_ns();
}

/* A segment of a connection that was no parser's a moment ago: whether parsers are to see it. Not inline, as find_aliased: it
 * does not stand in the way of others. */
static __noinline int is_worth_a_try(struct limpet_connection *connection, __u64 cookie, __u32 flags)
{
    __u32 seen = limpet_verdict_word(&connection->head), verdict = LIMPET_VERDICT_OF(seen);
    __u32 adopted = flags & LIMPET_SEGMENT_EGRESS ? VERDICT_ADOPTED_EGRESS : VERDICT_ADOPTED;

    if (verdict == LIMPET_VERDICT_NOBODY)
        know_as_nobodys(cookie);
    if (verdict == LIMPET_VERDICT_NOBODY || verdict == adopted)
        return 0;
    if (verdict == VERDICT_ADOPTED || verdict == VERDICT_ADOPTED_EGRESS) {
        if (limpet_exchange_verdict(&connection->head, seen, LIMPET_VERDICT_WORD(seen, adopted, LIMPET_TRIES_OF(seen))))
            limpet_clear_state(connection);
    }
    return 1;
}

/* The number + 1 of the slot that has the state of `connection`, which is an alias; 0: it has been displaced while it was idle, or is about
 * to be, and the alias is released. */
static __noinline __u32 find_aliased(struct limpet_connection *connection, __u64 cookie)
{
    __u32 alias = connection->head.alias;
    struct limpet_connection *aliased = limpet_connection_at(alias - 1);

    if (aliased && aliased->head.generation == connection->head.workload && !(aliased->head.cookie & COOKIE_ON_NOTICE))
        return alias;
    connection_release(connection, cookie);
    return 0;
}

static __always_inline __u32 open_anew(struct __sk_buff *skb, __u32 offset, __u32 length_and_flags)
{
    skb->cb[0] = offset << 16;
    skb->cb[1] = length_and_flags;
    return TAP_OPEN;
}

/* Which parser is to have the packet: a number of limpet_parsers, TO_DATAGRAM or TO_NOBODY; what it needs is in skb->cb[]. */
static __always_inline __u32 route(struct __sk_buff *skb, struct limpet_stats *stats)
{
    const __u8 *data = (const __u8 *)(long)skb->data;
    const __u8 *end = (const __u8 *)(long)skb->data_end;
    __u32 header = tcp_header_offset(data, end);
    const __u8 *tcp = data + header;
    struct limpet_connection *connection, *holder;
    struct limpet_sent *sent = limpet_sent_in(stats);
    enum sample_membership membership = MEMBER;
    __u64 control = stats->values[LIMPET_STAT_CONTROL], cookie, time_ns;
    __u32 device = skb->ingress_ifindex, offset, length, slot, flags, parser, peer, is_sent_last;
    __u16 age;

    asm volatile("" : "+r"(device)); /* loaded here, see time_of_segment */
    if (__builtin_expect(!header || tcp + 20 > end, 0))
        return route_other(skb);
    offset = header + (__u32)(tcp[12] >> 4) * 4;
    length = skb->len - offset;
    flags = tcp[13] & (TCP_FLAG_FIN | TCP_FLAG_RST); /* FIN is bit 0, as LIMPET_SEGMENT_FIN */
    if (__builtin_expect(flags & TCP_FLAG_RST, 0))
        flags = LIMPET_SEGMENT_RST;
    if (!length && !flags)
        return TO_NOBODY;
    if (!device)
        flags |= LIMPET_SEGMENT_EGRESS;
    else if (!flags && was_dealt_with(device, tcp, sent))
        return TO_NOBODY;
    cookie = cookie_of(skb);
    if (__builtin_expect(!cookie || tcp[13] & TCP_FLAG_SYN, 0))
        return TO_NOBODY;

    if (__builtin_expect(limpet_level_in(control) >= LIMPET_LEVEL_SAMPLED, 0)) {
        membership = membership_of(data, tcp, control);
        if (membership == OUTSIDER)
            return TO_NOBODY;
    }
    flags |= limpet_level_in(control) << (LIMPET_SEGMENT_LEVEL_SHIFT - LIMPET_SEGMENT_FLAGS_SHIFT);
    slot = connection_set(cookie);
    if (is_known_as_nobodys(cookie, slot))
        return TO_NOBODY;
    age = connection_age();
    peer = flags & LIMPET_SEGMENT_EGRESS ? peer_of(slot) : 0;
    connection = connection_touch(slot, age);
    if (peer)
        fetch_peer(peer, age);
    is_sent_last = was_sent_last(device, tcp, sent);
    time_ns = time_of_segment(skb, device, sent, is_sent_last);
    skb->cb[2] = bpf_ntohl(*(const __be32 *)(const void *)(tcp + 4));
    skb->cb[3] = (__u32)time_ns;
    skb->cb[4] = time_ns >> 32;
    holder = connection = connection_find(connection, cookie, &slot);
    if (__builtin_expect(!connection, 0))
        return membership == MEMBER ? open_anew(skb, offset, length | flags << LIMPET_SEGMENT_FLAGS_SHIFT) : TO_NOBODY;
    connection->last_used = age;
    if (__builtin_expect(connection->head.alias, 0)) {
        slot = find_aliased(connection, cookie) - 1;
        connection = limpet_connection_at(slot);
        if (!connection)
            return open_anew(skb, offset, length | flags << LIMPET_SEGMENT_FLAGS_SHIFT);
        connection->last_used = age;
    }
    parser = connection->head.verdict;
    if (__builtin_expect(limpet_level_in(control) >= LIMPET_LEVEL_SAMPLED, 0) && is_parser(parser) &&
        !is_followed(holder, connection, cookie, membership, control))
        return membership == MEMBER ? open_anew(skb, offset, length | flags << LIMPET_SEGMENT_FLAGS_SHIFT) : TO_NOBODY;
    if (__builtin_expect(!is_parser(parser), 0)) {
        if (!is_worth_a_try(connection, cookie, flags))
            return TO_NOBODY;
        flags |= LIMPET_SEGMENT_UNDECIDED;
        parser = FIRST_PARSER;
    }
    skb->cb[0] = slot | offset << 16;
    skb->cb[1] = length | flags << LIMPET_SEGMENT_FLAGS_SHIFT;
    if (flags & LIMPET_SEGMENT_EGRESS) {
        note_sent(sent, tcp, slot, receiver_of(skb, slot, control), time_ns);
    } else if (is_sent_last) {
        introduce_peer(sent, slot);
    }
    return parser;
}

/* A packet that came through a device knows which; one that is on its way out does not. Loaded as an ingress program and
 * attached to both hooks, which share its type and its return values. */
SEC("cgroup_skb/ingress")
int tap(struct __sk_buff *skb)
{
    struct limpet_stats *stats = limpet_begin(LIMPET_RUNS(0));
    __u64 began_ns = 0;
    __u32 parser;

    if (__builtin_expect(!stats, 0))
        return LIMPET_PASS;
    if (__builtin_expect(is_timed(stats->values[LIMPET_RUNS(0)]), 0))
        began_ns = bpf_ktime_get_ns();
    parser = route(skb, stats);
    if (__builtin_expect(began_ns, 0))
        note_route(skb, parser, bpf_ktime_get_ns() - began_ns);
    if (parser == FIRST_PARSER) /* a constant is a jump, a variable an indirect one */
        bpf_tail_call_static(skb, &limpet_parsers, FIRST_PARSER);
    if (parser < LIMPET_MAX_PARSERS)
        bpf_tail_call(skb, &limpet_parsers, parser);
    else if (parser == TO_DATAGRAM)
        bpf_tail_call(skb, &limpet_datagram_parsers, TAP_DATAGRAM);
    return LIMPET_PASS;
}

/* What an empty program costs while run-time statistics are on, is the price of these. */
SEC(LIMPET_TICK)
int tap_nothing(struct __sk_buff *skb)
{
    return 0;
}

__u64 limpet_jiffies = 0;

/* The agent cannot read the kernel's jiffies: it runs this to renew its lease. */
SEC(LIMPET_TICK)
int tap_clock(struct __sk_buff *skb)
{
    limpet_jiffies = bpf_jiffies64();
    return 0;
}

/* True when the first payload bytes are a TLS handshake record (RFC 8446, 5.1). */
static __always_inline int begins_like_tls(const struct __sk_buff *skb)
{
    __u8 head[2] = {0, 0};

    return !bpf_skb_load_bytes(skb, skb->cb[0] >> 16, head, sizeof(head)) && head[0] == 0x16 && head[1] == 0x03;
}

/* Whether something has passed before this segment, by the kernel's own byte counts. */
static __always_inline int is_older(struct bpf_sock *sk)
{
    struct bpf_tcp_sock *tcp = bpf_tcp_sock(sk);

    return tcp && (tcp->bytes_received || tcp->bytes_acked > 1);
}

/* The identity of an early segment's connection, from its packet. */
static __always_inline __u64 identity_of_packet(const struct __sk_buff *skb)
{
    const __u8 *data = (const __u8 *)(long)skb->data;
    const __u8 *end = (const __u8 *)(long)skb->data_end;
    __u32 header = tcp_header_offset(data, end);
    const __u8 *tcp = data + header;
    __u32 remote, acknowledged;

    if (!header || tcp + 12 > end || data + 24 > end)
        return 0;
    __builtin_memcpy(&remote, data[0] >> 4 == 6 ? data + 20 : data + 12, sizeof(remote));
    __builtin_memcpy(&acknowledged, tcp + 8, sizeof(acknowledged));
    return early_identity(remote, (__u16)(tcp[0] << 8 | tcp[1]), (__u16)(tcp[2] << 8 | tcp[3]),
                          bpf_ntohl(acknowledged));
}

/* The number + 1 of the slot of a connection's early segment, where the event that hands it to the accepted socket has not
 * come through; 0: none. */
static __always_inline __u32 find_early(struct bpf_sock *sk)
{
    __u32 ipv4 = sk->dst_ip4, ipv6 = sk->dst_ip6[3];
    struct bpf_tcp_sock *tcp = bpf_tcp_sock(sk);

    if (!tcp)
        return 0;
    asm volatile("" : "+r"(ipv4), "+r"(ipv6)); /* both loaded: else the compiler chooses their offset */
    return connection_recall(early_identity(sk->family == AF_INET6 ? ipv6 : ipv4, bpf_ntohs((__be16)sk->dst_port),
                                            (__u16)sk->src_port, tcp->snd_una - (__u32)tcp->bytes_acked));
}

/* The slot that the connection has been given before under another name, its number + 1. An early segment may come again. An accepted
 * socket takes over its early segment's slot. */
static __always_inline __u32 find_earlier(struct bpf_sock *sk, struct limpet_socket *owner, __u64 cookie)
{
    struct limpet_connection *connection;
    __u32 found;

    if (sk->state == TCP_LISTEN)
        return connection_recall(cookie);
    if (!owner || owner->flags & LIMPET_SOCKET_CONNECTS)
        return 0;
    found = find_early(sk);
    connection = limpet_connection_at(found - 1);
    if (connection)
        take_over(owner, cookie, found - 1, connection->head.generation);
    return found;
}

static __always_inline __u32 open_new(const struct __sk_buff *skb, struct bpf_sock *sk,
                                      const struct limpet_socket *owner, __u64 cookie)
{
    struct opening opening = {.cookie = cookie,
                              .workload = owner ? owner->workload : LIMPET_WORKLOAD_UNKNOWN,
                              .verdict = LIMPET_VERDICT_UNDECIDED,
                              .tries = TRIES_IF_FRESH};

    if (is_older(sk)) {
        opening.verdict = skb->ingress_ifindex ? VERDICT_ADOPTED : VERDICT_ADOPTED_EGRESS;
        opening.tries = TRIES_IF_ADOPTED;
    }
    if (owner && owner->workload == LIMPET_WORKLOAD_SELF) {
        opening.verdict = LIMPET_VERDICT_NOBODY;
    } else if (begins_like_tls(skb)) {
        limpet_count(LIMPET_STAT_UNSEEN_ENCRYPTED);
        opening.verdict = LIMPET_VERDICT_NOBODY;
    }
    return connection_open(&opening);
}

/* A segment of a connection without a slot. */
SEC(LIMPET_STREAM)
int tap_open(struct __sk_buff *skb)
{
    struct bpf_sock *sk = skb->sk;
    struct limpet_connection *connection;
    struct limpet_socket *owner;
    __u32 is_early, found;
    __u64 cookie;
    __u8 verdict;

    if (!sk || !(skb->cb[1] & LIMPET_SEGMENT_LENGTH)) /* the end of a connection that nobody followed */
        return LIMPET_PASS;
    sk = bpf_sk_fullsock(sk);
    if (!sk || sk->type != SOCK_STREAM || sk->protocol != IPPROTO_TCP) /* a raw socket gets copies */
        return LIMPET_PASS;
    is_early = sk->state == TCP_LISTEN;
    owner = bpf_sk_storage_get(&limpet_sockets, sk, NULL, is_early ? 0 : BPF_SK_STORAGE_GET_F_CREATE);
    cookie = is_early ? identity_of_packet(skb) : bpf_get_socket_cookie(skb);
    if (!cookie)
        return LIMPET_PASS;
    found = find_earlier(sk, owner, cookie);
    if (!found)
        found = open_new(skb, sk, owner, cookie);
    connection = limpet_connection_at(found - 1);
    if (!connection) {
        limpet_count(LIMPET_STAT_UNSEEN_LIMIT);
        return LIMPET_PASS;
    }
    if (is_early) {
        remember_early(cookie, connection, found - 1);
    } else if (owner) {
        owner->slot_plus_one = found;
        owner->generation = connection->head.generation;
    }
    verdict = connection->head.verdict;
    if (verdict == LIMPET_VERDICT_NOBODY)
        return LIMPET_PASS;
    skb->cb[0] |= found - 1;
    if (is_parser(verdict)) { /* another CPU was faster */
        bpf_tail_call(skb, &limpet_parsers, verdict);
        return LIMPET_PASS;
    }
    skb->cb[1] |= LIMPET_SEGMENT_UNDECIDED << LIMPET_SEGMENT_FLAGS_SHIFT;
    bpf_tail_call(skb, &limpet_parsers, FIRST_PARSER);
    return LIMPET_PASS;
}
