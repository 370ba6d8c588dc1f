/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The http probe's metrics: names, labels, and how a finished request is counted.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "http_shared.h"
#include "http_sizes.bpf.h"
#include "limpet/histogram.bpf.h"
#include "limpet/series.bpf.h"

#define ERRORS "enum:,reset,timeout,truncated"

const volatile __u32 first_bytes_are_on LIMPET_TAG("config|time_to_first_byte") = 1;

LIMPET_BOUNDS(duration_bounds, "ns", "duration_bounds");

struct server_key {
    LIMPET_LABEL(__u16, workload, "workload", "workload");
    LIMPET_LABEL(__u16, route, "http_route", "text_of:route_texts");
    LIMPET_LABEL(__u16, status, "http_response_status_code", "nonzero");
    LIMPET_LABEL(__u8, method, "http_request_method", METHODS);
    LIMPET_LABEL(__u8, error, "error_type", ERRORS);
};
_Static_assert(sizeof(struct server_key) == 8, "no padding");

struct server_row {
    LIMPET_HISTOGRAM(duration, duration_bounds, "http_server_request_duration_seconds", "ns",
                     "Time from a request's first byte to the last byte of its response, at the server.", "plus=both");
    LIMPET_HISTOGRAM(first_byte, duration_bounds, "http_server_time_to_first_byte_seconds", "ns",
                     "Time from a request's first byte to the first byte of its response, at the server.",
                     "without=error_type;if=first_bytes_are_on;plus=both");
    struct limpet_histogram both; /* of responses that were one segment: they have one time */
};

LIMPET_SERIES(http_server, struct server_key, struct server_row, 1024)

struct client_key {
    LIMPET_LABEL(__u16, workload, "workload", "workload");
    LIMPET_LABEL(__u16, route, "http_route", "text_of:route_texts");
    LIMPET_LABEL(__u16, status, "http_response_status_code", "nonzero");
    LIMPET_LABEL(__u8, method, "http_request_method", METHODS);
    LIMPET_LABEL(__u8, error, "error_type", ERRORS);
    LIMPET_LABEL_BYTES(16, server_address, "server_address", "ip");
    LIMPET_LABEL(__u32, server_port, "server_port", "uint");
};
_Static_assert(sizeof(struct client_key) == 28, "no padding");

struct client_row {
    LIMPET_HISTOGRAM(duration, duration_bounds, "http_client_request_duration_seconds", "ns",
                     "Time from a request's first byte to the last byte of its response, at the client.", "plus=both");
    LIMPET_HISTOGRAM(first_byte, duration_bounds, "http_client_time_to_first_byte_seconds", "ns",
                     "Time from a request's first byte to the first byte of its response, at the client.",
                     "without=error_type;if=first_bytes_are_on;plus=both");
    struct limpet_histogram both; /* of responses that were one segment: they have one time */
};

LIMPET_SERIES(http_client, struct client_key, struct client_row, 1024)

/* The server's end of a client's connection, as the label shows it. */
struct peer {
    __u8 address[16];
    __u32 port;
};

static __always_inline void map_ipv4(struct peer *peer, const void *address)
{
    __builtin_memset(peer->address, 0, 10);
    peer->address[10] = peer->address[11] = 0xff;
    __builtin_memcpy(peer->address + 12, address, 4);
}

/* The remote end as a packet's headers name it: the source of a received packet, the destination of a sent one. */
static __always_inline void peer_of_packet(const struct __sk_buff *skb, __u32 direction, struct peer *peer)
{
    const __u8 *data = (const __u8 *)(long)skb->data;
    const __u8 *end = (const __u8 *)(long)skb->data_end;
    const __u8 *tcp;
    __u32 is_ipv4, ports;

    __builtin_memset(peer, 0, sizeof(*peer));
    if (data + 40 > end)
        return;
    is_ipv4 = data[0] >> 4 == 4;
    tcp = data + (is_ipv4 ? (__u32)(data[0] & 15) * 4 : data[6] ? 40 : 48); /* 0: behind a jumbo header, see the tap */
    if (tcp + 4 > end)
        return;
    if (is_ipv4)
        map_ipv4(peer, direction == INGRESS ? data + 12 : data + 16);
    else
        __builtin_memcpy(peer->address, direction == INGRESS ? data + 8 : data + 24, 16);
    ports = (__u32)tcp[0] << 24 | (__u32)tcp[1] << 16 | (__u32)tcp[2] << 8 | tcp[3];
    peer->port = direction == INGRESS ? ports >> 16 : ports & 0xffff;
}

