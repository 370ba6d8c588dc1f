/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * What the tcp probe remembers of a socket, and how it counts there.
 *
 * A socket's events come one after the other, but an iterator may look at the socket at any moment. So numbers are reported
 * by compare-and-swap, a row is known before the phase says so, whoever ends a phase counts its end, and what an iterator
 * has added to a gauge it takes back when it finds the socket closed afterwards.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "tcp_kernel.bpf.h"
#include "tcp_series.bpf.h"

enum phase {
    PHASE_NEW = 0,
    PHASE_ASKED,      /* connect() has been called, no SYN sent yet */
    PHASE_CONNECTING, /* SYN sent */
    PHASE_OPEN,
    PHASE_RELEASED, /* an older connection that its program has closed: out of the gauges, its last bytes still to come */
    PHASE_LISTENING,
    PHASE_NOT_OURS, /* the agent's own */
    PHASE_CLOSED,
};

enum role { ROLE_NONE = 0, ROLE_CLIENT, ROLE_SERVER };

/* tcp_socket.flags */
enum {
    HAS_SENT_RESET = 1,
    HAS_RECEIVED_RESET = 2,
    IS_OLDER = 4, /* than the agent */
};

/* 56 bytes: with the kernel's head an allocation of 128. */
struct tcp_socket {
    __u32 phase;
    __u32 row; /* of tcp_clients or tcp_servers, as role says */
    __u32 role;
    __u32 flags;
    union {
        struct { /* PHASE_ASKED */
            struct limpet_address destination;
            __u32 had_route; /* an earlier connect of this socket found one */
            __u64 since_ns;
        } asked;
        struct {
            __u64 started_ns; /* when the SYN was sent; 0: not known */
            __u64 sent;       /* what has been reported so far */
            __u64 received;
            __u64 retransmits;
            __u32 rtt_us;
        };
        struct { /* PHASE_LISTENING */
            struct limpet_address address;
            __u32 is_listed; /* 1: counted in `listeners`, and row is valid */
            __u32 queue_length;
            __u32 queue_limit;
            __u64 drops;
        } listener;
    };
};
_Static_assert(sizeof(struct tcp_socket) == 56, "see above");

struct {
    __uint(type, BPF_MAP_TYPE_SK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
    __type(key, int);
    __type(value, struct tcp_socket);
} tcp_sockets SEC(".maps");

/* `sk`: the kernel's struct sock, or a struct bpf_sock. */
static __always_inline struct tcp_socket *find_socket(void *sk)
{
    return bpf_sk_storage_get(&tcp_sockets, sk, NULL, 0);
}

static __always_inline struct tcp_socket *make_socket(void *sk)
{
    struct tcp_socket *socket = bpf_sk_storage_get(&tcp_sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);

    if (!socket)
        limpet_count(LIMPET_STAT_UNSEEN_MEMORY);
    return socket;
}

static __always_inline void enter_phase(struct tcp_socket *socket, __u32 phase)
{
    __sync_lock_test_and_set(&socket->phase, phase); /* what was written before is seen before */
}

/* True for the one who makes the change. */
static __always_inline int changes_phase(struct tcp_socket *socket, __u32 from, __u32 to)
{
    return __sync_val_compare_and_swap(&socket->phase, from, to) == from;
}

static __always_inline struct traffic *traffic_of(const struct tcp_socket *socket)
{
    if (socket->role == ROLE_CLIENT)
        return (void *)tcp_clients_row(socket->row);
    if (socket->role == ROLE_SERVER)
        return (void *)tcp_servers_row(socket->row);
    return NULL;
}

/* The row of a socket that connects or has connected; 0 when the socket is the agent's. */
static __always_inline int become_client_of(struct sock *sk, struct tcp_socket *socket,
                                            const struct limpet_address *destination)
{
    struct tcp_client_key key = {.workload = limpet_owner_of(sk), .destination = *destination};

    if (key.workload == LIMPET_WORKLOAD_SELF) {
        enter_phase(socket, PHASE_NOT_OURS);
        return 0;
    }
    socket->row = tcp_clients_find(&key);
    socket->role = ROLE_CLIENT;
    return 1;
}

static __always_inline int become_client(struct sock *sk, struct tcp_socket *socket)
{
    struct limpet_address destination;

    limpet_remote_address(sk, &destination);
    return become_client_of(sk, socket, &destination);
}

/* The row of a listening socket, or of one that it has accepted; 0 when the socket is the agent's. */
static __always_inline int become_server(struct sock *sk, struct tcp_socket *socket,
                                         const struct limpet_address *address)
{
    struct tcp_server_key key = {.workload = limpet_owner_of(sk), .listen_address = *address};

    if (key.workload == LIMPET_WORKLOAD_SELF) {
        enter_phase(socket, PHASE_NOT_OURS);
        return 0;
    }
    socket->row = tcp_servers_find(&key);
    socket->role = ROLE_SERVER;
    return 1;
}

/* What the kernel has counted of a connection. */
struct totals {
    __u64 sent;
    __u64 received;
    __u64 retransmits;
    __u32 rtt_us;
};

/* A FIN is the last that is sent. A socket that is closed does not tell any more. */
static __always_inline int has_sent_fin(const struct sock *sk, const struct tcp_sock *tcp)
{
    __u8 state = sk->__sk_common.skc_state;

    return state != TCP_ESTABLISHED && state != TCP_CLOSE_WAIT && state != TCP_CLOSE && tcp->snd_nxt == tcp->write_seq;
}

/* Payload that was sent, each byte once. Sequence numbers count a client's SYN and a FIN; bytes_sent counts what a local
 * filter refused once more when it is let through. Both are never too small. */
static __always_inline __u64 payload_sent(const struct sock *sk, const struct tcp_sock *tcp, int is_client)
{
    __u64 sequences = tcp->bytes_acked + (tcp->snd_nxt - tcp->snd_una);
    __u64 bytes = tcp->bytes_sent - tcp->bytes_retrans;

    if (is_client && tcp->bytes_acked)
        sequences--;
    if (sequences && has_sent_fin(sk, tcp))
        sequences--;
    return sequences < bytes ? sequences : bytes;
}

static __always_inline struct totals totals_of(struct sock *sk, const struct tcp_socket *socket)
{
    struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);
    struct totals totals = {};

