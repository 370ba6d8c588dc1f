/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Series tables: rows of counters by label values, read by the agent through shared memory.
 *
 * LIMPET_SERIES(http_server, struct server_key, struct server_row, 1024) declares three maps
 *   http_server_index   hash, key → row number; touched only when a connection meets a new combination of labels
 *   http_server_keys    mappable array, row number → key; how the agent learns what a row stands for
 *   http_server_rows    mappable array, (row number * shards + shard) → row; the counters themselves
 * and two functions
 *   __u32 http_server_find(const struct server_key *key)       the row's number, made on first sight; never fails
 *   struct server_row *http_server_row(__u32 number)           this CPU's shard of it; NULL cannot happen, but check
 *
 * Row 0 is the overflow row: a full table counts there, and `series_overflow` in limpet_stats tells how often.
 * The agent sets the number of rows (the probe's series limit) and of shards before load.
 * Keys must have no padding: a hash compares bytes.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "stats.bpf.h"

#define LIMPET_OVERFLOW_ROW 0

/* Shards per row minus one; a power of two minus one, at most 7. Written by the agent. */
const volatile __u32 limpet_shard_mask = 0;

static __always_inline __u32 limpet_shard(void)
{
    return bpf_get_smp_processor_id() & limpet_shard_mask;
}

#define LIMPET_SERIES(table, key_type, row_type, row_limit)                                                            \
    struct table##_key_slot {                                                                                          \
        key_type key;                                                                                                  \
        __u32 used; /* 1 once `key` is whole */                                                                        \
        __u32 padding;                                                                                                 \
    };                                                                                                                 \
    struct {                                                                                                           \
        __uint(type, BPF_MAP_TYPE_HASH);                                                                               \
        __uint(max_entries, row_limit);                                                                                \
        __type(key, key_type);                                                                                         \
        __type(value, __u32);                                                                                          \
    } table##_index SEC(".maps");                                                                                      \
    struct {                                                                                                           \
        __uint(type, BPF_MAP_TYPE_ARRAY);                                                                              \
        __uint(map_flags, BPF_F_MMAPABLE);                                                                             \
        __uint(max_entries, row_limit);                                                                                \
        __type(key, __u32);                                                                                            \
        __type(value, struct table##_key_slot);                                                                        \
    } table##_keys SEC(".maps");                                                                                       \
    struct {                                                                                                           \
        __uint(type, BPF_MAP_TYPE_ARRAY);                                                                              \
        __uint(map_flags, BPF_F_MMAPABLE);                                                                             \
        __uint(max_entries, row_limit);                                                                                \
        __type(key, __u32);                                                                                            \
        __type(value, row_type);                                                                                       \
    } table##_rows SEC(".maps");                                                                                       \
    const volatile __u32 table##_limit = row_limit;                                                                    \
    __u32 table##_used = 1; /* row 0 is taken */                                                                       \
                                                                                                                       \
    static __noinline __u32 table##_find(const key_type *key)                                                          \
    {                                                                                                                  \
        __u32 *found = bpf_map_lookup_elem(&table##_index, key);                                                       \
        struct table##_key_slot *slot;                                                                                 \
        __u32 number = LIMPET_OVERFLOW_ROW;                                                                            \
                                                                                                                       \
        if (found)                                                                                                     \
            return *found;                                                                                             \
        if (table##_used < table##_limit)                                                                              \
            number = __sync_fetch_and_add(&table##_used, 1);                                                           \
        slot = bpf_map_lookup_elem(&table##_keys, &number);                                                            \
        if (number == LIMPET_OVERFLOW_ROW || !slot) {                                                                  \
            limpet_count(LIMPET_STAT_SERIES_OVERFLOW);                                                                 \
            return LIMPET_OVERFLOW_ROW;                                                                                \
        }                                                                                                              \
        if (bpf_map_update_elem(&table##_index, key, &number, BPF_NOEXIST)) {                                          \
            found = bpf_map_lookup_elem(&table##_index, key); /* another CPU was first; our row stays unused */        \
            return found ? *found : LIMPET_OVERFLOW_ROW;                                                               \
        }                                                                                                              \
        __builtin_memcpy(&slot->key, key, sizeof(*key));                                                               \
        __sync_fetch_and_add(&slot->used, 1); /* after the key: the agent reads `used` first */                        \
        return number;                                                                                                 \
    }                                                                                                                  \
                                                                                                                       \
    static __always_inline row_type *table##_row(__u32 number)                                                         \
    {                                                                                                                  \
        __u32 place = number * (limpet_shard_mask + 1) + limpet_shard();                                               \
                                                                                                                       \
        return bpf_map_lookup_elem(&table##_rows, &place);                                                             \
    }
