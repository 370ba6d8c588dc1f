/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The tcp probe: counts connects, accepts, bytes, retransmits and resets per destination and listen address.
 *
 * Hooks   sockops on the root of cgroup2 for a connection's states, or where that is refused tp_btf/inet_sock_set_state;
 *         cgroup/connect4 and connect6 for connects that fail before their SYN; tp_btf/tcp_destroy_sock and
 *         cgroup/sock_release for the ends of sockets that are older than the agent; tp_btf/tcp_send_reset and
 *         tcp_receive_reset; at each scrape iter/task_file, or where that does not load iter/tcp. Nothing runs per packet:
 *         bytes, round-trip times and retransmits are read from what the kernel counts anyway.
 * Maps    tcp_clients 1,024 destinations, tcp_servers 512 listen addresses, tcp_sockets 128 bytes a socket.
 * Cost    see README.md.
 * Kernel  5.15.
 *
 * Tracepoints alone are not enough: under load the kernel leaves out one event in 200 of those that come with a packet. The
 * calls of sockops are no tracepoints, and none is left out.
 */
#include <limpet/probe.bpf.h>

#include <limpet/sockets.bpf.h>

#include "tcp_life.bpf.h"
#include "tcp_meet.bpf.h"
#include "tcp_series.bpf.h"
#include "tcp_socket.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

LIMPET_PROGRAM(0, on_socket_event);
LIMPET_PROGRAM(1, on_set_state);
LIMPET_PROGRAM(2, on_destroy);
LIMPET_PROGRAM(3, on_release);
LIMPET_PROGRAM(4, on_connect4);
LIMPET_PROGRAM(5, on_connect6);
LIMPET_PROGRAM(6, on_send_reset);
LIMPET_PROGRAM(7, on_receive_reset);
LIMPET_PROGRAM(8, on_file);
LIMPET_PROGRAM(9, on_socket);

/* Ends are dealt with also while the agent hangs (limits.lease): what is in a gauge must leave it. Sockets that begin
 * meanwhile have no storage here, so that their ends cost next to nothing. */
#define BEGIN_BUT_FOR(is_end, number, result)                                                                          \
    do {                                                                                                               \
        if (!limpet_begin(LIMPET_RUNS(number)) && !(is_end))                                                           \
            return result;                                                                                             \
    } while (0)

#define SOCKOPS_OK 1
#define CGROUP_ALLOW 1

static __always_inline void begin_connect(struct sock *sk)
{
    struct tcp_socket *socket = make_socket(sk);

    if (!socket)
        return;
    if (socket->phase == PHASE_OPEN) /* of a connection before this one, whose end no event has told */
        end(sk, socket);
    connecting(socket);
}

