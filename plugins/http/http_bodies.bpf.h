/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * How long bodies are: the bytes of the payload that have passed, without heads, sizes of chunks and trailers, and as they are
 * coded (OpenTelemetry's http.request.body.size and http.response.body.size).
 *
 * Of the message that a direction reads, http_head has what has been announced so far: the Content-Length, or the chunks up to
 * the one being read; until the connection's close, what has passed. That less what of it is still to come has passed
 * (body_so_far). Where bytes were missed that would tell, and above 256 GiB, a body has no length: BODY_UNKNOWN.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "http_shared.h"
#include "limpet/tags.bpf.h"

#define BODY_UNKNOWN ((1ULL << 38) - 1)
#define PIPELINED_BODIES 1024

const volatile __u32 body_sizes_are_on LIMPET_TAG("config|body_sizes") = 1;

/* Bodies of requests that have another request behind them, and wait for their answers. */
struct pipelined_body {
    __u64 cookie; /* of the connection */
    __u64 number; /* of the request in it */
};

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, PIPELINED_BODIES);
    __type(key, struct pipelined_body);
    __type(value, __u64); /* bytes */
} pipelined_bodies SEC(".maps") LIMPET_MAP_IF(body_sizes_are_on);

static __always_inline __u64 announced_body(const struct http_head *head)
{
    return (__u64)head->body_high << 32 | head->body_length;
}

static __always_inline void announce_body(struct http_head *head, __u64 bytes)
{
    if (bytes > BODY_UNKNOWN)
        bytes = BODY_UNKNOWN;
    head->body_length = (__u32)bytes;
    head->body_high = bytes >> 32;
}

/* A further chunk, or bytes that have passed of a body without an announced end. */
static __always_inline void announce_more(struct http_head *head, __u64 bytes)
{
    __u64 before = announced_body(head);

    if (body_sizes_are_on && before != BODY_UNKNOWN)
        announce_body(head, bytes < BODY_UNKNOWN - before ? before + bytes : BODY_UNKNOWN);
}

/* Sight of the body was lost. */
static __always_inline void forget_body(struct http_head *head)
{
    if (body_sizes_are_on)
        announce_body(head, BODY_UNKNOWN);
}

/* What has passed of the body of the message that `half` reads, or has read to its end. May be asked for by the other direction
 * while it changes: never below 0. */
static __always_inline __u64 body_so_far(const struct http_head *head, const struct http_half *half)
{
    __u64 bytes = announced_body(head), left = half->body_left;

    if (half->state >= STATE_REQUEST_LINE && half->state <= STATE_HEADERS)
        return 0; /* in the head, or behind one that has no body whatever it announces */
    if (half->state == STATE_LOST)
        return BODY_UNKNOWN;
    if (bytes == BODY_UNKNOWN || (half->state != STATE_BODY && half->state != STATE_CHUNK_DATA))
        return bytes;
    return bytes > left ? bytes - left : 0;
}
