/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Templates of routes as the kernel side compares them, and the hash that both sides take of a path's segments. User space
 * fills in struct http_templates before the BPF object is loaded (http_templates.cpp).
 *
 * A set of templates is a bit mask. A path is walked segment by segment: of the templates that have fitted so far those stay
 * that have this text at this place, or take any text there, or whatever follows.
 */
#ifndef LIMPET_HTTP_TEMPLATES_H
#define LIMPET_HTTP_TEMPLATES_H

#include <linux/types.h>

#include "http_shared.h"

#define TEMPLATES 64
#define TEMPLATE_SEGMENTS 16 /* the last one can only be "*" */
#define ROUTE_TEXT_BYTES 124

struct http_templates {
    __u64 literals[TEMPLATE_SEGMENTS][TEMPLATES]; /* hash_of_segment of the text; 0: takes no certain one */
    __u64 any[TEMPLATE_SEGMENTS];                 /* templates that take any text there, but not none */
    __u64 rest[TEMPLATE_SEGMENTS];                /* … whatever follows from there on, and from a segment before */
    __u64 ends[TEMPLATE_SEGMENTS];                /* … nothing any more: that have so many segments */
    __u32 count;
    __u32 padding;
    char texts[TEMPLATES][ROUTE_TEXT_BYTES]; /* 0 behind the last character, up to the end */
};
SHARED_SIZE(struct http_templates, (TEMPLATES + 3) * TEMPLATE_SEGMENTS * 8 + 8 + TEMPLATES * ROUTE_TEXT_BYTES);

#define HASH_FACTOR 0x9e3779b97f4a7c15ULL

/* One step of a hash. A path's segment is hashed from HASH_FACTOR on in pieces of eight bytes, first byte lowest; the last
 * piece has less than eight of them, or none, and is filled up with 0. */
static inline __attribute__((always_inline)) __u64 mix(__u64 hash, __u64 word)
{
    hash = (hash ^ word) * HASH_FACTOR;
    return hash ^ hash >> 32;
}

#endif
