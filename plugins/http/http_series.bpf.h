/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The http probe's metrics: names, labels, and how a finished request is counted.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "http_shared.h"
#include "limpet/histogram.bpf.h"
#include "limpet/series.bpf.h"

#define METHODS "enum:_OTHER,GET,HEAD,POST,PUT,DELETE,CONNECT,OPTIONS,TRACE,PATCH"
#define ERRORS "enum:,reset,timeout,truncated"

LIMPET_BOUNDS(duration_bounds, "ns", "duration_bounds");

struct server_key {
    LIMPET_LABEL(__u32, workload, "workload", "workload");
    LIMPET_LABEL(__u16, status, "http_response_status_code", "nonzero");
    LIMPET_LABEL(__u8, method, "http_request_method", METHODS);
    LIMPET_LABEL(__u8, error, "error_type", ERRORS);
};
_Static_assert(sizeof(struct server_key) == 8, "no padding");

struct server_row {
    LIMPET_HISTOGRAM(duration, duration_bounds, "http_server_request_duration_seconds", "ns",
                     "Time from a request's first byte to the last byte of its response, at the server.", "");
    LIMPET_HISTOGRAM(first_byte, duration_bounds, "http_server_time_to_first_byte_seconds", "ns",
                     "Time from a request's first byte to the first byte of its response, at the server.",
                     "without=error_type");
};

LIMPET_SERIES(http_server, struct server_key, struct server_row, 1024)

struct client_key {
    LIMPET_LABEL(__u32, workload, "workload", "workload");
    LIMPET_LABEL(__u16, status, "http_response_status_code", "nonzero");
    LIMPET_LABEL(__u8, method, "http_request_method", METHODS);
    LIMPET_LABEL(__u8, error, "error_type", ERRORS);
    LIMPET_LABEL_BYTES(16, server_address, "server_address", "ip");
    LIMPET_LABEL(__u32, server_port, "server_port", "uint");
};
_Static_assert(sizeof(struct client_key) == 28, "no padding");

struct client_row {
    LIMPET_HISTOGRAM(duration, duration_bounds, "http_client_request_duration_seconds", "ns",
                     "Time from a request's first byte to the last byte of its response, at the client.", "");
    LIMPET_HISTOGRAM(first_byte, duration_bounds, "http_client_time_to_first_byte_seconds", "ns",
                     "Time from a request's first byte to the first byte of its response, at the client.",
                     "without=error_type");
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
    __u32 is_ipv4;

    __builtin_memset(peer, 0, sizeof(*peer));
    if (data + 40 > end)
        return;
    is_ipv4 = data[0] >> 4 == 4;
    tcp = data + (is_ipv4 ? (__u32)(data[0] & 15) * 4 : 40);
    if (tcp + 4 > end)
        return;
    if (is_ipv4)
        map_ipv4(peer, direction == INGRESS ? data + 12 : data + 16);
    else
        __builtin_memcpy(peer->address, direction == INGRESS ? data + 8 : data + 24, 16);
    peer->port = direction == INGRESS ? (__u32)(tcp[0] << 8 | tcp[1]) : (__u32)(tcp[2] << 8 | tcp[3]);
}

/* A request that is over, one way or the other. */
struct outcome {
    __u64 duration_ns;
    __u64 first_byte_ns; /* ~0: the response never began */
    __u16 status;        /* 0: no status line was seen */
    __u8 method;
    __u8 error;
};

#define NO_FIRST_BYTE (~0ULL)

/* What a half's cached row was found by; never 0. */
static __always_inline __u32 row_key(const struct outcome *outcome)
{
    return (__u32)outcome->status << 16 | (__u32)outcome->error << 8 | outcome->method | 0x80;
}

static __always_inline void count_at_server(struct http_half *half, const struct outcome *outcome)
{
    struct server_row *row;

    if (half->row_key != row_key(outcome)) {
        struct server_key key = {half->workload, outcome->status, outcome->method, outcome->error};

        half->row = http_server_find(&key);
        half->row_key = row_key(outcome);
    }
    row = http_server_row(half->row);
    if (!row)
        return;
    limpet_observe(&row->duration, duration_bounds, outcome->duration_ns);
    if (outcome->first_byte_ns != NO_FIRST_BYTE)
        limpet_observe(&row->first_byte, duration_bounds, outcome->first_byte_ns);
}

static __always_inline void count_at_client(struct http_half *half, const struct outcome *outcome,
                                            const struct peer *peer)
{
    struct client_row *row;

    if (half->row_key != row_key(outcome)) {
        struct client_key key = {half->workload, outcome->status, outcome->method, outcome->error};

        __builtin_memcpy(key.server_address, peer->address, sizeof(key.server_address));
        key.server_port = peer->port;
        half->row = http_client_find(&key);
        half->row_key = row_key(outcome);
    }
    row = http_client_row(half->row);
    if (!row)
        return;
    limpet_observe(&row->duration, duration_bounds, outcome->duration_ns);
    if (outcome->first_byte_ns != NO_FIRST_BYTE)
        limpet_observe(&row->first_byte, duration_bounds, outcome->first_byte_ns);
}
