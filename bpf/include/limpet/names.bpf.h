/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Names behind addresses: what one probe has learned (dns: the name that an answer was asked for) and others may show.
 *
 * One map for all probes, owned by the agent; the 2,048 addresses that were learned or looked up last stay. The newest
 * name of an address wins. User space asks with limpet_host.name_of.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define LIMPET_NAME_BYTES 128 /* with the 0 behind it; longer names are not offered */

struct limpet_ip {
    __u8 bytes[16]; /* IPv4 as ::ffff:a.b.c.d */
};

struct limpet_name {
    char text[LIMPET_NAME_BYTES]; /* 0 behind the last character, up to the end */
};

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 2048);
    __type(key, struct limpet_ip);
    __type(value, struct limpet_name);
} limpet_names SEC(".maps"); /* shared by the agent */

/* The name behind an address; NULL when none is known. Valid until the program ends; another CPU may be renewing it. */
static __always_inline const struct limpet_name *limpet_name_of(const struct limpet_ip *address)
{
    return bpf_map_lookup_elem(&limpet_names, address);
}

/* Remembers the name; writes only where it is news. `name` aligned to 8. */
static __always_inline void limpet_offer_name(const struct limpet_ip *address, const struct limpet_name *name)
{
    const __u64 *known = bpf_map_lookup_elem(&limpet_names, address);
    const __u64 *offered = (const void *)name;
    __u64 difference = !known;

    for (int i = 0; known && i < LIMPET_NAME_BYTES / 8; i++)
        difference |= known[i] ^ offered[i];
    if (difference)
        bpf_map_update_elem(&limpet_names, address, name, BPF_ANY);
}
