/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Routes as numbers: a template that the path fits, else the path with {id} in place of identifiers (http_fold.bpf.h). Asked for
 * heads that are not the one before only: a route is kept with the head.
 *
 * A route has one number for all workloads, for good. Of folded paths each workload has the first `routes_per_workload` that it
 * meets, while there are numbers; all others are number 0, "other". Templates have theirs whatever else there is.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "http_fold.bpf.h"
#include "limpet/stats.bpf.h"
#include "limpet/stream.bpf.h"
#include "limpet/tags.bpf.h"

#define ROUTES 1024
#define ROUTE_OTHER 0
#define ROUTE_NONE 1 /* its text stays empty, so that there is no label */
#define ROUTE_FIRST 2
#define ROUTE_SHED                                                                                                     \
    (ROUTES - 1) /* counts as ROUTE_OTHER; was not looked for at LIMPET_LEVEL_NO_ROUTES, and is to be later */
#define SPLIT_TARGETS 1024
#define WORKLOADS 1024 /* LIMPET_WORKLOAD_LIMIT: a number's index is below */

/* Written by user space before load. */
const volatile __u32 routes_are_on = 1;
const volatile __u32 routes_per_workload LIMPET_TAG("config|routes_per_workload") = 50;

__u32 route_count = ROUTE_FIRST;

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, ROUTES);
    __type(key, __u64); /* as fold.hash */
    __type(value, __u32);
} route_numbers SEC(".maps") LIMPET_MAP_IF(routes_are_on);

struct route_text {
    char bytes[ROUTE_TEXT_BYTES];
    __u32 length; /* while it is written; then 0, as what stands behind the text must be */
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, ROUTES);
    __type(key, __u32);
    __type(value, struct route_text);
} route_texts SEC(".maps");

/* The folded paths that a workload has. */
struct workload_routes {
    __u32 workload; /* its number: another one of this index begins anew */
    __u32 count;
    __u32 has[ROUTES / 32]; /* bit sets, by number */
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, WORKLOADS);
    __type(key, __u32); /* index of the workload */
    __type(value, struct workload_routes);
} routes_of_workloads SEC(".maps") LIMPET_MAP_IF(routes_are_on);

/* The beginning of a target that is cut by a segment's or a window's end. */
struct split_target {
    __u32 length;
    __u8 bytes[TARGET_BYTES];
};

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, SPLIT_TARGETS);
    __type(key, __u32); /* the connection's slot */
    __type(value, struct split_target);
} split_targets SEC(".maps") LIMPET_MAP_IF(routes_are_on);

static const volatile struct split_target kEmptyTarget = {};

#define IDENTIFIER 0x7d64697bU /* "{id}" */

/* Four bytes, of which `length` count, behind what has been written; longer texts are cut. */
static __always_inline void put(struct route_text *text, __u32 bytes, __u32 length)
{
    __u32 at = *(volatile __u32 *)&text->length;

    if (at > ROUTE_TEXT_BYTES - 4)
        return;
    *(__u32 *)(void *)(text->bytes + at) = bytes;
    *(volatile __u32 *)&text->length = at + length;
}

/* The folded path. Without branches, for the verifier's sake: of an identifier the first character becomes all of "{id}", the
 * others take no room. */
static __always_inline void write_folded_path(struct reader *reader, struct route_text *text)
{
    const struct fold *fold = fold_of(reader);
    __u32 at, ids = fold->ids, is_slash, is_identifier, is_first;
    __u8 character;

    put(text, '/', 1);
    for (__u32 i = 0; i < TARGET_BYTES; i++) {
        at = fold->start + i;
        asm volatile("" : "+r"(at)::"memory");
        if (at >= fold->end)
            break;
        character = *target_bytes(reader, at);
        is_slash = (__u32)is_same(character, '/');
        is_first = (__u32)is_same(*target_bytes(reader, at - 1), '/');
        ids >>= is_slash;
        is_identifier = ids & 1 & ~is_slash;
        put(text, is_identifier * IDENTIFIER + (1 - is_identifier) * character,
            1 - is_identifier + is_identifier * is_first * 4);
    }
    if (fold->is_cut)
        put(text, '*', 1);
    put(text, 0, 0); /* the last one that took no room */
    text->length = 0;
}

/* The text of the template that has this bit alone. */
static __always_inline void write_template(__u64 bit, struct route_text *text)
{
    for (__u32 i = 0; i < TEMPLATES && i < route_templates.count; i++) {
        if (bit >> i & 1) {
            for (__u32 at = 0; at < ROUTE_TEXT_BYTES; at++)
                text->bytes[at] = route_templates.texts[i][at];
        }
    }
}

