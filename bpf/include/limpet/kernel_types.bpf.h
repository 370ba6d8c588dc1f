/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Every kernel field that limpet reads, and nothing else. CO-RE finds the real offsets at load time, so the members here
 * need neither the kernel's order nor its neighbours. Constants are the kernel's ABI (include/net/tcp_states.h,
 * include/uapi/linux/in.h).
 */
#pragma once

#include <linux/types.h>

#define LIMPET_KERNEL_TYPE __attribute__((preserve_access_index))

enum { TCP_SYN_SENT = 2, TCP_SYN_RECV = 3, TCP_ESTABLISHED = 1, TCP_CLOSE = 7, TCP_LISTEN = 10 };
enum { AF_INET = 2, AF_INET6 = 10, SOCK_STREAM = 1, SOCK_DGRAM = 2 };
enum { IPPROTO_HOPOPTS = 0, IPPROTO_TCP = 6, IPPROTO_UDP = 17, IPPROTO_MPTCP = 262 };
enum { ETIMEDOUT = 110 };

struct in6_addr {
    union {
        __u8 u6_addr8[16];
        __be32 u6_addr32[4];
    } in6_u;
} LIMPET_KERNEL_TYPE;

/* include/net/sock.h: addresses and ports of a socket; skc_num is in host order, skc_dport in network order. */
struct sock_common {
    struct {
        __s64 counter;
    } skc_cookie;
    __be32 skc_daddr;
    __be32 skc_rcv_saddr;
    __be16 skc_dport;
    __u16 skc_num;
    unsigned short skc_family;
    volatile unsigned char skc_state;
    struct in6_addr skc_v6_daddr;
    struct in6_addr skc_v6_rcv_saddr;
} LIMPET_KERNEL_TYPE;

struct sock {
    struct sock_common __sk_common;
    __u16 sk_type;
    __u16 sk_protocol;
    int sk_err;
} LIMPET_KERNEL_TYPE;

/* include/linux/tcp.h; the first byte sent that is not acknowledged. A flavour, beside what the tcp probe declares. */
struct tcp_sock___tap {
    __u32 snd_una;
} LIMPET_KERNEL_TYPE;

struct socket {
    struct sock *sk;
} LIMPET_KERNEL_TYPE;

struct Qdisc {
    void *enqueue;
} LIMPET_KERNEL_TYPE;

struct netdev_queue {
    struct Qdisc *qdisc;
} LIMPET_KERNEL_TYPE;

struct net_device {
    struct netdev_queue *_tx;
} LIMPET_KERNEL_TYPE;

struct sk_buff {
    struct sock *sk;
    struct net_device *dev;
} LIMPET_KERNEL_TYPE;

/* net/mptcp/protocol.h: ties a TCP socket (icsk_ulp_data) to the MPTCP socket around it. */
struct mptcp_subflow_context {
    struct sock *conn;
} LIMPET_KERNEL_TYPE;

struct inet_connection_sock {
    void *icsk_ulp_data;
} LIMPET_KERNEL_TYPE;

struct kernfs_node {
    __u64 id; /* the inode number of the cgroup's directory */
} LIMPET_KERNEL_TYPE;

struct cgroup_root;

struct cgroup {
    struct kernfs_node *kn;
    struct cgroup_root *root;
} LIMPET_KERNEL_TYPE;

struct cgroup_subsys_state {
    struct cgroup *cgroup;
} LIMPET_KERNEL_TYPE;

/* The length of `subsys` differs by kernel configuration; only its start is used. */
struct css_set {
    struct cgroup_subsys_state *subsys[1];
    struct cgroup *dfl_cgrp;
} LIMPET_KERNEL_TYPE;

enum cgroup_subsys_id { cpu_cgrp_id, memory_cgrp_id };

struct qstr {
    const unsigned char *name;
} LIMPET_KERNEL_TYPE;

struct dentry {
    struct qstr d_name;
} LIMPET_KERNEL_TYPE;

struct path {
    struct dentry *dentry;
} LIMPET_KERNEL_TYPE;

struct file {
    struct path f_path;
} LIMPET_KERNEL_TYPE;

struct mm_struct {
    struct file *exe_file;
} LIMPET_KERNEL_TYPE;

struct task_struct {
    int pid;
    int tgid;
    struct mm_struct *mm;
    struct css_set *cgroups;
} LIMPET_KERNEL_TYPE;

struct bpf_iter_meta;

/* kernel/bpf/task_iter.c */
struct bpf_iter__task_file {
    struct bpf_iter_meta *meta;
    struct task_struct *task;
    __u32 fd;
    struct file *file;
} LIMPET_KERNEL_TYPE;

/* net/ipv4/tcp_ipv4.c */
struct bpf_iter__tcp {
    struct bpf_iter_meta *meta;
    struct sock_common *sk_common;
} LIMPET_KERNEL_TYPE;
