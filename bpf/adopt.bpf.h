/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The sockets whose owner no event tells: those that are older than the agent, and those of a process that has been moved
 * to another cgroup since. The agent runs iterators over the files of processes: of all when it starts, of the ones that
 * moved (limpet_moved) once a second. Part of the tap's object.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "connection_table.bpf.h"
#include "limpet/stats.bpf.h"
#include "limpet/workload.bpf.h"

LIMPET_PROGRAM(6, on_attach_task);

/* Gives a socket its owner; one that has an owner gets this one only when `is_move`. */
static __always_inline void adopt(struct sock *sk, __u32 workload, int is_move)
{
    struct limpet_socket *owner;
    struct limpet_connection *connection;

    owner = bpf_sk_storage_get(&limpet_sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
    if (!owner || owner->workload == LIMPET_WORKLOAD_SELF || (!is_move && owner->workload != LIMPET_WORKLOAD_UNKNOWN))
        return;
    owner->workload = workload;
    if (!owner->slot_plus_one)
        return;
    connection = limpet_connection_at(owner->slot_plus_one - 1);
    if (connection && connection->head.generation == (__u16)owner->generation)
        connection->head.workload = (__u16)workload;
}

/* The socket behind a file, when it is of this type and protocol. */
static __always_inline struct sock *socket_of_file(struct file *file, int type, int protocol)
{
    struct socket *socket = file ? bpf_sock_from_file(file) : NULL;
    struct sock *sk = socket ? socket->sk : NULL;

    return sk && sk->sk_type == type && sk->sk_protocol == protocol ? sk : NULL;
}

static __always_inline int adopt_file(const struct bpf_iter__task_file *context, int is_move)
{
    struct task_struct *task = context->task;
    struct sock *sk = socket_of_file(context->file, SOCK_STREAM, IPPROTO_TCP);

    if (!sk)
        sk = socket_of_file(context->file, SOCK_DGRAM, IPPROTO_UDP);
    if (task && sk)
        adopt(sk, limpet_workload_of(task), is_move);
    return 0;
}

SEC("iter/task_file")
int on_task_file(struct bpf_iter__task_file *context)
{
    return adopt_file(context, 0);
}

SEC("iter/task_file")
int on_moved_file(struct bpf_iter__task_file *context)
{
    return adopt_file(context, 1);
}

/* An MPTCP listener (Go's default) hands out plain TCP sockets to plain TCP clients: cloned from a TCP socket inside it
 * that belongs to no file. So owners of MPTCP sockets are noted first and the listeners inside them found second. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 256);
    __type(key, __u64); /* address of the MPTCP socket */
    __type(value, __u32);
} mptcp_owners SEC(".maps");

SEC("iter/task_file")
int on_mptcp_file(struct bpf_iter__task_file *context)
{
    struct task_struct *task = context->task;
    struct sock *sk = socket_of_file(context->file, SOCK_STREAM, IPPROTO_MPTCP);
    __u64 address = (__u64)(long)sk;
    __u32 workload;

    if (!task || !sk)
        return 0;
    workload = limpet_workload_of(task);
    bpf_map_update_elem(&mptcp_owners, &address, &workload, BPF_ANY);
    return 0;
}

static __always_inline int adopt_listener(const struct bpf_iter__tcp *context, int is_move)
{
    struct sock_common *common = context->sk_common;
    struct inet_connection_sock *listener = (struct inet_connection_sock *)common;
    struct mptcp_subflow_context *subflow;
    __u64 address;
    __u32 *workload;

    if (!common || common->skc_state != TCP_LISTEN)
        return 0;
    subflow = BPF_CORE_READ(listener, icsk_ulp_data);
    if (!subflow)
        return 0;
    address = (__u64)(long)BPF_CORE_READ(subflow, conn);
    workload = bpf_map_lookup_elem(&mptcp_owners, &address);
    if (workload)
        adopt((struct sock *)common, *workload, is_move);
    return 0;
}

/* Both see the sockets of the network namespace that opened the iterator. */
SEC("iter/tcp")
int on_tcp_socket(struct bpf_iter__tcp *context)
{
    return adopt_listener(context, 0);
}

SEC("iter/tcp")
int on_moved_tcp_socket(struct bpf_iter__tcp *context)
{
    return adopt_listener(context, 1);
}

/* Processes that were moved to another cgroup and that the agent has not looked at yet. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 256);
    __type(key, __u32); /* process id, in the initial pid namespace */
    __type(value, __u8);
} limpet_moved SEC(".maps");

/* A task is in its new cgroup; one that is forked into a cgroup does not come here. */
SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(on_attach_task, struct cgroup *cgroup, const char *path, struct task_struct *task, int is_threadgroup)
{
    __u8 present = 1;
    __u32 tgid;

    LIMPET_BEGIN(6, 0);
    tgid = BPF_CORE_READ(task, tgid);
    /* more in one second than there is room for: the rest stay with their old cgroup */
    bpf_map_update_elem(&limpet_moved, &tgid, &present, BPF_ANY);
    return 0;
}
