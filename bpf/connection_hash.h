/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Where a connection stands in the table, and whom it displaces. Plain C: the same text runs in the kernel and in the
 * test that simulates hosts of 256 CPUs.
 *
 * Cookies are handed out in sequence, in batches of 4,096 per CPU. Runs of 64 stay together, so that connections that were
 * opened together share pages (a TLB miss costs more than a cache miss); the runs are spread with a multiplicative hash
 * (Knuth, TAOCP vol. 3, 6.4), since the low bits of batches repeat across CPUs. Slots of the second way lie behind all of
 * the first, for the same reason.
 */
#ifndef LIMPET_CONNECTION_HASH_H
#define LIMPET_CONNECTION_HASH_H

#include <linux/types.h>

#define CONNECTION_WAYS 2
#define CONNECTION_SET_BITS 13
#define CONNECTION_SETS (1 << CONNECTION_SET_BITS)
#define CONNECTION_RUN_BITS 6

/* The slot of this cookie in the first way; that in the second is CONNECTION_SETS further on. */
static inline __attribute__((always_inline)) __u32 connection_set(__u64 cookie)
{
    __u64 run = (cookie >> CONNECTION_RUN_BITS) * 0x9e3779b97f4a7c15ULL;

    return (__u32)(run >> (64 - CONNECTION_SET_BITS + CONNECTION_RUN_BITS)) << CONNECTION_RUN_BITS |
           ((__u32)cookie & ((1 << CONNECTION_RUN_BITS) - 1));
}

/* What of a slot decides whether it is given away. */
struct connection_claim {
    __u64 cookie; /* 0: free */
    __u16 last_used;
    __u16 has_work; /* a request is under way */
};

/* The way (0 or 1) that a new connection takes: a free one, else one without work, else the one used longest ago. Ages wrap
 * around. */
static inline __attribute__((always_inline)) __u32 connection_victim(struct connection_claim first,
                                                                     struct connection_claim second)
{
    if (!first.cookie || !second.cookie)
        return !!first.cookie;
    if (first.has_work != second.has_work)
        return first.has_work;
    return (__s16)(second.last_used - first.last_used) < 0;
}

#endif
