/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The kernel as the http probe sees it when it is compiled for user space: maps, helpers and one connection. Included once,
 * behind the probe's source.
 */
#ifndef LIMPET_FUZZ_HTTP_KERNEL_H
#define LIMPET_FUZZ_HTTP_KERNEL_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADERS_BYTES 40
#define KEYS_AT_MOST 64
#define TICK_NS 1000

static struct limpet_connection slot;
static struct http_stash stashes[STASHES];
static struct limpet_stats stats;
static struct limpet_socket owner = {.slot_plus_one = 1};
static struct bpf_sock socket_of_packet = {.state = TCP_ESTABLISHED};
static struct bpf_tcp_sock tcp;
static const char *packet;
static uint32_t packet_bytes;
static uint64_t now_ns, declines;

/* A hash of the series tables, by linear search. */
struct index {
    unsigned char keys[KEYS_AT_MOST][32];
    __u32 rows[KEYS_AT_MOST];
    uint32_t used;
};
static struct index server_index, client_index, server_sizes_index, client_sizes_index, routes, bodies;
static __u64 bytes_of_bodies[KEYS_AT_MOST];
static struct route_text route_texts_of[ROUTES];
static struct workload_routes workload_routes;
static struct split_target split_target;
static int has_split_target;
static struct http_server_key_slot server_keys[KEYS_AT_MOST + 1];
static struct http_client_key_slot client_keys[KEYS_AT_MOST + 1];
static struct server_row server_rows[KEYS_AT_MOST + 1];
static struct client_row client_rows[KEYS_AT_MOST + 1];
static struct http_server_sizes_key_slot server_sizes_keys[KEYS_AT_MOST + 1];
static struct http_client_sizes_key_slot client_sizes_keys[KEYS_AT_MOST + 1];
static struct server_sizes_row server_sizes_rows[KEYS_AT_MOST + 1];
static struct client_sizes_row client_sizes_rows[KEYS_AT_MOST + 1];

static void fail(const char *what, uint64_t is, uint64_t bound)
{
    fprintf(stderr, "the parser %s: %llu, bound %llu\n", what, (unsigned long long)is, (unsigned long long)bound);
    abort();
}

static void *find_in(struct index *index, const void *key, size_t size)
{
    for (uint32_t i = 0; i < index->used; i++)
        if (!memcmp(index->keys[i], key, size))
            return &index->rows[i];
    return NULL;
}

static __u64 *find_body(const void *key)
{
    __u32 *place = find_in(&bodies, key, sizeof(struct pipelined_body));

    return place ? &bytes_of_bodies[place - bodies.rows] : NULL;
}

/* More than these the map has room for; what is given up is not taken out. */
static long keep_body_of(const void *key, const __u64 *bytes)
{
    __u64 *place = find_body(key);

    if (!place && bodies.used == KEYS_AT_MOST)
        return -7;
    if (!place) {
        memcpy(bodies.keys[bodies.used], key, sizeof(struct pipelined_body));
        place = &bytes_of_bodies[bodies.used++];
    }
    *place = *bytes;
    return 0;
}

/* The hash that a map stands for, and the size of its keys. */
static struct index *index_of(const void *map, size_t *size)
{
    *size = map == &route_numbers ? sizeof(__u64) : map == &http_client_index ? sizeof(struct client_key) : 8;
    return map == &route_numbers             ? &routes
           : map == &http_server_index       ? &server_index
           : map == &http_client_index       ? &client_index
           : map == &http_server_sizes_index ? &server_sizes_index
                                             : &client_sizes_index;
}

