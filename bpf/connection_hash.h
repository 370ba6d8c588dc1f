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

/* The way (0 or 1) that a new connection takes: a free one, else the one used longest ago. Ages wrap around. */
static inline __attribute__((always_inline)) __u32 connection_victim(__u64 cookie_0, __u32 last_used_0, __u64 cookie_1,
                                                                     __u32 last_used_1)
{
    if (!cookie_0)
        return 0;
    if (!cookie_1)
        return 1;
    return (__s32)(last_used_1 - last_used_0) < 0;
}

#endif