/* Takes a number for a route that has none. */
static __always_inline __u32 number_new_route(struct reader *reader, const __u64 *hash)
{
    struct route_text *text;
    __u32 number, *found;

    /* templates, which are few, always find room */
    if (route_count + (fold_of(reader)->templates ? 0 : TEMPLATES) >= ROUTE_SHED)
        return ROUTE_OTHER;
    number = __sync_fetch_and_add(&route_count, 1);
    text = bpf_map_lookup_elem(&route_texts, &number);
    if (!text)
        return ROUTE_OTHER;
    if (route_templates.count && fold_of(reader)->templates)
        write_template(fold_of(reader)->templates, text);
    else
        write_folded_path(reader, text);
    if (!bpf_map_update_elem(&route_numbers, hash, &number, BPF_NOEXIST))
        return number;
    found = bpf_map_lookup_elem(&route_numbers, hash); /* another CPU was first; our number stays unused */
    return found ? *found : ROUTE_OTHER;
}

/* The routes of a workload; those of the one that had its index before are forgotten. */
static __always_inline struct workload_routes *routes_of(__u32 workload)
{
    __u32 index = workload & (WORKLOADS - 1);
    struct workload_routes *routes = bpf_map_lookup_elem(&routes_of_workloads, &index);

    if (routes && routes->workload != workload) {
        routes->workload = workload;
        routes->count = 0;
        __builtin_memset(routes->has, 0, sizeof(routes->has));
    }
    return routes;
}

static __always_inline int has_route(const struct workload_routes *routes, __u32 number)
{
    return routes->has[number / 32 & (ROUTES / 32 - 1)] >> (number & 31) & 1;
}

static __always_inline void add_route(struct workload_routes *routes, __u32 number)
{
    __sync_fetch_and_add(&routes->count, 1);
    __sync_fetch_and_or(&routes->has[number / 32 & (ROUTES / 32 - 1)], 1U << (number & 31));
}

/* The number of the route that fold_target has found. Not static, as read_step. */
__noinline int number_of_route(struct reader *reader, __u32 workload)
{
    struct workload_routes *routes;
    __u32 *found, number;
    __u64 hash;

    if (!reader)
        return ROUTE_NONE;
    hash = fold_of(reader)->hash;
    found = bpf_map_lookup_elem(&route_numbers, &hash);
    number = found ? *found : ROUTE_OTHER;
    if (fold_of(reader)->templates)
        return (int)(number ? number : number_new_route(reader, &hash));
    routes = routes_of(workload);
    if (!routes || (number && has_route(routes, number)))
        return (int)number;
    if (routes->count >= routes_per_workload)
        number = ROUTE_OTHER;
    else if (!number)
        number = number_new_route(reader, &hash);
    if (number)
        add_route(routes, number);
    else
        limpet_count(LIMPET_STAT_SERIES_OVERFLOW);
    return (int)number;
}

/* Keeps what of a target the window holds, behind what was kept of it before. NULL: that is lost. */
static __always_inline struct split_target *append_target(const struct reader *reader, __u32 slot)
{
    struct split_target *target = bpf_map_lookup_elem(&split_targets, &slot);

    if (!target)
        return NULL;
    for (__u32 i = 0; i < TARGET_BYTES; i++) {
        __u32 to = *(volatile __u32 *)&target->length;

        if (reader->target + i >= reader->size || to >= TARGET_BYTES)
            break;
        target->bytes[to] = *target_bytes(reader, i);
        *(volatile __u32 *)&target->length = to + 1;
    }
    return target;
}

/* A target that does not end in the window. Not static, as read_step. */
__noinline int keep_target(const struct reader *reader, __u32 slot)
{
    if (!reader)
        return 0;
    if (reader->target && bpf_map_update_elem(&split_targets, &slot, (const void *)&kEmptyTarget, BPF_ANY))
        return 0;
    append_target(reader, slot);
    return 0;
}

/* The rest of a target stands at the window's start: moves all of it there. Returns 0 when its beginning is lost. */
__noinline int join_target(struct reader *reader, __u32 slot)
{
    struct split_target *target;

    if (!reader)
        return 0;
    target = append_target(reader, slot);
    if (!target)
        return 0;
    for (__u32 i = 0; i < TARGET_BYTES; i++)
        reader->window[i] = target->bytes[i];
    bpf_map_delete_elem(&split_targets, &slot);
    return 1;
}

/* The route of the request whose first line the reader has come to the end of. Overwrites the window where the target began in
 * one before. */
static __always_inline __u16 route_of(struct reader *reader, const struct __sk_buff *skb, __u32 workload)
{
    if (!routes_are_on)
        return ROUTE_NONE;
    if (limpet_segment_of(skb).level >= LIMPET_LEVEL_NO_ROUTES)
        return ROUTE_SHED;
    if (!reader->target && !join_target(reader, limpet_segment_of(skb).slot))
        return ROUTE_OTHER;
    return fold_target(reader) ? (__u16)number_of_route(reader, workload) : ROUTE_NONE;
}
