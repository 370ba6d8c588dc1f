/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Histograms with explicit bucket bounds, so that `le` is exact.
 *
 * The bounds live in read-only data and are written by the agent before the object is loaded: from the config key that
 * LIMPET_BOUNDS names, or from its default. A value belongs to the first bucket whose bound is not below it (Prometheus:
 * "le", closed on the right). Cost: five dependent loads, no branch on the value.
 */
#pragma once

#include <linux/types.h>

#include "tags.bpf.h"

#define LIMPET_BUCKETS 23 /* 22 bounds and the bucket above the last one */
#define LIMPET_MAX_BOUNDS (LIMPET_BUCKETS - 1)
#define LIMPET_BOUND_UNUSED (~0ULL >> 1) /* the largest value that compares without overflow */

/* Three cache lines; the count is the sum of the buckets. */
struct limpet_histogram {
    __u64 sum;
    __u64 buckets[LIMPET_BUCKETS];
};
_Static_assert(sizeof(struct limpet_histogram) == 192, "three cache lines");

/* Declares the bounds of one or more histograms. `config_key`: the number list in the manifest that sets them, in the
 * exported unit ("s" for ns and us). The array is padded to 32 with LIMPET_BOUND_UNUSED for the search below. */
#define LIMPET_BOUNDS(variable, unit, config_key)                                                                      \
    const volatile __u64 variable[32] LIMPET_TAG("bounds|" config_key "|" unit) = {1}

/* The number of bounds below `value`, that is the index of its bucket. Values above 2^63 count as 2^63.
 *
 * It walks a pointer, since every verifier adds up the ranges of what a pointer moved by; an index becomes a chain of
 * ORs, whose range 6.1's verifier does not know. */
static __always_inline __u32 limpet_bucket(const volatile __u64 *bounds, __u64 value)
{
    const volatile __u64 *at = bounds;
    __s64 index;

    if ((__s64)value < 0)
        value = LIMPET_BOUND_UNUSED;
    /* (bound - value) is negative exactly where the bound is below the value */
    at += (at[15] - value) >> 63 << 4;
    at += (at[7] - value) >> 63 << 3;
    at += (at[3] - value) >> 63 << 2;
    at += (at[1] - value) >> 63 << 1;
    at += (at[0] - value) >> 63;
    index = at - bounds;
    asm volatile("" : "+r"(index)); /* whole: pointers must not be added up in 32 bits where only a part is wanted */
    return (__u32)index;
}

/* Counts one value in the bucket that limpet_bucket has found. Atomic: several CPUs share a shard where a host has more of
 * them than shards. */
static __always_inline void limpet_observe_in(struct limpet_histogram *histogram, __u32 bucket, __u64 value)
{
    if (bucket >= LIMPET_BUCKETS)
        bucket = LIMPET_BUCKETS - 1;
    __sync_fetch_and_add(&histogram->buckets[bucket], 1);
    __sync_fetch_and_add(&histogram->sum, value);
}

/* The same for a value that stands for 1 << shift of them: of a sample, see limpet_weight_shift. */
static __always_inline void limpet_observe_weighted(struct limpet_histogram *histogram, __u32 bucket, __u64 value,
                                                    __u32 shift)
{
    if (bucket >= LIMPET_BUCKETS)
        bucket = LIMPET_BUCKETS - 1;
    __sync_fetch_and_add(&histogram->buckets[bucket], 1ULL << shift);
    __sync_fetch_and_add(&histogram->sum, value << shift);
}

/* Counts one value. */
static __always_inline void limpet_observe(struct limpet_histogram *histogram, const volatile __u64 *bounds,
                                           __u64 value)
{
    limpet_observe_in(histogram, limpet_bucket(bounds, value), value);
}
