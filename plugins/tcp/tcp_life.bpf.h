/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * What a socket's events do: from connect() or listen() to the end. Each may be told by several programs; the first one counts.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "limpet/sockets.bpf.h"
#include "tcp_socket.bpf.h"

static __always_inline void count_connect(struct tcp_socket *socket, __u32 result, __u64 duration_ns)
{
    struct tcp_client_row *row = tcp_clients_row(socket->row);

    if (!row)
        return;
    __sync_fetch_and_add(&(&row->ok)[result % CONNECT_RESULTS], 1);
    if (result != CONNECT_OK)
        return;
    __sync_fetch_and_add(&row->connections, 1);
    if (duration_ns)
        limpet_observe(&row->connect_duration, connect_duration_bounds, duration_ns);
}

/* The kernel sets this once it has found a route, and never takes it back. */
static __always_inline int has_found_a_route(const struct tcp_sock *tcp)
{
    return tcp && tcp->rx_opt.mss_clamp;
}

/* connect() failed before its SYN: for want of a route (or a permission), or of a free port. */
static __always_inline void never_began(struct sock *sk, struct tcp_socket *socket)
{
    struct limpet_address destination = socket->asked.destination;
    __u32 is_routed = !socket->asked.had_route && has_found_a_route(bpf_skc_to_tcp_sock(sk));

    if (become_client_of(sk, socket, &destination))
        count_connect(socket, is_routed ? CONNECT_OTHER : CONNECT_UNREACHABLE, 0);
}

/* The owner is found later: the agent's program for this event may run behind this one. */
static __always_inline void connecting(struct tcp_socket *socket)
{
    __builtin_memset(socket, 0, sizeof(*socket));
    socket->started_ns = bpf_ktime_get_ns();
    enter_phase(socket, PHASE_CONNECTING);
}

static __always_inline void connected(struct sock *sk, struct tcp_socket *socket)
{
    __u64 duration_ns = socket->started_ns ? bpf_ktime_get_ns() - socket->started_ns : 0;

    if (!become_client(sk, socket))
        return;
    count_connect(socket, CONNECT_OK, duration_ns);
    enter_phase(socket, PHASE_OPEN);
}

/* The socket of a listener's new connection; the storage is a copy of the listener's. */
static __always_inline void accepted(struct sock *sk, struct tcp_socket *socket)
{
    struct limpet_address address;
    struct tcp_server_row *row;

    if (socket->phase != PHASE_LISTENING)
        limpet_local_address(sk, &socket->listener.address);
    address = socket->listener.address;
    __builtin_memset(socket, 0, sizeof(*socket));
    if (!become_server(sk, socket, &address))
        return;
    row = tcp_servers_row(socket->row);
    if (!row)
        return;
    __sync_fetch_and_add(&row->accepts, 1);
    __sync_fetch_and_add(&row->connections, 1);
    enter_phase(socket, PHASE_OPEN);
}

static __always_inline void established(struct sock *sk, int has_connected)
{
    struct tcp_socket *socket = make_socket(sk);

    if (!socket || socket->phase == PHASE_OPEN || socket->phase == PHASE_NOT_OURS)
        return;
    if (socket->phase != PHASE_CONNECTING && has_connected) { /* a connect that is older than the agent */
        __builtin_memset(socket, 0, sizeof(*socket));
        connected(sk, socket);
    } else if (socket->phase == PHASE_CONNECTING) { /* a socket can connect to another that connects to it */
        connected(sk, socket);
    } else {
        accepted(sk, socket);
    }
}

static __always_inline void listening(struct sock *sk)
{
    struct tcp_socket *socket = make_socket(sk);

    if (!socket || socket->phase == PHASE_LISTENING)
        return;
    __builtin_memset(socket, 0, sizeof(*socket));
    limpet_local_address(sk, &socket->listener.address);
    enter_phase(socket, PHASE_LISTENING);
}

/* Without an error it was the program that gave up, or connect() itself that failed before it returned: for want of a port. */
static __always_inline __u32 result_of(struct sock *sk)
{
    struct socket___tcp *file = ((struct sock___tcp *)sk)->sk_socket;

    switch (sk->sk_err) {
    case 0:
        return file && file->state == SS_UNCONNECTED ? CONNECT_OTHER : CONNECT_CANCELLED;
    case ECONNREFUSED:
        return CONNECT_REFUSED;
    case ETIMEDOUT:
        return CONNECT_TIMEOUT;
    case ECONNRESET:
        return CONNECT_RESET;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EACCES:
        return CONNECT_UNREACHABLE;
    default:
        return CONNECT_OTHER;
    }
}

static __always_inline void connect_failed(struct sock *sk, struct tcp_socket *socket)
{
    struct totals now = totals_of(sk, socket);
    struct traffic *traffic;

    if (socket->role != ROLE_CLIENT && !become_client(sk, socket))
        return;
    count_connect(socket, result_of(sk), 0);
    traffic = traffic_of(socket);
    if (traffic)
        report_rise(&socket->retransmits, now.retransmits, &traffic->retransmits);
}

static __always_inline void connection_ended(struct sock *sk, struct tcp_socket *socket, int is_in_gauges)
{
    struct totals now = totals_of(sk, socket);
    struct traffic *traffic = traffic_of(socket);

    if (!traffic)
        return;
    report_traffic(socket, traffic, &now);
    if (is_in_gauges)
        leave_gauges(socket, traffic);
    if (sk->sk_err == ECONNRESET || sk->sk_err == EPIPE) /* the kernel sets neither for another reason before this */
        count_reset(socket, HAS_RECEIVED_RESET);
}

static __always_inline void listening_ended(struct sock *sk, struct tcp_socket *socket)
{
    struct tcp_server_row *row;

    if (!socket->listener.is_listed)
        return;
    row = tcp_servers_row(socket->row);
    if (!row)
        return;
    report_rise(&socket->listener.drops, (__u32)((struct sock___tcp *)sk)->sk_drops.counter, &row->drops);
    report_listener(socket, row, 0, 0, 0);
}

static __always_inline int has_peer(const struct sock *sk)
{
    return sk->__sk_common.skc_dport != 0;
}

/* A connection ends of which no event has told that it was established: that counts now, without a duration. */
static __always_inline void make_up_for_established(struct sock *sk, struct tcp_socket *socket)
{
    struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);

    if (!tcp || !(tcp->bytes_acked | tcp->bytes_received)) /* a client's SYN is among the acknowledged bytes */
        return;
    if (socket->phase == PHASE_CONNECTING) {
        socket->started_ns = 0;
        connected(sk, socket);
    } else if (socket->phase == PHASE_LISTENING && has_peer(sk)) {
        accepted(sk, socket);
    }
}

/* Whoever comes first counts the end. The storage of a connection that was never established is its listener's copy. */
static __always_inline void end(struct sock *sk, struct tcp_socket *socket)
{
    switch (__sync_lock_test_and_set(&socket->phase, PHASE_CLOSED)) {
    case PHASE_ASKED:
        return never_began(sk, socket);
    case PHASE_CONNECTING:
        return connect_failed(sk, socket);
    case PHASE_OPEN:
        return connection_ended(sk, socket, 1);
    case PHASE_RELEASED:
        return connection_ended(sk, socket, 0);
    case PHASE_LISTENING:
        if (!has_peer(sk))
            listening_ended(sk, socket);
    }
}

static __always_inline void closed(struct sock *sk)
{
    struct tcp_socket *socket = find_socket(sk);

    if (!socket)
        return;
    make_up_for_established(sk, socket);
    end(sk, socket);
}
