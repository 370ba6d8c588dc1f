/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The tap's view of a socket's life: who owns it, which early slot it takes over, when its connection is over.
 *
 * The kernel leaves a tracing program out where it is under way on that CPU already, beneath the interrupt that a packet came
 * with. Under load this takes one event in a few hundred ("recursion_misses" of `bpftool prog`). So the hook has two
 * programs, one right behind the other, of which the second finds nothing to do where the first one ran. All that they do can
 * be done twice. Some events still reach neither; what must not depend on them is made up for in tap_open.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>

#include "connection_table.bpf.h"
#include "limpet/stats.bpf.h"
#include "limpet/workload.bpf.h"

LIMPET_PROGRAM(4, on_set_state);
LIMPET_PROGRAM(5, on_set_state_again);

/* The agent's own port, host order: connections of this host to it are not followed. */
const volatile __u16 limpet_listen_port = 0;

/* The last early segment of each CPU, until the accepted socket appears. */
struct early_segment {
    __u64 identity;
    __u32 slot_plus_one; /* 0: none */
    __u32 generation;
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct early_segment);
} early_segments SEC(".maps");

static __always_inline void remember_early(__u64 identity, const struct limpet_connection *connection, __u32 slot)
{
    struct early_segment *early;
    __u32 zero = 0;

    early = bpf_map_lookup_elem(&early_segments, &zero);
    if (!early)
        return;
    early->identity = identity;
    early->generation = connection->head.generation;
    early->slot_plus_one = slot + 1;
}

/* True for a connection of this host to the agent's own server: a scrape is not part of the host's work. */
static __always_inline int reaches_agent(struct sock *sk)
{
    __be32 word;

    if (!limpet_listen_port || BPF_CORE_READ(sk, __sk_common.skc_dport) != bpf_htons(limpet_listen_port))
        return 0;
    if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET) {
        word = BPF_CORE_READ(sk, __sk_common.skc_daddr);
        return (word & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000) ||
               word == BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
    }
    /* the last words of two addresses of this host's family are as good as the whole: same network, same host part */
    word = BPF_CORE_READ(sk, __sk_common.skc_v6_daddr.in6_u.u6_addr32[3]);
    return word == BPF_CORE_READ(sk, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[3]);
}

/* `is_second`: the other program has nearly always seen to it. */
static __always_inline void own(struct sock *sk, struct task_struct *task, int is_client, int is_second)
{
    struct limpet_socket *owner = bpf_sk_storage_get(&limpet_sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);

    if (!owner || (is_second && owner->workload != LIMPET_WORKLOAD_UNKNOWN))
        return;
    owner->flags = is_client ? LIMPET_SOCKET_CONNECTS : 0;
    owner->workload = is_client && reaches_agent(sk) ? LIMPET_WORKLOAD_SELF : limpet_workload_of(task);
}

/* An accepted socket takes over the slot of its early segment: a slot of its own points there. */
static __always_inline void take_over(struct limpet_socket *owner, __u64 cookie, __u32 early_slot, __u32 generation)
{
    struct opening opening = {.cookie = cookie,
                              .alias_plus_one = early_slot + 1,
                              .workload = (__u16)generation,
                              .verdict = LIMPET_VERDICT_UNDECIDED,
                              .tries = TRIES_IF_FRESH};

    if (!connection_open(&opening))
        return;
    owner->slot_plus_one = early_slot + 1;
    owner->generation = generation;
}

/* The accepted socket of the early segment that this CPU has just parsed. */
static __always_inline void take_early_slot(struct sock *sk)
{
    struct early_segment *early;
    struct limpet_socket *owner;
    __u32 zero = 0, remote;

    early = bpf_map_lookup_elem(&early_segments, &zero);
    if (!early || !early->slot_plus_one)
        return;
    if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET6)
        remote = BPF_CORE_READ(sk, __sk_common.skc_v6_daddr.in6_u.u6_addr32[3]);
    else
        remote = BPF_CORE_READ(sk, __sk_common.skc_daddr);
    if (early->identity != early_identity(remote, bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport)),
                                          BPF_CORE_READ(sk, __sk_common.skc_num),
                                          BPF_CORE_READ((struct tcp_sock___tap *)sk, snd_una)))
        return;
    owner = bpf_sk_storage_get(&limpet_sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
    if (owner)
        take_over(owner, bpf_get_socket_cookie(sk), early->slot_plus_one - 1, early->generation);
    early->slot_plus_one = 0;
}

static __always_inline void forget(struct sock *sk)
{
    struct limpet_socket *owner = bpf_sk_storage_get(&limpet_sockets, sk, NULL, 0);
    struct limpet_connection *connection;
    __u64 cookie, holder;
    __u32 slot;

    if (!owner || !owner->slot_plus_one)
        return;
    slot = owner->slot_plus_one - 1;
    owner->slot_plus_one = 0;
    connection = limpet_connection_at(slot);
    holder = connection ? holder_of(connection) : 0;
    if (holder && *(volatile __u16 *)&connection->head.generation == (__u16)owner->generation)
        connection_release(connection, holder);
    cookie = bpf_get_socket_cookie(sk);
    connection =
        limpet_connection_at(connection_recall(cookie) - 1); /* what pointed to it, where it stood for another */
    if (connection)
        connection_release(connection, cookie);
}

static __always_inline int follow_state(struct sock *sk, int old_state, int new_state, int is_second)
{
    if (new_state == TCP_CLOSE)
        forget(sk);
    else if (new_state == TCP_SYN_SENT)
        own(sk, bpf_get_current_task_btf(), 1, is_second);
    else if (new_state == TCP_LISTEN)
        own(sk, bpf_get_current_task_btf(), 0, is_second);
    else if (new_state == TCP_ESTABLISHED && old_state == TCP_SYN_RECV)
        take_early_slot(sk);
    return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_set_state, struct sock *sk, int old_state, int new_state)
{
    LIMPET_BEGIN(4, 0);
    return follow_state(sk, old_state, new_state, 0);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_set_state_again, struct sock *sk, int old_state, int new_state)
{
    LIMPET_BEGIN(5, 0);
    return follow_state(sk, old_state, new_state, 1);
}
