/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Sockets: whose they are, and their addresses as labels show them.
 *
 * The agent notes the owner of each TCP socket when it connects or listens (an accepted one has its listener's), and at
 * start of those that are older. Sockets are the kernel's own (struct sock) or those of cgroup programs (struct bpf_sock).
 * A probe's program may run before the agent's on the same event: read the owner on a later one.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "kernel_types.bpf.h"
#include "socket_owners.bpf.h"
#include "workload.bpf.h"

/* A label with the decoder "address". IPv4 as ::ffff:a.b.c.d; the port in host order. No padding: may stand in a key. */
struct limpet_address {
    __u8 bytes[16];
    __u16 port;
    __u16 zero;
};

/* The workload that owns a socket: LIMPET_WORKLOAD_SELF for the agent's, and for those of this host that ask it for metrics. */
static __always_inline __u32 limpet_owner_of(void *sk)
{
    struct limpet_socket *owner = bpf_sk_storage_get(&limpet_sockets, sk, NULL, 0);

    return owner ? owner->workload : LIMPET_WORKLOAD_UNKNOWN;
}

/* Makes `task` the owner of a socket that has none. */
static __always_inline void limpet_own_if_nobody_does(void *sk, struct task_struct *task)
{
    struct limpet_socket *owner = bpf_sk_storage_get(&limpet_sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);

    if (owner && owner->workload == LIMPET_WORKLOAD_UNKNOWN)
        owner->workload = limpet_workload_of(task);
}

static __always_inline void limpet_fill_address(struct limpet_address *address, __u16 family, __be32 ipv4,
                                                const struct in6_addr *ipv6, __u16 port)
{
    __u32 *words = (__u32 *)(void *)address->bytes;

    if (family == AF_INET6) {
        words[0] = ipv6->in6_u.u6_addr32[0];
        words[1] = ipv6->in6_u.u6_addr32[1];
        words[2] = ipv6->in6_u.u6_addr32[2];
        words[3] = ipv6->in6_u.u6_addr32[3];
    } else {
        words[0] = words[1] = 0;
        words[2] = bpf_htonl(0xffff);
        words[3] = ipv4;
    }
    address->port = port;
    address->zero = 0;
}

/* The end that the socket is or will be connected to. */
static __always_inline void limpet_remote_address(const struct sock *sk, struct limpet_address *address)
{
    const struct sock_common *common = &sk->__sk_common;

    limpet_fill_address(address, common->skc_family, common->skc_daddr, &common->skc_v6_daddr,
                        bpf_ntohs(common->skc_dport));
}

/* The end that the socket is bound to. */
static __always_inline void limpet_local_address(const struct sock *sk, struct limpet_address *address)
{
    const struct sock_common *common = &sk->__sk_common;

    limpet_fill_address(address, common->skc_family, common->skc_rcv_saddr, &common->skc_v6_rcv_saddr, common->skc_num);
}
