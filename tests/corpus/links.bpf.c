/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * What a bad link does, for tc: sends packets twice, and sends some of them to a slower queue, so that later ones overtake
 * them. One packet in eight each. Compiled and attached by links.py.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#define COPY_MARK 0xc0 /* a copy is not copied again */
#define SLOW_CLASS 0x10002

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline int one_in_eight(void)
{
    return !(bpf_get_prandom_u32() & 7);
}

SEC("tc/duplicate")
int duplicate(struct __sk_buff *skb)
{
    if (skb->mark == COPY_MARK || !one_in_eight())
        return TC_ACT_OK;
    skb->mark = COPY_MARK;
    bpf_clone_redirect(skb, skb->ifindex, 0);
    return TC_ACT_OK;
}

/* A classifier of the queue 1:0. 0: the default class. */
SEC("tc/delay")
int delay(struct __sk_buff *skb)
{
    return one_in_eight() ? SLOW_CLASS : 0;
}
