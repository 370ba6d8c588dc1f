/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * BPF maps for parsers that are compiled for user space: arrays, and hashes by linear search, sized as they are declared.
 * Include it behind the probe's source, and list the maps that the probe has:
 *     static struct map maps[] = {FUZZ_ARRAY(queries), FUZZ_HASH(question_numbers)};
 * Queues are empty and full at once: rows are never given back.
 */
#ifndef LIMPET_FUZZ_MAPS_H
#define LIMPET_FUZZ_MAPS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct map {
    const void *declared;
    size_t key_bytes; /* 0: an array */
    size_t value_bytes;
    uint32_t limit;
    uint32_t used; /* elements that may differ from zero */
    unsigned char *keys, *values;
};

#define FUZZ_LIMIT(map) (sizeof(*(map).max_entries) / sizeof(int))
#define FUZZ_ARRAY(map) {.declared = &(map), .value_bytes = sizeof(*(map).value), .limit = FUZZ_LIMIT(map)}
#define FUZZ_HASH(map)                                                                                                 \
    {.declared = &(map), .key_bytes = sizeof(*(map).key), .value_bytes = sizeof(*(map).value), .limit = FUZZ_LIMIT(map)}

static struct map *map_of(const void *declared);

/* Empties a map. */
static void clear_map(struct map *map)
{
    if (!map->values) {
        map->keys = calloc(map->limit, map->key_bytes + 1);
        map->values = calloc(map->limit, map->value_bytes);
    }
    memset(map->values, 0, map->used * map->value_bytes);
    map->used = 0;
}

static void *element_of(struct map *map, uint32_t index)
{
    if (index >= map->limit)
        return NULL;
    if (index >= map->used)
        map->used = index + 1;
    return map->values + index * map->value_bytes;
}

static void *find_in(struct map *map, const void *key)
{
    for (uint32_t i = 0; i < map->used; i++)
        if (!memcmp(map->keys + i * map->key_bytes, key, map->key_bytes))
            return map->values + i * map->value_bytes;
    return NULL;
}

void *bpf_map_lookup_elem(const void *declared, const void *key)
{
    struct map *map = map_of(declared);

    return map->key_bytes ? find_in(map, key) : element_of(map, *(const uint32_t *)key);
}

long bpf_map_update_elem(const void *declared, const void *key, const void *value, __u64 flags)
{
    struct map *map = map_of(declared);
    void *element = find_in(map, key);

    if (element && flags == BPF_NOEXIST)
        return -17; /* EEXIST */
    if (!element) {
        if (map->used == map->limit)
            return -7; /* E2BIG */
        memcpy(map->keys + map->used * map->key_bytes, key, map->key_bytes);
        element = element_of(map, map->used);
    }
    memcpy(element, value, map->value_bytes);
    return 0;
}

long bpf_map_pop_elem(const void *declared, void *value)
{
    (void)declared, (void)value;
    return -2; /* ENOENT */
}

long bpf_map_peek_elem(const void *declared, void *value)
{
    (void)declared, (void)value;
    return -2;
}

long bpf_map_push_elem(const void *declared, const void *value, __u64 flags)
{
    (void)declared, (void)value, (void)flags;
    return -7;
}

#endif
