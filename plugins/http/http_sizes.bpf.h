/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The metrics of body sizes: tables of their own with fewer labels, so that the rows of durations do not grow. A row of
 * durations knows the row of sizes that belongs to it (`link`), which saves requests a search.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "http_bodies.bpf.h"
#include "limpet/histogram.bpf.h"
#include "limpet/series.bpf.h"

#define METHODS "enum:_OTHER,GET,HEAD,POST,PUT,DELETE,CONNECT,OPTIONS,TRACE,PATCH"

LIMPET_BOUNDS(body_size_bounds, "bytes", "body_size_bounds");

struct sizes_key {
    LIMPET_LABEL(__u16, workload, "workload", "workload");
    LIMPET_LABEL(__u16, status, "http_response_status_code", "nonzero");
    LIMPET_LABEL(__u32, method, "http_request_method", METHODS);
};
_Static_assert(sizeof(struct sizes_key) == 8, "no padding");

struct server_sizes_row {
    LIMPET_HISTOGRAM(request, body_size_bounds, "http_server_request_body_size_bytes", "bytes",
                     "Bytes of request bodies, as transferred until the answer's end, at the server.",
                     "if=body_sizes_are_on");
    LIMPET_HISTOGRAM(response, body_size_bounds, "http_server_response_body_size_bytes", "bytes",
                     "Bytes of response bodies, as transferred, at the server.", "if=body_sizes_are_on");
};

struct client_sizes_row {
    LIMPET_HISTOGRAM(request, body_size_bounds, "http_client_request_body_size_bytes", "bytes",
                     "Bytes of request bodies, as transferred until the answer's end, at the client.",
                     "if=body_sizes_are_on");
    LIMPET_HISTOGRAM(response, body_size_bounds, "http_client_response_body_size_bytes", "bytes",
                     "Bytes of response bodies, as transferred, at the client.", "if=body_sizes_are_on");
};

LIMPET_SERIES(http_server_sizes, struct sizes_key, struct server_sizes_row, 256)
LIMPET_SERIES(http_client_sizes, struct sizes_key, struct client_sizes_row, 256)

/* Rows of both tables are alike, so that one piece of code counts in either. */
struct both_sizes {
    struct limpet_histogram request;
    struct limpet_histogram response;
};
_Static_assert(sizeof(struct both_sizes) == sizeof(struct server_sizes_row) &&
                   sizeof(struct both_sizes) == sizeof(struct client_sizes_row),
               "rows hold these two and nothing else");

/* Many bodies are empty: of these the first bucket is known. */
static __always_inline void observe_size(struct limpet_histogram *histogram, __u64 bytes)
{
    if (bytes == BODY_UNKNOWN)
        return;
    if (bytes)
        limpet_observe(histogram, body_size_bounds, bytes);
    else
        __sync_fetch_and_add(&histogram->buckets[0], 1);
}