void *bpf_map_lookup_elem(const void *map, const void *key)
{
    __u32 number = *(const __u32 *)key;

    if (map == &limpet_connections)
        return number ? NULL : &slot;
    if (map == &limpet_stats)
        return number ? NULL : &stats;
    if (map == &http_stashes)
        return number < STASHES ? &stashes[number] : NULL;
    if (map == &route_texts)
        return number < ROUTES ? &route_texts_of[number] : NULL;
    if (map == &routes_of_workloads)
        return &workload_routes;
    if (map == &split_targets)
        return has_split_target ? &split_target : NULL;
    if (map == &route_numbers)
        return find_in(&routes, key, sizeof(__u64));
    if (map == &http_server_index)
        return find_in(&server_index, key, sizeof(struct server_key));
    if (map == &http_client_index)
        return find_in(&client_index, key, sizeof(struct client_key));
    if (map == &http_server_sizes_index)
        return find_in(&server_sizes_index, key, sizeof(struct sizes_key));
    if (map == &http_client_sizes_index)
        return find_in(&client_sizes_index, key, sizeof(struct sizes_key));
    if (map == &pipelined_bodies)
        return find_body(key);
    if (number > KEYS_AT_MOST)
        return NULL;
    if (map == &http_server_sizes_keys)
        return &server_sizes_keys[number];
    if (map == &http_client_sizes_keys)
        return &client_sizes_keys[number];
    if (map == &http_server_sizes_rows)
        return &server_sizes_rows[number];
    if (map == &http_client_sizes_rows)
        return &client_sizes_rows[number];
    if (map == &http_server_keys)
        return &server_keys[number];
    if (map == &http_client_keys)
        return &client_keys[number];
    return map == &http_server_rows ? (void *)&server_rows[number] : (void *)&client_rows[number];
}

long bpf_map_update_elem(const void *map, const void *key, const void *value, __u64 flags)
{
    struct index *index;
    size_t size;

    (void)flags;
    if (map == &pipelined_bodies)
        return keep_body_of(key, value);
    if (map == &split_targets) {
        memcpy(&split_target, value, sizeof(split_target));
        has_split_target = 1;
        return 0;
    }
    index = index_of(map, &size);
    if (index->used == KEYS_AT_MOST)
        return -1;
    memcpy(index->keys[index->used], key, size);
    index->rows[index->used++] = *(const __u32 *)value;
    return 0;
}

long bpf_map_delete_elem(const void *map, const void *key)
{
    __u64 *body = map == &pipelined_bodies ? find_body(key) : NULL;

    if (map == &split_targets)
        has_split_target = 0;
    if (body)
        memset(bodies.keys[body - bytes_of_bodies], 0xff, sizeof(bodies.keys[0]));
    return 0;
}

/* Rows are never given back. */
long bpf_map_pop_elem(const void *map, void *value)
{
    (void)map, (void)value;
    return -2;
}

long bpf_map_peek_elem(const void *map, void *value)
{
    (void)map, (void)value;
    return -2;
}

long bpf_map_push_elem(const void *map, const void *value, __u64 flags)
{
    (void)map, (void)value, (void)flags;
    return -7;
}

long bpf_skb_load_bytes(const void *skb, __u32 offset, void *to, __u32 size)
{
    (void)skb;
    if (offset < HEADERS_BYTES || (uint64_t)offset + size > HEADERS_BYTES + packet_bytes) {
        memset(to, 0, size);
        return -14;
    }
    memcpy(to, packet + offset - HEADERS_BYTES, size);
    return 0;
}

long bpf_probe_read_kernel(void *to, __u32 size, const void *from)
{
    memcpy(to, from, size);
    return 0;
}

__u64 bpf_ktime_get_ns(void)
{
    return now_ns += TICK_NS;
}

__u64 bpf_jiffies64(void)
{
    return 1;
}

long bpf_tail_call(void *context, const void *programs, __u32 index)
{
    (void)context, (void)programs, (void)index;
    declines++; /* there is no other parser */
    return -1;
}

__u32 bpf_get_smp_processor_id(void)
{
    return 0;
}

void *bpf_sk_storage_get(const void *map, void *sk, void *value, __u64 flags)
{
    (void)map, (void)sk, (void)value, (void)flags;
    return &owner;
}

struct bpf_sock *bpf_sk_fullsock(struct bpf_sock *sk)
{
    return sk;
}

struct bpf_tcp_sock *bpf_tcp_sock(struct bpf_sock *sk)
{
    (void)sk;
    return &tcp;
}

#endif
