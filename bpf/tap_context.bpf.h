/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * What the tap reads of the kernel's own packet and socket. Part of the tap's object.
 *
 * From Linux 6.2 on a program may look behind its context: a load in place of a helper's call, whose returns cost as much as
 * dozens of instructions where the kernel guards them against speculation. Older kernels refuse the very call, so the tap is
 * compiled twice (tap_portable.bpf.c), and the agent takes the first one that loads.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define LOOPBACK_INDEX 1 /* in every network namespace (include/net/net_namespace.h) */

#ifdef LIMPET_TAP_PORTABLE

static __always_inline __u64 cookie_of(struct __sk_buff *skb)
{
    return bpf_get_socket_cookie(skb);
}

static __always_inline int has_no_queue(struct __sk_buff *skb)
{
    return 0; /* it may have */
}

#else

#include "limpet/kernel_types.bpf.h"

extern void *bpf_cast_to_kern_ctx(void *context) __ksym;

/* The cookie of the packet's socket; 0: it has no socket. Who asks first has it made. */
static __always_inline __u64 cookie_of(struct __sk_buff *skb)
{
    const struct sk_buff *packet = bpf_cast_to_kern_ctx(skb);
    const struct sock *sk = packet->sk;
    __u64 cookie = sk ? sk->__sk_common.skc_cookie.counter : 0;

    return __builtin_expect(!!cookie, 1) ? cookie : bpf_get_socket_cookie(skb);
}

/* True for a packet whose device, a virtual one, does not keep what is sent through it: no queueing discipline does. */
static __always_inline int has_no_queue(struct __sk_buff *skb)
{
    const struct sk_buff *packet = bpf_cast_to_kern_ctx(skb);
    const struct net_device *device = packet->dev;

    return device && !device->_tx->qdisc->enqueue;
}

#endif

/* True for a packet that is sent to this host and is received before anything else happens to it. */
static __always_inline int goes_without_queue(struct __sk_buff *skb)
{
    return skb->ifindex == LOOPBACK_INDEX && has_no_queue(skb);
}