/* A request that is over, one way or the other. */
struct outcome {
    __u64 duration_ns;
    __u64 first_byte_ns; /* ~0: the response never began */
    __u16 status;        /* 0: no status line was seen */
    __u8 method;
    __u8 error;
    __u16 route;
    __u16 padding;
};

#define NO_FIRST_BYTE (~0ULL)

/* What the connection's cached row was found by beside the route: workload, status, method and error; never 0. Of a
 * workload's number its index and the lowest bits of its generation, of status codes three digits. */
static __always_inline __u32 row_key(const struct http_connection *connection, const struct outcome *outcome)
{
    return (__u32)connection->head.workload << 20 | (__u32)outcome->status << 8 | (__u32)outcome->error << 4 |
           outcome->method | 0x80;
}

/* Rows of both tables are alike, so that one piece of code counts in either. */
struct histograms {
    struct limpet_histogram duration;
    struct limpet_histogram first_byte;
    struct limpet_histogram both;
};
_Static_assert(sizeof(struct histograms) == sizeof(struct server_row) &&
                   sizeof(struct histograms) == sizeof(struct client_row),
               "rows hold these and nothing else");

/* The connection's cached row, on this CPU, when it is the outcome's; else NULL. */
static __always_inline struct histograms *cached_row(const struct http_connection *connection,
                                                     const struct outcome *outcome, __u32 response_direction)
{
    __u32 row = connection->row;

    if (connection->row_key != row_key(connection, outcome) ||
        connection->heads[response_direction & 1].route != outcome->route)
        return NULL;
    if (response_direction == EGRESS)
        return http_server_is_row(row) ? (void *)http_server_shard_of(row) : NULL;
    return http_client_is_row(row) ? (void *)http_client_shard_of(row) : NULL;
}

/* The same once it has been found: the overflow row's where it was taken back. */
static __always_inline struct histograms *row_of_connection(const struct http_connection *connection,
                                                            __u32 response_direction)
{
    return response_direction == EGRESS ? (void *)http_server_row(connection->row)
                                        : (void *)http_client_row(connection->row);
}

/* The rows of durations and sizes of an outcome, tied to each other. The overflow row is many outcomes': its sizes overflow. */
#define FIND_ROW(table, key)                                                                                           \
    ({                                                                                                                 \
        __u32 row = table##_find(&key);                                                                                \
        struct table##_key_slot *slot = body_sizes_are_on && row != LIMPET_OVERFLOW_ROW ? table##_slot(row) : NULL;    \
        struct sizes_key sizes = {key.workload, key.status, key.method};                                               \
                                                                                                                       \
        if (slot)                                                                                                      \
            slot->link = table##_sizes_find(&sizes);                                                                   \
        row;                                                                                                           \
    })

/* Finds the row of an outcome that is not the one before. `peer` is read at the client only. */
static __noinline void find_row(struct http_connection *connection, const struct outcome *outcome,
                                __u32 response_direction, const struct peer *peer)
{
    __u16 workload = connection->head.workload;

    connection->row_key = row_key(connection, outcome);
    connection->heads[response_direction & 1].route = outcome->route;
    if (response_direction == EGRESS) {
        struct server_key key = {workload, outcome->route, outcome->status, outcome->method, outcome->error};

        connection->row = FIND_ROW(http_server, key);
    } else {
        struct client_key key = {workload, outcome->route, outcome->status, outcome->method, outcome->error};

        __builtin_memcpy(key.server_address, peer->address, sizeof(key.server_address));
        key.server_port = peer->port;
        connection->row = FIND_ROW(http_client, key);
    }
}

/* Counts an outcome in its row. */
static __always_inline void count_in(struct histograms *row, const struct outcome *outcome, __u32 level)
{
    __u32 bucket, has_first_byte, shift = limpet_weight_shift(level);

    if (!row)
        return;
    has_first_byte =
        first_bytes_are_on && outcome->first_byte_ns != NO_FIRST_BYTE && level < LIMPET_LEVEL_NO_FIRST_BYTE;
    bucket = limpet_bucket(duration_bounds, outcome->duration_ns);
    if (has_first_byte && outcome->first_byte_ns == outcome->duration_ns) {
        limpet_observe_weighted(&row->both, bucket, outcome->duration_ns, shift);
        return;
    }
    limpet_observe_weighted(&row->duration, bucket, outcome->duration_ns, shift);
    if (!has_first_byte)
        return;
    bucket = limpet_bucket(duration_bounds, outcome->first_byte_ns);
    limpet_observe_weighted(&row->first_byte, bucket, outcome->first_byte_ns, shift);
}
