/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * What the tcp probe reads of the kernel's structs, beyond limpet/kernel_types.bpf.h, and the errors that connects end with.
 * Flavours of the kernel's own names: CO-RE drops what follows the three underscores.
 */
#pragma once

#include "limpet/kernel_types.bpf.h"

enum {
    TCP_FIN_WAIT1 = 4,
    TCP_FIN_WAIT2 = 5,
    TCP_CLOSE_WAIT = 8,
    TCP_LAST_ACK = 9,
    TCP_CLOSING = 11,
};

/* include/uapi/asm-generic/errno.h */
enum {
    EACCES = 13,
    EPIPE = 32,
    ENOPROTOOPT = 92,
    ENETDOWN = 100,
    ENETUNREACH = 101,
    ECONNRESET = 104,
    ECONNREFUSED = 111,
    EHOSTDOWN = 112,
    EHOSTUNREACH = 113,
};

typedef struct {
    int counter;
} atomic_t;

struct ns_common___tcp {
    unsigned int inum;
} LIMPET_KERNEL_TYPE;

struct net___tcp {
    struct ns_common___tcp ns;
} LIMPET_KERNEL_TYPE;

typedef struct {
    struct net___tcp *net;
} possible_net_t___tcp;

struct sock_common___tcp {
    unsigned long skc_flags;
    possible_net_t___tcp skc_net;
} LIMPET_KERNEL_TYPE;

/* include/uapi/linux/net.h */
typedef enum { SS_UNCONNECTED = 1 } socket_state;

struct socket___tcp {
    socket_state state;
} LIMPET_KERNEL_TYPE;

/* include/net/sock.h */
struct sock___tcp {
    struct sock_common___tcp __sk_common;
    struct socket___tcp *sk_socket;
    atomic_t sk_drops;
    __u32 sk_ack_backlog;
    __u32 sk_max_ack_backlog;
} LIMPET_KERNEL_TYPE;

enum sock_flags { SOCK_DONE = 1 };

struct tcp_options_received___tcp {
    __u16 mss_clamp;
} LIMPET_KERNEL_TYPE;

/* include/linux/tcp.h */
struct tcp_sock {
    __u64 bytes_received; /* in order; a FIN counts as one */
    __u64 bytes_sent;     /* payload, what was sent again included */
    __u64 bytes_retrans;
    __u64 bytes_acked; /* SYN and FIN count as one each */
    struct tcp_options_received___tcp rx_opt;
    __u32 total_retrans;
    __u32 srtt_us; /* times 8 */
    __u32 snd_una;
    __u32 snd_nxt;
    __u32 write_seq;
} LIMPET_KERNEL_TYPE;

/* net/mptcp/protocol.h: the TCP socket inside that listens, or that came first. */
struct mptcp_sock {
    struct sock *first;
} LIMPET_KERNEL_TYPE;