/* Other programs may have asked for other events of this socket. */
static __always_inline void ask_for_states(struct bpf_sock_ops *event)
{
    if (!(event->bpf_sock_ops_cb_flags & BPF_SOCK_OPS_STATE_CB_FLAG))
        bpf_sock_ops_cb_flags_set(event, (int)event->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
}

/* `reply` is not touched: it belongs to programs that set windows and timeouts. */
SEC("sockops")
int on_socket_event(struct bpf_sock_ops *event)
{
    struct bpf_sock *socket;
    struct sock *sk;
    __u32 kind = event->op;

    BEGIN_BUT_FOR(kind == BPF_SOCK_OPS_STATE_CB, 0, SOCKOPS_OK);
    if (kind == BPF_SOCK_OPS_STATE_CB) {
        if (event->args[1] != TCP_CLOSE)
            return SOCKOPS_OK;
    } else if (kind != BPF_SOCK_OPS_TCP_CONNECT_CB && kind != BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB &&
               kind != BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB && kind != BPF_SOCK_OPS_TCP_LISTEN_CB) {
        return SOCKOPS_OK;
    } else {
        ask_for_states(event);
    }
    socket = event->sk;
    if (!socket)
        return SOCKOPS_OK;
    sk = (struct sock *)bpf_skc_to_tcp_sock(socket);
    if (!sk)
        return SOCKOPS_OK;
    if (kind == BPF_SOCK_OPS_STATE_CB)
        closed(sk);
    else if (kind == BPF_SOCK_OPS_TCP_CONNECT_CB)
        begin_connect(sk);
    else if (kind == BPF_SOCK_OPS_TCP_LISTEN_CB)
        listening(sk);
    else
        established(sk, kind == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB);
    return SOCKOPS_OK;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_set_state, struct sock *sk, int old_state, int new_state)
{
    BEGIN_BUT_FOR(new_state == TCP_CLOSE, 1, 0);
    if (sk->sk_protocol != IPPROTO_TCP)
        return 0;
    if (new_state == TCP_SYN_SENT)
        begin_connect(sk);
    else if (new_state == TCP_ESTABLISHED)
        established(sk, old_state == TCP_SYN_SENT);
    else if (new_state == TCP_LISTEN)
        listening(sk);
    else if (new_state == TCP_CLOSE)
        closed(sk);
    return 0;
}

/* The end of a socket, for what has not been counted by then. */
SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(on_destroy, struct sock *sk)
{
    BEGIN_BUT_FOR(1, 2, 0);
    closed(sk);
    return 0;
}

/* The program has closed a socket. No other event is sure to tell of an older connection's end, nor that a listening MPTCP
 * socket has gone: its figures are those of a TCP socket inside. */
SEC("cgroup/sock_release")
int on_release(struct bpf_sock *sk)
{
    struct tcp_socket *socket;
    struct traffic *traffic;

    BEGIN_BUT_FOR(1, 3, CGROUP_ALLOW);
    if (sk->type != SOCK_STREAM)
        return CGROUP_ALLOW;
    socket = find_socket(sk);
    if (!socket)
        return CGROUP_ALLOW;
    if (sk->protocol == IPPROTO_MPTCP && sk->state == TCP_LISTEN) {
        struct tcp_server_row *row = tcp_servers_row(socket->row);

        if (row && changes_phase(socket, PHASE_LISTENING, PHASE_CLOSED))
            report_listener(socket, row, 0, 0, 0);
        return CGROUP_ALLOW;
    }
    traffic = traffic_of(socket);
    if (traffic && socket->flags & IS_OLDER && changes_phase(socket, PHASE_OPEN, PHASE_RELEASED))
        leave_gauges(socket, traffic);
    return CGROUP_ALLOW;
}

/* Before anything else is known: what connect() was asked for. */
static __always_inline void ask(struct bpf_sock *sk, const struct limpet_address *destination)
{
    struct tcp_socket *socket;
    struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);

    if (!tcp)
        return;
    limpet_own_if_nobody_does(tcp, bpf_get_current_task_btf());
    socket = make_socket(tcp);
    if (!socket)
        return;
    if (socket->phase == PHASE_ASKED || socket->phase == PHASE_OPEN)
        end((struct sock *)tcp, socket);
    __builtin_memset(socket, 0, sizeof(*socket));
    socket->asked.destination = *destination;
    socket->asked.had_route = has_found_a_route(tcp);
    socket->asked.since_ns = bpf_ktime_get_ns();
    enter_phase(socket, PHASE_ASKED);
}

SEC("cgroup/connect4")
int on_connect4(struct bpf_sock_addr *call)
{
    struct limpet_address destination;
    struct bpf_sock *sk = call->sk;

    LIMPET_BEGIN(4, CGROUP_ALLOW);
    if (!sk || call->protocol != IPPROTO_TCP)
        return CGROUP_ALLOW;
    limpet_fill_address(&destination, AF_INET, call->user_ip4, NULL, bpf_ntohs((__be16)call->user_port));
    ask(sk, &destination);
    return CGROUP_ALLOW;
}

SEC("cgroup/connect6")
int on_connect6(struct bpf_sock_addr *call)
{
    struct limpet_address destination = {.port = bpf_ntohs((__be16)call->user_port)};
    __u32 *words = (__u32 *)(void *)destination.bytes;
    struct bpf_sock *sk = call->sk;

    LIMPET_BEGIN(5, CGROUP_ALLOW);
    if (!sk || call->protocol != IPPROTO_TCP)
        return CGROUP_ALLOW;
    words[0] = call->user_ip6[0];
    words[1] = call->user_ip6[1];
    words[2] = call->user_ip6[2];
    words[3] = call->user_ip6[3];
    ask(sk, &destination);
    return CGROUP_ALLOW;
}

/* Also of a connection that has just been closed: a program that closes with unread data resets behind it. `sk` may be NULL,
 * or no full socket: it has no storage then. */
SEC("tp_btf/tcp_send_reset")
int BPF_PROG(on_send_reset, struct sock *sk)
{
    struct tcp_socket *socket;

    LIMPET_BEGIN(6, 0);
    socket = find_socket(sk);
    if (socket)
        count_reset(socket, HAS_SENT_RESET);
    return 0;
}

SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(on_receive_reset, struct sock *sk)
{
    struct tcp_socket *socket;

    LIMPET_BEGIN(7, 0);
    socket = find_socket(sk);
    if (socket && (socket->phase != PHASE_CONNECTING || become_client(sk, socket)))
        count_reset(socket, HAS_RECEIVED_RESET);
    return 0;
}
