/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Series tables: rows of counters by label values, read by the agent through shared memory.
 *
 * LIMPET_SERIES(http_server, struct server_key, struct server_row, 1024) declares four maps
 *   http_server_index   hash, key → row; touched only when a connection meets a new combination of labels
 *   http_server_keys    mappable array, row number → key; how the agent learns what a row stands for
 *   http_server_rows    mappable array, (row number * shards + shard) → row; the counters themselves
 *   http_server_free    queue of rows to use again
 * and four functions
 *   __u32 http_server_find(const struct server_key *key)   the row, made on first sight; never fails
 *   int http_server_is_row(__u32 row)                      false once the agent has taken the row back
 *   struct server_row *http_server_row(__u32 row)          this CPU's shard of it; NULL cannot happen, but check
 *   struct server_row *http_server_shard_of(__u32 row)     the same where http_server_is_row was asked in this run
 *
 * The agent takes rows back whose workload has ended (agent.forget_after). A row is a number in the lower 17 bits and a generation
 * above, so that a row which a probe has kept never becomes another key's: what is counted in it after it was taken back is
 * counted in the overflow row. Who keeps rows for long asks http_server_is_row and finds them again. No row is taken back while
 * one of its gauges is not 0.
 *
 * Row 0 is the overflow row: a full table counts there, and `series_overflow` in limpet_stats tells how often. So does a workload that
 * has taken its share of the rows (limits.series_per_workload), where the key has one: a flood leaves room for those who come later.
 * The agent sets the number of rows (the probe's series limit) and of shards before load.
 * Keys must have no padding: a hash compares bytes.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "stats.bpf.h"

#define LIMPET_OVERFLOW_ROW 0
#define LIMPET_ROW_GENERATION_SHIFT 17 /* more rows than any table has */
#define LIMPET_ROW_NUMBER ((1 << LIMPET_ROW_GENERATION_SHIFT) - 1)
#define LIMPET_WORKLOAD_INDEXES 1024 /* what numbers of workloads are, modulo this: LIMPET_WORKLOAD_LIMIT */

/* Shards per row minus one; a power of two minus one, at most 7. Written by the agent. */
const volatile __u32 limpet_shard_mask = 0;

static __always_inline __u32 limpet_shard(void)
{
    return bpf_get_smp_processor_id() & limpet_shard_mask;
}

#define LIMPET_SERIES(table, key_type, row_type, row_limit)                                                            \
    struct table##_key_slot {                                                                                          \
        key_type key;                                                                                                  \
        __u32 used;       /* 1 once `key` is whole; 0 again when the agent has taken the row back */                   \
        __u32 generation; /* of the row; written by the agent */                                                       \
        __u32 link;       /* the probe's own, such as another table's row that belongs to this one */                  \
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
    struct {                                                                                                           \
        __uint(type, BPF_MAP_TYPE_QUEUE);                                                                              \
        __uint(max_entries, row_limit);                                                                                \
        __type(value, __u32);                                                                                          \
    } table##_free SEC(".maps");                                                                                       \
    const volatile __u32 table##_limit = row_limit;                                                                    \
    __u32 table##_used = 1;                           /* row 0 is taken */                                             \
    const volatile __u32 table##_share = row_limit;   /* rows that one workload may take */                            \
    const volatile __u32 table##_workload_offset = 0; /* in the key */                                                 \
    const volatile __u32 table##_workload_bytes = 0;  /* 0: the key has none */                                        \
    __u32 table##_rows_of[LIMPET_WORKLOAD_INDEXES];   /* taken; the agent takes off what it takes back */              \
                                                                                                                       \
    static __always_inline struct table##_key_slot *table##_slot(__u32 row)                                            \
    {                                                                                                                  \
        __u32 number = row & LIMPET_ROW_NUMBER;                                                                        \
                                                                                                                       \
        return bpf_map_lookup_elem(&table##_keys, &number);                                                            \
    }                                                                                                                  \
                                                                                                                       \
    /* A row that nobody uses; the overflow row when there is none. */                                                 \
    static __always_inline __u32 table##_take_row(void)                                                                \
    {                                                                                                                  \
        __u32 row = LIMPET_OVERFLOW_ROW;                                                                               \
                                                                                                                       \
        if (!bpf_map_pop_elem(&table##_free, &row))                                                                    \
            return row;                                                                                                \
        if (table##_used < table##_limit)                                                                              \
            row = __sync_fetch_and_add(&table##_used, 1);                                                              \
        return row < table##_limit ? row : LIMPET_OVERFLOW_ROW;                                                        \
    }                                                                                                                  \
                                                                                                                       \
    __attribute__((unused)) static __always_inline int table##_is_full(void)                                           \
    {                                                                                                                  \
        __u32 row;                                                                                                     \
                                                                                                                       \
        return table##_used >= table##_limit && bpf_map_peek_elem(&table##_free, &row);                                \
    }                                                                                                                  \
                                                                                                                       \
    static __always_inline __u32 *table##_rows_of_workload(const key_type *key)                                        \
    {                                                                                                                  \
        const __u8 *place = (const __u8 *)key + table##_workload_offset;                                               \
        __u32 number;                                                                                                  \
                                                                                                                       \
        if (!table##_workload_bytes)                                                                                   \
            return NULL;                                                                                               \
        number = table##_workload_bytes == 2 ? *(const __u16 *)place : *(const __u32 *)place;                          \
        return &table##_rows_of[number & (LIMPET_WORKLOAD_INDEXES - 1)];                                               \
    }                                                                                                                  \
                                                                                                                       \
    static __noinline __u32 table##_find(const key_type *key)                                                          \
    {                                                                                                                  \
        __u32 *found = bpf_map_lookup_elem(&table##_index, key), *taken = table##_rows_of_workload(key);               \
        struct table##_key_slot *slot;                                                                                 \
        __u32 row = LIMPET_OVERFLOW_ROW;                                                                               \
                                                                                                                       \
        if (found)                                                                                                     \
            return *found;                                                                                             \
        if (!taken || *taken < table##_share)                                                                          \
            row = table##_take_row();                                                                                  \
        slot = table##_slot(row);                                                                                      \
        if (row == LIMPET_OVERFLOW_ROW || !slot) {                                                                     \
            limpet_count(LIMPET_STAT_SERIES_OVERFLOW);                                                                 \
            return LIMPET_OVERFLOW_ROW;                                                                                \
        }                                                                                                              \
        if (bpf_map_update_elem(&table##_index, key, &row, BPF_NOEXIST)) {                                             \
            bpf_map_push_elem(&table##_free, &row, 0);                                                                 \
            found = bpf_map_lookup_elem(&table##_index, key); /* another CPU was first */                              \
            return found ? *found : LIMPET_OVERFLOW_ROW;                                                               \
        }                                                                                                              \
        if (taken)                                                                                                     \
            __sync_fetch_and_add(taken, 1);                                                                            \
        __builtin_memcpy(&slot->key, key, sizeof(*key));                                                               \
        __sync_fetch_and_add(&slot->used, 1); /* after the key: the agent reads `used` first */                        \
        return row;                                                                                                    \
    }                                                                                                                  \
                                                                                                                       \
    static __always_inline int table##_is_row(__u32 row)                                                               \
    {                                                                                                                  \
        struct table##_key_slot *slot = table##_slot(row);                                                             \
                                                                                                                       \
        return slot && slot->generation == row >> LIMPET_ROW_GENERATION_SHIFT;                                         \
    }                                                                                                                  \
                                                                                                                       \
    static __always_inline row_type *table##_shard_of(__u32 row)                                                       \
    {                                                                                                                  \
        __u32 place = (row & LIMPET_ROW_NUMBER) * (limpet_shard_mask + 1) + limpet_shard();                            \
                                                                                                                       \
        return bpf_map_lookup_elem(&table##_rows, &place);                                                             \
    }                                                                                                                  \
                                                                                                                       \
    static __always_inline row_type *table##_row(__u32 row)                                                            \
    {                                                                                                                  \
        return table##_shard_of(table##_is_row(row) ? row : LIMPET_OVERFLOW_ROW);                                      \
    }
