/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Stands in for libbpf's header of this name when a parser is compiled for user space: helpers are functions of the fuzzer.
 */
#pragma once

#include <stddef.h>

#include <linux/bpf.h>

#define SEC(name)
#define __uint(name, value) int(*name)[value]
#define __type(name, value) typeof(value) *name
#define __array(name, value) typeof(value) *name[]
#define bpf_tail_call_static(context, programs, index) return (programs)->values[index](context)
#define __noinline __attribute__((noinline))
#undef __always_inline
#define __always_inline inline __attribute__((always_inline))

void *bpf_map_lookup_elem(const void *map, const void *key);
long bpf_map_update_elem(const void *map, const void *key, const void *value, __u64 flags);
long bpf_map_delete_elem(const void *map, const void *key);
long bpf_skb_load_bytes(const void *skb, __u32 offset, void *to, __u32 size);
long bpf_probe_read_kernel(void *to, __u32 size, const void *from);
__u64 bpf_ktime_get_ns(void);
__u64 bpf_jiffies64(void);
long bpf_map_pop_elem(const void *map, void *value);
long bpf_map_peek_elem(const void *map, void *value);
long bpf_map_push_elem(const void *map, const void *value, __u64 flags);
long bpf_tail_call(void *context, const void *programs, __u32 index);
__u32 bpf_get_smp_processor_id(void);
void *bpf_sk_storage_get(const void *map, void *socket, void *value, __u64 flags);
struct bpf_sock *bpf_sk_fullsock(struct bpf_sock *socket);
struct bpf_tcp_sock *bpf_tcp_sock(struct bpf_sock *socket);
__u64 bpf_get_current_cgroup_id(void);
__u64 bpf_get_socket_cookie(void *context);
