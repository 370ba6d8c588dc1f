/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * What the agent remembers of each socket. Probes read it through limpet/sockets.bpf.h.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define LIMPET_SOCKET_CONNECTS 1 /* a client's: it has called connect() */

/* What the agent remembers of a socket; a value begins with these members. */
struct limpet_socket {
    __u32 workload;
    __u32 slot_plus_one; /* 0 until the tap has seen payload */
    __u32 generation;
    __u32 flags;
};

struct {
    __uint(type, BPF_MAP_TYPE_SK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
    __type(key, int);
    __type(value, struct limpet_socket);
} limpet_sockets SEC(".maps"); /* shared by the agent */
