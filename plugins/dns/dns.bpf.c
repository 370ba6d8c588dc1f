/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The dns probe's kernel side: follows DNS over UDP and TCP on the configured ports, at both ends, and counts lookups.
 *
 * Hooks   the tap's datagram and stream parsers; once a second a look at the queries that wait.
 * Maps    queries 0.13 MB; dns_lookup_* 512 rows, dns_server_* 128, dns_workload_* 256; question_* 0.33 MB.
 * Cost    see README.md.
 * Kernel  5.15.
 *
 * A client's query is owned by who sends it, a server's by who sends the answer: both are seen in the sender's context.
 */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "dns_exchange.bpf.h"
#include "dns_stream.bpf.h"
#include "limpet/datagram.bpf.h"
#include "limpet/stream.bpf.h"
#include "limpet/tick.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

LIMPET_PROGRAM(0, on_datagram);
LIMPET_PROGRAM(1, on_segment);
LIMPET_PROGRAM(2, on_tick);

LIMPET_PORTS(dns_ports, "ports");

static __always_inline __u64 mix(__u64 hash, __u32 word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
    return hash ^ hash >> 32;
}

/* Hash of the other end's address and port. 0 for multicast, in either direction (mDNS): such a question is to everybody,
 * and nobody need answer. Both kinds of IP header have their addresses in the packet's first 40 bytes, which are there: a DNS header
 * follows. */
static __always_inline __u64 peer_of_packet(const struct __sk_buff *skb, const struct limpet_datagram *datagram)
{
    __u32 is_egress = datagram->flags & LIMPET_DATAGRAM_EGRESS, words[10];
    __u64 hash = datagram->remote_port | 1ULL << 32;

    if (bpf_skb_load_bytes(skb, 0, words, sizeof(words)))
        return 0;
    if (bpf_ntohl(words[0]) >> 28 == 4)
        return bpf_ntohl(words[4]) >> 28 == 14 ? 0 : mix(hash, is_egress ? words[4] : words[3]);
    if (bpf_ntohl(words[6]) >> 24 == 0xff)
        return 0;
    for (int i = 2; i < 6; i++)
        hash = mix(hash, is_egress ? words[i + 4] : words[i]);
    return hash;
}

SEC(LIMPET_DATAGRAM)
int on_datagram(struct __sk_buff *skb)
{
    struct limpet_datagram datagram = limpet_datagram_of(skb);
    struct message message = {};
    struct dns_header header;
    __u64 peer;

    limpet_count(LIMPET_STAT_RUNS_0);
    message.workload = datagram.workload;
    if (datagram.length < HEADER_BYTES || bpf_skb_load_bytes(skb, datagram.offset, &header, sizeof(header))) {
        count_malformed(message.workload);
        return LIMPET_PASS;
    }
    peer = peer_of_packet(skb, &datagram);
    if (!peer)
        return LIMPET_PASS;
    if (skb->gso_segs > 1) /* several datagrams in one packet: the first is read */
        limpet_count(LIMPET_STAT_UNSEEN_LIMIT);
    message.socket = bpf_get_socket_cookie(skb);
    message.is_egress = datagram.flags & LIMPET_DATAGRAM_EGRESS ? 1 : 0;
    message.body = datagram.offset + HEADER_BYTES;
    message.end = datagram.offset + datagram.length;
    read_header(&message, &header);
    if (is_of_client(&message))
        message.server = (__u32)peer;
    else
        message.peer = peer;
    take_message(skb, &message);
    return LIMPET_PASS;
}

/* The ports as the program sees them: those of the socket. */
static __always_inline int is_dns_connection(const struct __sk_buff *skb)
{
    struct bpf_sock *sk = skb->sk;

    return sk && (limpet_has_port(dns_ports, bpf_ntohs((__be16)sk->dst_port)) ||
                  limpet_has_port(dns_ports, (__u16)sk->src_port));
}

SEC(LIMPET_STREAM)
int on_segment(struct __sk_buff *skb)
{
    struct limpet_segment segment = limpet_segment_of(skb);
    struct dns_connection *connection = (void *)limpet_connection_at(segment.slot);

    if (!connection)
        return LIMPET_PASS;
    if (segment.flags & LIMPET_SEGMENT_UNDECIDED) {
        if (!is_dns_connection(skb)) {
            limpet_pass_on(skb, (struct limpet_connection *)connection);
            return LIMPET_PASS;
        }
        limpet_claim(&connection->head);
    }
    limpet_count(LIMPET_STAT_RUNS_0 + 1);
    if (segment.length)
        read_segment(skb, connection);
    return LIMPET_PASS;
}

SEC(LIMPET_TICK)
int on_tick(struct __sk_buff *skb)
{
    __u64 now_ns = bpf_ktime_get_ns();

    LIMPET_BEGIN(2, 0);
    for (__u32 slot = 0; slot < QUERIES; slot++)
        expire(slot, now_ns);
    return 0;
}