    if (!tcp)
        return totals;
    totals.sent = payload_sent(sk, tcp, socket->role == ROLE_CLIENT);
    totals.received = tcp->bytes_received;
    totals.retransmits = tcp->total_retrans;
    totals.rtt_us = tcp->srtt_us >> 3;
    /* read last: the kernel counts a FIN first and sets the flag behind it */
    if (totals.received &&
        ((struct sock___tcp *)sk)->__sk_common.skc_flags >> bpf_core_enum_value(enum sock_flags, SOCK_DONE) & 1)
        totals.received--;
    return totals;
}

static __always_inline void report_traffic(struct tcp_socket *socket, struct traffic *traffic, const struct totals *now)
{
    report_rise(&socket->sent, now->sent, &traffic->sent);
    report_rise(&socket->received, now->received, &traffic->received);
    report_rise(&socket->retransmits, now->retransmits, &traffic->retransmits);
}

static __always_inline void report_rtt(struct tcp_socket *socket, struct traffic *traffic, __u32 now_us)
{
    __u32 old_us = *(volatile __u32 *)&socket->rtt_us;

    if (old_us == now_us)
        return;
    old_us = __sync_lock_test_and_set(&socket->rtt_us, now_us);
    __sync_fetch_and_add(&traffic->rtt_sum, (__s64)now_us - (__s64)old_us);
    if (!old_us != !now_us)
        __sync_fetch_and_add(&traffic->rtt_sockets, now_us ? 1 : -1);
}

/* A connection is no longer open. */
static __always_inline void leave_gauges(struct tcp_socket *socket, struct traffic *traffic)
{
    report_rtt(socket, traffic, 0);
    __sync_fetch_and_add(&traffic->connections, -1);
}

/* Once for each socket and direction, whoever tells of it. */
static __always_inline void count_reset(struct tcp_socket *socket, __u32 flag)
{
    struct traffic *traffic = traffic_of(socket);

    if (!traffic || __sync_fetch_and_or(&socket->flags, flag) & flag)
        return;
    __sync_fetch_and_add(flag == HAS_SENT_RESET ? &traffic->resets_sent : &traffic->resets_received, 1);
}

/* Into or out of the gauges of listening sockets. */
static __always_inline void report_listener(struct tcp_socket *socket, struct tcp_server_row *row, __u32 length,
                                            __u32 limit, __u32 is_listed)
{
    report_level(&socket->listener.is_listed, is_listed, &row->listeners);
    report_level(&socket->listener.queue_length, length, &row->queue_length);
    report_level(&socket->listener.queue_limit, limit, &row->queue_limit);
}
