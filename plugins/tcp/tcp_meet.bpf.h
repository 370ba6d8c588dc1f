/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The iterators: before each scrape they meet every open socket, report what the kernel has counted since, and take in those
 * that are older than the agent.
 *
 * One of two is loaded (plugin.toml). iter/task_file sees the sockets that are open files, of all network namespaces, in one
 * run; iter/tcp all sockets of one namespace, at the price of a walk through the kernel's whole table for each.
 *
 * The first run takes in listening sockets only, so that a connection finds its listener in the second, whatever the order.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "limpet/sockets.bpf.h"
#include "tcp_life.bpf.h"
#include "tcp_socket.bpf.h"

#define ASKED_FOR_LONG_NS 1000000000ULL

__u32 runs_done = 0; /* of the iterator */

/* Where sockets listen that are older than the agent, for the connections that they had accepted before. */
struct listener_key {
    struct limpet_address address;
    __u32 network_namespace;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 256);
    __type(key, struct listener_key);
    __type(value, __u32);
} old_listeners SEC(".maps");

static __always_inline __u32 namespace_of(const struct sock *sk)
{
    return ((const struct sock___tcp *)sk)->__sk_common.skc_net.net->ns.inum;
}

/* `inside`: the listening TCP socket itself, or the one inside an MPTCP socket (Go's default), which no file leads to; it
 * is read with care. */
static __always_inline void meet_listener(struct sock *sk, const struct sock___tcp *inside)
{
    struct tcp_socket *socket = make_socket(sk);
    __u32 drops = (__u32)BPF_CORE_READ(inside, sk_drops.counter);
    struct tcp_server_row *row;

    if (!socket)
        return;
    if (socket->phase == PHASE_NEW) {
        struct listener_key key = {.network_namespace = namespace_of(sk)};
        __u32 is_there = 1;

        limpet_local_address(sk, &key.address);
        bpf_map_update_elem(&old_listeners, &key, &is_there, BPF_ANY);
        socket->listener.address = key.address;
        socket->listener.drops = drops;
        changes_phase(socket, PHASE_NEW, PHASE_LISTENING);
    }
    if (socket->phase != PHASE_LISTENING)
        return;
    if (!socket->role && !become_server(sk, socket, &socket->listener.address))
        return;
    row = tcp_servers_row(socket->row);
    if (!row)
        return;
    report_rise(&socket->listener.drops, drops, &row->drops);
    report_listener(socket, row, BPF_CORE_READ(inside, sk_ack_backlog), BPF_CORE_READ(inside, sk_max_ack_backlog), 1);
    if (socket->phase == PHASE_CLOSED)
        report_listener(socket, row, 0, 0, 0);
}

/* One of the agent's time: its storage is made here, since the TCP socket inside has the events. */
static __always_inline void meet_mptcp(struct sock *sk, struct task_struct *task)
{
    const struct sock___tcp *inside;

    if (!bpf_core_field_exists(((struct mptcp_sock *)0)->first) || sk->__sk_common.skc_state != TCP_LISTEN)
        return;
    inside = (const struct sock___tcp *)BPF_CORE_READ((const struct mptcp_sock *)sk, first);
    if (!inside)
        return;
    limpet_own_if_nobody_does(sk, task);
    meet_listener(sk, inside);
}

static __always_inline int is_old_listener(struct listener_key *key)
{
    return bpf_map_lookup_elem(&old_listeners, key) != NULL;
}

/* The address of the listener that a connection has come from: its own, or one that stands for all addresses. */
static __always_inline int find_listener(const struct sock *sk, struct limpet_address *address)
{
    struct listener_key key = {.network_namespace = namespace_of(sk)};
    __u32 *words = (__u32 *)(void *)key.address.bytes;

    limpet_local_address(sk, &key.address);
    *address = key.address;
    if (is_old_listener(&key))
        return 1;
    words[0] = words[1] = words[3] = 0;
    words[2] = bpf_htonl(0xffff); /* 0.0.0.0 */
    if (!is_old_listener(&key)) {
        words[2] = 0; /* [::] */
        if (!is_old_listener(&key))
            return 0;
    }
    *address = key.address;
    return 1;
}

/* Who began a connection: the SYN of the end that did is among its acknowledged bytes, and a SYN is no payload. Acknowledged
 * and in flight together are what was sent once, and a FIN, if one was sent. */
