/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The tcp probe's metrics: one row for each workload and destination, one for each workload and listen address.
 *
 * Gauges are sums of what each socket adds while it is open and takes away when it closes.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "limpet/histogram.bpf.h"
#include "limpet/series.bpf.h"
#include "limpet/sockets.bpf.h"

/* How a connect ended, in the order of the members of tcp_client_row. */
enum connect_result {
    CONNECT_OK = 0,
    CONNECT_REFUSED,
    CONNECT_TIMEOUT,
    CONNECT_RESET,
    CONNECT_UNREACHABLE,
    CONNECT_CANCELLED,
    CONNECT_OTHER,
    CONNECT_RESULTS,
};

LIMPET_BOUNDS(connect_duration_bounds, "ns", "connect_duration_bounds");

/* The members that both rows begin with. */
#define TRAFFIC(role)                                                                                                  \
    LIMPET_GAUGE(connections, "tcp_connections", "1", "Open connections: established, and not closed by both ends.",   \
                 "with=role:" role);                                                                                   \
    LIMPET_COUNTER(sent, "tcp_sent_bytes_total", "bytes", "Payload sent; what was sent again is not counted again.",   \
                   "with=role:" role);                                                                                 \
    LIMPET_COUNTER(received, "tcp_received_bytes_total", "bytes", "Payload received in order.", "with=role:" role);    \
    LIMPET_COUNTER(retransmits, "tcp_retransmitted_segments_total", "1", "Segments sent again, SYNs included.",        \
                   "with=role:" role);                                                                                 \
    LIMPET_COUNTER(resets_sent, "tcp_resets_total", "1", "Resets (RST) of connections and connects.",                  \
                   "with=role:" role ";with=direction:sent");                                                          \
    LIMPET_COUNTER(resets_received, "tcp_resets_total", "1", "Resets (RST) of connections and connects.",              \
                   "with=role:" role ";with=direction:received");                                                      \
    LIMPET_GAUGE(rtt_sum, "tcp_rtt_seconds", "us", "Mean smoothed round-trip time of open connections.",               \
                 "with=role:" role ";per=rtt_sockets");                                                                \
    __s64 rtt_sockets

struct traffic {
    __s64 connections;
    __u64 sent;
    __u64 received;
    __u64 retransmits;
    __u64 resets_sent;
    __u64 resets_received;
    __s64 rtt_sum;
    __s64 rtt_sockets;
};

struct tcp_client_key {
    LIMPET_LABEL(__u32, workload, "workload", "workload");
    LIMPET_LABEL(struct limpet_address, destination, "destination", "address");
};
_Static_assert(sizeof(struct tcp_client_key) == 24, "no padding");

#define CONNECTS(member, result, when)                                                                                 \
    LIMPET_COUNTER(member, "tcp_connects_total", "1", "Connects, by how they ended.", "with=result:" result when)

struct tcp_client_row {
    TRAFFIC("client");
    CONNECTS(ok, "ok", "");
    CONNECTS(refused, "refused", ";while=refused");
    CONNECTS(timeout, "timeout", ";while=timeout");
    CONNECTS(reset, "reset", ";while=reset");
    CONNECTS(unreachable, "unreachable", ";while=unreachable");
    CONNECTS(cancelled, "cancelled", ";while=cancelled");
    CONNECTS(other, "other", ";while=other");
    LIMPET_HISTOGRAM(connect_duration, connect_duration_bounds, "tcp_connect_duration_seconds", "ns",
                     "Time from SYN to established, of connects that succeeded.", "");
};
_Static_assert(sizeof(struct tcp_client_row) == 312 && __builtin_offsetof(struct tcp_client_row, connect_duration) ==
                                                           sizeof(struct traffic) + CONNECT_RESULTS * sizeof(__u64),
               "one member for each result");

LIMPET_SERIES(tcp_clients, struct tcp_client_key, struct tcp_client_row, 1024)

struct tcp_server_key {
    LIMPET_LABEL(__u32, workload, "workload", "workload");
    LIMPET_LABEL(struct limpet_address, listen_address, "listen_address", "address");
};
_Static_assert(sizeof(struct tcp_server_key) == 24, "no padding");

struct tcp_server_row {
    TRAFFIC("server");
    LIMPET_COUNTER(accepts, "tcp_accepts_total", "1", "Connections that a listening socket has taken.", "");
    LIMPET_GAUGE(listeners, "tcp_listen_info", "1", "1 while a socket listens on this address.", "per=listeners");
    LIMPET_GAUGE(queue_length, "tcp_listen_queue_length", "1",
                 "Connections that wait to be accepted by the program, over all sockets on this address.",
                 "while=listeners");
    LIMPET_GAUGE(queue_limit, "tcp_listen_queue_limit", "1",
                 "Connections that can wait to be accepted, over all sockets on this address.", "while=listeners");
    LIMPET_COUNTER(drops, "tcp_listen_drops_total", "1",
                   "Connections and their beginnings that a listening socket has dropped.", "");
};
_Static_assert(sizeof(struct tcp_server_row) == 104 && sizeof(struct traffic) == 64, "both rows begin with traffic");

LIMPET_SERIES(tcp_servers, struct tcp_server_key, struct tcp_server_row, 512)

/* Adds up a number that sockets report again and again: `reported` remembers how far. It never falls, whoever else reports
 * at the same time: whoever comes with the larger total tries again. */
static __always_inline void report_rise(__u64 *reported, __u64 total, __u64 *counter)
{
    __u64 old;

#pragma unroll
    for (int attempt = 0; attempt < 3; attempt++) {
        old = *(volatile __u64 *)reported;
        if ((__s64)(total - old) <= 0)
            return;
        if (__sync_val_compare_and_swap(reported, old, total) == old) {
            __sync_fetch_and_add(counter, total - old);
            return;
        }
    }
}

/* Makes a socket's part of a gauge `now`. */
static __always_inline void report_level(__u32 *reported, __u32 now, __s64 *gauge)
{
    __u32 old = *(volatile __u32 *)reported;

    if (old == now)
        return;
    old = __sync_lock_test_and_set(reported, now);
    __sync_fetch_and_add(gauge, (__s64)now - (__s64)old);
}
