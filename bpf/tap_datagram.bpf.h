/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The tap's way of UDP datagrams. Part of the tap's object.
 *
 * Maps    limpet_datagram_ports 64 KB, one byte a port.
 * Cost    a datagram that nobody asked for: two header reads, two bytes of the port table. One that a probe wants: a socket-storage
 *         look-up and two tail calls more.
 *
 * Who owns a UDP socket shows when it first sends: that happens in the sender's context. What comes in before has no owner yet,
 * except to sockets that are older than the agent (adopt.bpf.h).
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "limpet/datagram.bpf.h"
#include "limpet/names.bpf.h"
#include "limpet/stream.bpf.h"
#include "limpet/workload.bpf.h"

#define DNS_PORT 53
#define TAP_DATAGRAM 0 /* index of tap_datagram in limpet_datagram_parsers */

/* Where the tap sends a packet, beside the numbers of stream parsers. */
#define TO_DATAGRAM 254 /* tap_datagram */
#define TO_NOBODY 255
_Static_assert(TO_NOBODY == LIMPET_VERDICT_NOBODY, "a connection that is nobody's");

/* Which probe wants a port, in host order; 0: none. Written by the agent. */
struct limpet_port_owners {
    __u8 parser[65536];
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct limpet_port_owners);
} limpet_datagram_ports SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, LIMPET_MAX_PARSERS);
    __type(key, __u32);
    __type(value, __u32);
} limpet_datagram_parsers SEC(".maps");

/* Where the UDP header begins; 0 for anything else, later fragments included (they have no header). */
static __always_inline __u32 udp_header_offset(const __u8 *data, const __u8 *end)
{
    if (data + 28 > end)
        return 0;
    if (data[0] >> 4 == 4)
        return data[9] == IPPROTO_UDP && !(data[6] & 0x1f) && !data[7] ? (__u32)(data[0] & 15) * 4 : 0;
    return data[0] >> 4 == 6 && data[6] == IPPROTO_UDP ? 40 : 0;
}

/* True for a datagram to 127.0.0.11, where Docker's resolver answers its containers: NAT in their network namespaces makes
 * its port 53 another one before any hook. Nothing else is served at that address. */
static __always_inline int is_to_container_resolver(const __u8 *data)
{
    return data[0] >> 4 == 4 && data[16] == 127 && data[17] == 0 && data[18] == 0 && data[19] == 11;
}

/* A port in host order. Verifiers before 6.18 know nothing of a number whose bytes were swapped, and the compiler would leave
 * the mask out. */
static __always_inline __u32 port_of(__be16 port)
{
    __u32 number = bpf_ntohs(port);

    asm volatile("%0 &= 0xffff" : "+r"(number));
    return number;
}

/* A packet that is not TCP: goes to the probe that wants it, if one does. */
static __always_inline __u32 route_other(struct __sk_buff *skb)
{
    const __u8 *data = (const __u8 *)(long)skb->data;
    const __u8 *end = (const __u8 *)(long)skb->data_end;
    __u32 header = udp_header_offset(data, end), zero = 0, is_egress = !skb->ingress_ifindex;
    const struct limpet_port_owners *owners = bpf_map_lookup_elem(&limpet_datagram_ports, &zero);
    const __u8 *udp = data + header;
    __u32 source, destination;
    __u8 parser;

    if (!header || udp + 8 > end || !owners)
        return TO_NOBODY;
    source = port_of(*(const __be16 *)(const void *)udp);
    destination = port_of(*(const __be16 *)(const void *)(udp + 2));
    parser = owners->parser[source];
    if (!parser)
        parser = owners->parser[destination];
    if (!parser && is_egress && skb->sk) { /* the destination may have been rewritten */
        destination = port_of((__be16)skb->sk->dst_port);
        parser = owners->parser[destination];
    }
    if (!parser && is_to_container_resolver(data)) {
        destination = DNS_PORT;
        parser = owners->parser[DNS_PORT];
    }
    if (__builtin_expect(!parser, 1))
        return TO_NOBODY;
    skb->cb[1] = (header + 8) | (is_egress ? LIMPET_DATAGRAM_EGRESS : 0) << 16;
    skb->cb[2] = skb->len - header - 8;
    skb->cb[3] = is_egress ? source << 16 | destination : destination << 16 | source;
    skb->cb[4] = parser;
    return TO_DATAGRAM;
}

/* Finds the owner, and hands the datagram on. */
SEC(LIMPET_DATAGRAM)
int tap_datagram(struct __sk_buff *skb)
{
    __u32 is_egress = skb->cb[1] >> 16 & LIMPET_DATAGRAM_EGRESS, parser = skb->cb[4];
    struct bpf_sock *sk = skb->sk;
    struct limpet_socket *owner;
    __u32 workload = LIMPET_WORKLOAD_UNKNOWN;

    if (!sk)
        return LIMPET_PASS;
    sk = bpf_sk_fullsock(sk);
    if (!sk || sk->type != SOCK_DGRAM || sk->protocol != IPPROTO_UDP) /* a raw socket gets copies */
        return LIMPET_PASS;
    owner = bpf_sk_storage_get(&limpet_sockets, sk, NULL, is_egress ? BPF_SK_STORAGE_GET_F_CREATE : 0);
    if (owner)
        workload = owner->workload;
    if (workload == LIMPET_WORKLOAD_UNKNOWN && is_egress) {
        workload = limpet_workload_of((struct task_struct *)bpf_get_current_task());
        if (owner)
            owner->workload = workload;
    }
    if (workload == LIMPET_WORKLOAD_SELF)
        return LIMPET_PASS;
    skb->cb[0] = workload;
    skb->cb[4] = 0;
    bpf_tail_call(skb, &limpet_datagram_parsers, parser);
    return LIMPET_PASS;
}
