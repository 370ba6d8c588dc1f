/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Where a connection stands in the table, and whom it displaces. Plain C: the same text runs in the kernel and in the
 * test that simulates hosts of 256 CPUs.
 *
 * Cookies are handed out in batches of 4,096 per CPU, so their low bits repeat across CPUs; a multiplicative hash
 * (Knuth, TAOCP vol. 3, 6.4) spreads them.
 */
#ifndef LIMPET_CONNECTION_HASH_H
#define LIMPET_CONNECTION_HASH_H

#include <linux/types.h>

#define CONNECTION_WAYS 2
#define CONNECTION_SET_BITS 13 /* 8,192 sets of 2 */

/* The first of the CONNECTION_WAYS slots of this cookie's set. */
static inline __attribute__((always_inline)) __u32 connection_set(__u64 cookie)
{
    return (__u32)((cookie * 0x9e3779b97f4a7c15ULL) >> (64 - CONNECTION_SET_BITS)) * CONNECTION_WAYS;
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
