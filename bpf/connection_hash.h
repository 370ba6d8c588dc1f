/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Where a connection stands in the table, and whom it displaces. Plain C: the same text runs in the kernel and in the
 * test that simulates hosts of 256 CPUs.
 *
 * Cookies are handed out in sequence, in batches of 4,096 per CPU. Runs of 8 stay together, so that connections that were
 * opened together share pages; the runs are spread with a multiplicative hash (Knuth, TAOCP vol. 3, 6.4), since the low bits
 * of batches repeat across CPUs. Longer runs fall on each other as a whole: with runs of 64 and two ways, 100 connections
 * to a deferred listener already displaced each other. Slots of a way stand together, for the pages' sake too.
 */
#ifndef LIMPET_CONNECTION_HASH_H
#define LIMPET_CONNECTION_HASH_H

#include <linux/types.h>

#define CONNECTION_WAYS 4
#define CONNECTION_SET_BITS 12
#define CONNECTION_SETS (1 << CONNECTION_SET_BITS)
#define CONNECTION_RUN_BITS 3

#define CONNECTION_INLINE static inline __attribute__((always_inline))

/* The slot of this cookie in the first way; the other ways are CONNECTION_SETS further on each. */
CONNECTION_INLINE __u32 connection_set(__u64 cookie)
{
    __u64 run = (cookie >> CONNECTION_RUN_BITS) * 0x9e3779b97f4a7c15ULL;

    return (__u32)(run >> (64 - CONNECTION_SET_BITS + CONNECTION_RUN_BITS)) << CONNECTION_RUN_BITS |
           ((__u32)cookie & ((1 << CONNECTION_RUN_BITS) - 1));
}

/* Marks of what a slot holds. A cookie is far from these. */
#define COOKIE_EARLY (1ULL << 63)     /* not a cookie but a hash of addresses and ports, see tap.bpf.c */
#define COOKIE_OPENING (1ULL << 62)   /* another CPU is filling the slot */
#define COOKIE_ON_NOTICE (1ULL << 61) /* see connection_table.bpf.h */

/* Identity of a connection whose socket does not exist yet: local port, remote port and address, host order, and the sequence
 * number of the first byte that the local end will send, which all that it receives until then acknowledges. TCP draws that
 * number for each connection anew (RFC 6528), by a hash of both addresses among others: so it tells apart listeners of one
 * port on several addresses or in several network namespaces, and connections that follow each other from the same port. A
 * product's low bits depend on its factors' low bits alone, which all clients of a listener share; the upper ones are folded
 * in, so that they find every set. */
CONNECTION_INLINE __u64 early_identity(__u32 remote_word, __u16 remote_port, __u16 local_port, __u32 first_sent)
{
    __u64 ports = (__u64)remote_port << 16 | local_port;
    __u64 mixed = ((__u64)remote_word << 32 | ports) * 0x9e3779b97f4a7c15ULL;

    mixed = (mixed ^ mixed >> 32 ^ first_sent) * 0x9e3779b97f4a7c15ULL;
    return mixed >> 3 | COOKIE_EARLY;
}

/* Whose slot goes first when there is need of one. */
enum connection_rank {
    RANK_FREE,
    RANK_ON_NOTICE,
    RANK_IDLE,
    RANK_AT_WORK, /* a request is under way */
    RANK_BARRED,  /* not to be taken at all */
};

/* What of a slot decides whether it is given away. */
struct connection_claim {
    __u64 holder; /* the cookie, with its marks */
    __u32 rank;   /* enum connection_rank */
    __u32 last_used;
};

/* True when slot `a` is given away rather than `b`: by rank, then the one used longest ago. Ages wrap around. */
CONNECTION_INLINE int connection_goes_first(struct connection_claim a, struct connection_claim b)
{
    if (a.rank != b.rank)
        return a.rank < b.rank;
    return (__s16)(a.last_used - b.last_used) < 0;
}

#endif
