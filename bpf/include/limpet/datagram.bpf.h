/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Parsers of datagrams: how a probe receives the UDP datagrams of its ports from the tap.
 *
 * The tap (core) sees each datagram once per end. One whose local or remote port a probe has asked for goes to that
 * probe's program in the section SEC(LIMPET_DATAGRAM), by tail call, with what the tap found out in skb->cb[]. The
 * program serves both directions, returns LIMPET_PASS, and keeps its state itself.
 *
 *     LIMPET_PORTS(dns_ports, "ports");    at most 16 ports, from the config key `ports`, a list of number
 *
 * asks for them. A port belongs to one probe. Runs nest and run side by side, as those of stream parsers do: ingress may
 * interrupt egress on one CPU, and two CPUs may serve one socket.
 *
 * The port that a program sends to may be another in the packet: NAT in the sender's network namespace comes before the
 * hook. A connected socket's own port counts as well, and whatever goes to 127.0.0.11, Docker's resolver, goes to port 53.
 * What else an unconnected socket sends through such a NAT is not recognised.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "limpet/tags.bpf.h"

#define LIMPET_DATAGRAM "limpet/datagram"
#define LIMPET_MAX_PORTS 16
#ifndef LIMPET_PASS
#define LIMPET_PASS 1
#endif

/* Declares the ports that the probe wants; written by the agent before load, 0 where there are fewer. */
#define LIMPET_PORTS(variable, config_key)                                                                             \
    const volatile __u16 variable[LIMPET_MAX_PORTS] LIMPET_TAG("ports|" config_key) = {1}

enum limpet_datagram_flags {
    LIMPET_DATAGRAM_EGRESS = 1 << 3, /* sent by the local program; else received by it */
};

/* What the tap knows of a datagram. Packed into skb->cb[]; the layout is part of the ABI:
 *   cb[0] workload   cb[1] offset | flags << 16   cb[2] length   cb[3] local port << 16 | remote port   cb[4] reserved, 0 */
struct limpet_datagram {
    __u32 workload; /* that owns the socket; 0: unknown, before the socket's first egress. Sure on egress */
    __u32 offset;   /* of the first payload byte in the packet */
    __u32 length;   /* payload bytes */
    __u16 local_port;
    __u16 remote_port;
    __u8 flags; /* enum limpet_datagram_flags */
};

static __always_inline struct limpet_datagram limpet_datagram_of(const struct __sk_buff *skb)
{
    return (struct limpet_datagram){
        .workload = skb->cb[0],
        .offset = skb->cb[1] & 0xffff,
        .flags = skb->cb[1] >> 16 & 0xff,
        .length = skb->cb[2],
        .local_port = skb->cb[3] >> 16,
        .remote_port = skb->cb[3] & 0xffff,
    };
}

static __always_inline int limpet_has_port(const volatile __u16 *ports, __u16 port)
{
    int is_there = 0;

    for (int i = 0; i < LIMPET_MAX_PORTS; i++)
        is_there |= ports[i] == port;
    return is_there && port;
}
