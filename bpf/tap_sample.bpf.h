/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Which connections are followed from LIMPET_LEVEL_SAMPLED on. Part of the tap's object.
 *
 * A connection is drawn by a hash of its addresses and ports, the same for both directions, both ends and an early segment, and a salt.
 * The agent draws anew every few seconds, so that few long connections do not stand for all for good. A request counts if its
 * connection was drawn when it began: a connection that has left the sample with that is followed until its request is answered.
 * One that pipelines is left at once: there always is a next one. Another level keeps the salt, so that one in four are a part of
 * one in two; who leaves with that is left at once, since limits come first.
 *
 * What passes of others is not seen. So each connection bears the epoch in which it was drawn last (limpet_claim): one that
 * comes in again with a gap begins anew.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "connection_table.bpf.h"
#include "limpet/stats.bpf.h"
#include "limpet/stream.bpf.h"

enum sample_membership {
    MEMBER = 0, /* also where all are followed */
    LEAVING,    /* was one with the salt before */
    OUTSIDER,
};

static __always_inline int is_drawn(__u64 hash, __u32 salt, __u32 level)
{
    __u32 shift = limpet_weight_shift(level);

    hash = (hash ^ (__u64)salt * 0xd6e8feb86659fd93ULL) * 0x9e3779b97f4a7c15ULL;
    hash = (hash ^ hash >> 29) * 0xbf58476d1ce4e5b9ULL;
    return !(hash >> 32 >> (32 - shift));
}

/* `data`: the IP header, `tcp`: the TCP header, both in the packet. This and is_followed are rare: not inline, they do not stand in
 * the way of others. */
static __noinline enum sample_membership membership_of(const __u8 *data, const __u8 *tcp, __u64 control)
{
    __u32 source, destination, ports;
    __u64 hash;

    __builtin_memcpy(&source, data[0] >> 4 == 6 ? data + 20 : data + 12, sizeof(source));
    __builtin_memcpy(&destination, data[0] >> 4 == 6 ? data + 36 : data + 16, sizeof(destination));
    ports = (__u32)(tcp[0] << 8 | tcp[1]) + (__u32)(tcp[2] << 8 | tcp[3]);
    hash = (__u64)(source + destination) << 17 ^ ports;
    if (is_drawn(hash, LIMPET_SALT_IN(control), limpet_level_in(control)))
        return MEMBER;
    return is_drawn(hash, LIMPET_SALT_BEFORE_IN(control), limpet_level_in(control)) ? LEAVING : OUTSIDER;
}

/* True when the connection is followed further. Else it is forgotten: `holder` is the slot that bears its cookie, and may have
 * `connection` as alias. */
static __noinline int is_followed(struct limpet_connection *holder, struct limpet_connection *connection, __u64 cookie,
                                  enum sample_membership membership, __u64 control)
{
    __u8 epoch = LIMPET_EPOCH_IN(control), age = epoch - connection->head.tries;

    if (membership == LEAVING && (__u16)(connection->begun - connection->done) == 1)
        return 1;
    if (membership == MEMBER && age <= 1) {
        if (age)
            connection->head.tries = epoch;
        return 1;
    }
    connection_release(holder, cookie);
    if (connection != holder)
        connection_release(connection, holder_of(connection));
    return 0;
}