static __always_inline int sent_the_first_syn(struct sock *sk)
{
    struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);
    __u8 state = sk->__sk_common.skc_state;
    __u64 sequences, payload;

    if (!tcp)
        return 0;
    sequences = tcp->bytes_acked + (tcp->snd_nxt - tcp->snd_una);
    payload = tcp->bytes_sent - tcp->bytes_retrans;
    if (state != TCP_ESTABLISHED && state != TCP_CLOSE_WAIT)
        payload++;
    return sequences > payload;
}

/* A connection that is older than the agent: counted from now on. */
static __always_inline void take_in(struct sock *sk, struct tcp_socket *socket)
{
    struct limpet_address address;
    struct traffic *traffic;
    struct totals now;

    if (sent_the_first_syn(sk)) {
        if (!become_client(sk, socket))
            return;
    } else {
        find_listener(sk, &address);
        if (!become_server(sk, socket, &address))
            return;
    }
    now = totals_of(sk, socket);
    socket->sent = now.sent;
    socket->received = now.received;
    socket->retransmits = now.retransmits;
    socket->flags = IS_OLDER;
    traffic = traffic_of(socket);
    if (!traffic || !changes_phase(socket, PHASE_NEW, PHASE_OPEN))
        return;
    __sync_fetch_and_add(&traffic->connections, 1);
    if (limpet_era()) /* or than the end of a time in which the agent hung */
        limpet_count(LIMPET_STAT_UNSEEN_PAUSED);
    if (sk->__sk_common.skc_state == TCP_CLOSE)
        end(sk, socket);
}

static __always_inline void meet_connection(struct sock *sk)
{
    struct tcp_socket *socket = make_socket(sk);
    struct traffic *traffic;
    struct totals now;

    if (!socket)
        return;
    if (socket->phase == PHASE_NEW)
        take_in(sk, socket);
    if (socket->phase != PHASE_OPEN)
        return;
    traffic = traffic_of(socket);
    if (!traffic)
        return;
    now = totals_of(sk, socket);
    report_traffic(socket, traffic, &now);
    report_rtt(socket, traffic, now.rtt_us);
    if (socket->phase == PHASE_CLOSED)
        report_rtt(socket, traffic, 0);
}

/* Of a connect that failed at once nothing is heard before its program closes the socket or tries again. */
static __always_inline void meet_closed(struct sock *sk)
{
    struct tcp_socket *socket = find_socket(sk);

    if (!socket)
        return;
    if (socket->phase == PHASE_OPEN || socket->phase == PHASE_LISTENING)
        end(sk, socket);
    else if (socket->phase == PHASE_ASKED && bpf_ktime_get_ns() - socket->asked.since_ns > ASKED_FOR_LONG_NS &&
             changes_phase(socket, PHASE_ASKED, PHASE_CLOSED))
        never_began(sk, socket);
}

static __always_inline void meet(struct sock *sk)
{
    switch (sk->__sk_common.skc_state) {
    case TCP_LISTEN:
        meet_listener(sk, (const struct sock___tcp *)sk);
        break;
    case TCP_CLOSE:
        meet_closed(sk);
        break;
    case TCP_ESTABLISHED:
    case TCP_FIN_WAIT1:
    case TCP_FIN_WAIT2:
    case TCP_CLOSE_WAIT:
    case TCP_LAST_ACK:
    case TCP_CLOSING:
        if (runs_done)
            meet_connection(sk);
        break;
    }
}

SEC("iter/task_file")
int on_file(struct bpf_iter__task_file *context)
{
    struct task_struct *task = context->task;
    struct file *file = context->file;
    struct socket *socket;
    struct sock *sk;

    LIMPET_BEGIN(8, 0);
    if (!task) { /* the end */
        runs_done++;
        return 0;
    }
    socket = file ? bpf_sock_from_file(file) : NULL;
    sk = socket ? socket->sk : NULL;
    if (!sk || sk->sk_type != SOCK_STREAM)
        return 0;
    if (sk->sk_protocol == IPPROTO_TCP)
        meet(sk);
    else if (sk->sk_protocol == IPPROTO_MPTCP)
        meet_mptcp(sk, task);
    return 0;
}

SEC("iter/tcp")
int on_socket(struct bpf_iter__tcp *context)
{
    struct sock_common *common = context->sk_common;
    struct tcp_sock *tcp;

    LIMPET_BEGIN(9, 0);
    if (!common) { /* the end */
        runs_done++;
        return 0;
    }
    tcp = bpf_skc_to_tcp_sock(common); /* NULL of request and TIME_WAIT sockets, which are none */
    if (tcp)
        meet((struct sock *)tcp);
    return 0;
}
