/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Segments that came before bytes in front of them, kept until those have come: so a connection on a bad link is read to the
 * last byte. A direction takes a stash when a hole opens and gives it back when all holes are filled; there are few, for
 * connections in trouble are few. What finds no room in one is noted as a range and passed over unread, see
 * http_order.bpf.h.
 *
 * A stash is in use as long as the connection that owns it points back at it. Nobody gives back what a connection held that
 * has ended or lost its slot: the next one who looks sees that nobody points there.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "http_outcome.bpf.h"
#include "http_shared.h"
#include "limpet/stream.bpf.h"

#define STASHES 64
#define STASH_PROBES 8
#define PIECES 16
#define PIECE_BYTES 1536         /* a packet of Ethernet's size */
#define PIECE_IS_BODY (1U << 31) /* in `length`: lies inside a body, need not be read and is not kept */
#define UNREAD_BYTES 0xffff      /* run->stash of such a piece */

struct http_piece {
    __u32 from;   /* sequence number of its first byte */
    __u32 length; /* and PIECE_IS_BODY; 0: none */
};

struct http_stash {
    __u32 owner; /* direction of a connection: slot << 1 | enum http_direction, plus 1; 0: nobody's yet */
    __u32 padding;
    struct http_piece pieces[PIECES];
    __u8 bytes[PIECES * PIECE_BYTES]; /* PIECE_BYTES each */
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, STASHES);
    __type(key, __u32);
    __type(value, struct http_stash);
} http_stashes SEC(".maps");

/* a - b in sequence space (RFC 9293, 3.4): negative when a is before b. */
static __always_inline __s32 sequence_distance(__u32 a, __u32 b)
{
    return (__s32)(a - b);
}

static __always_inline __u32 length_of(const struct http_piece *piece)
{
    return piece->length & ~PIECE_IS_BODY;
}

static __always_inline struct http_stash *stash_at(__u32 number)
{
    return bpf_map_lookup_elem(&http_stashes, &number);
}

static __always_inline int is_in_use(const struct http_stash *stash, __u32 number)
{
    __u32 owner = stash->owner - 1;
    struct http_connection *connection = stash->owner ? (void *)limpet_connection_at(owner >> 1) : NULL;

    return connection && connection->head.cookie && connection->order[owner & 1].stash_plus_one == number + 1;
}

/* The stash of a direction; NULL: it has none, or not any more. */
static __always_inline struct http_stash *stash_of(const struct http_order *order, __u32 owner)
{
    struct http_stash *stash = order->stash_plus_one ? stash_at(order->stash_plus_one - 1U) : NULL;

    return stash && stash->owner == owner ? stash : NULL;
}

/* Takes a stash that nobody uses. Returns 0 where there is none in reach. Points at it before it owns it, lest another one takes it as well. */
__noinline int take_stash(struct http_order *order, __u32 owner)
{
    if (!order)
        return 0;
    for (__u32 probe = 0; probe < STASH_PROBES; probe++) {
        __u32 number = (owner * 0x9e3779b9U >> 16) + probe & (STASHES - 1);
        struct http_stash *stash = stash_at(number);
        __u32 before;

        if (!stash || is_in_use(stash, number))
            continue;
        before = stash->owner;
        order->stash_plus_one = (__u16)(number + 1);
        if (__sync_val_compare_and_swap(&stash->owner, before, owner) == before) {
            __builtin_memset(stash->pieces, 0, sizeof(stash->pieces));
            return 1;
        }
        order->stash_plus_one = 0;
    }
    return 0;
}

/* A place for one more piece: one that is empty, or lies in front of `next_sequence`. PIECES: none. Not static, as are other
 * functions here: the verifier looks at it once, instead of once per path that leads to it. */
__noinline int free_piece(struct http_stash *stash, __u32 next_sequence)
{
    if (!stash)
        return PIECES;
    for (__u32 i = 0; i < PIECES; i++) {
        const struct http_piece *piece = &stash->pieces[i];

        if (!piece->length || sequence_distance(piece->from + length_of(piece), next_sequence) <= 0)
            return i;
    }
    return PIECES;
}

/* Bytes [from, from + length) lie inside a body. Joins them to what they touch. Returns 0 when there is no room. */
__noinline int stash_body(struct http_stash *stash, __u32 next_sequence, __u32 from, __u32 length)
{
    struct http_piece *piece;
    __u32 place;

    if (!stash)
        return 0;
    for (__u32 i = 0; i < PIECES; i++) {
        piece = &stash->pieces[i];
        if (piece->length & PIECE_IS_BODY && piece->from + length_of(piece) == from) {
            piece->length += length;
            return 1;
        }
    }
    place = free_piece(stash, next_sequence);
    if (place >= PIECES)
        return 0;
    piece = &stash->pieces[place];
    piece->from = from;
    piece->length = length | PIECE_IS_BODY;
    return 1;
}

/* Keeps up to PIECE_BYTES of the packet. Returns 0 when there is no room. */
static __always_inline int stash_bytes(struct __sk_buff *skb, struct http_stash *stash, __u32 next_sequence, __u32 from,
                                       __u32 offset, __u32 length)
{
    __u32 place = free_piece(stash, next_sequence);

    if (place >= PIECES)
        return 0;
    asm volatile("" : "+r"(length));
    length = (length - 1 & 0x7ff) + 1; /* changes nothing; tells the verifier that it is not 0 */
    if (length > PIECE_BYTES || bpf_skb_load_bytes(skb, offset, stash->bytes + place * PIECE_BYTES, length))
        return 0;
    stash->pieces[place].from = from;
    stash->pieces[place].length = length;
    return 1;
}

/* True when a stash holds all bytes of [from, to) already in one piece, as with a segment that comes twice. */
__noinline int is_stashed(struct http_stash *stash, __u32 from, __u32 to)
{
    if (!stash)
        return 0;
    for (__u32 i = 0; i < PIECES; i++) {
        const struct http_piece *piece = &stash->pieces[i];

        if (piece->length && sequence_distance(from, piece->from) >= 0 &&
            sequence_distance(to, piece->from + length_of(piece)) <= 0)
            return 1;
    }
    return 0;
}

/* Every byte of the segment lies inside a body of this direction, which is passed over unread. */
static __always_inline int lies_in_body(const struct http_half *half, const struct limpet_segment *segment)
{
    __u32 reach = segment->sequence + segment->length - half->next_sequence;

    return half->state == STATE_UNTIL_CLOSE ||
           ((half->state == STATE_BODY || half->state == STATE_CHUNK_DATA) && half->body_left >= reach);
}

/* Keeps a segment that came early. Returns 0 when it could not. Not static: the verifier looks at it once. */
__noinline int stash_segment(struct __sk_buff *skb, struct http_connection *connection, __u32 direction)
{
    struct limpet_segment segment = limpet_segment_of(skb);
    struct http_half *half;
    struct http_order *order;
    struct http_stash *stash;
    __u32 owner = (segment.slot << 1 | (direction & 1)) + 1;

    if (!connection)
        return 0;
    half = &connection->halves[direction & 1];
    order = &connection->order[direction & 1];
    stash = stash_of(order, owner);
    if (!stash && take_stash(order, owner))
        stash = stash_of(order, owner);
    if (!stash)
        return 0;
    if (is_stashed(stash, segment.sequence, segment.sequence + segment.length))
        return 1;
    if (lies_in_body(half, &segment))
        return stash_body(stash, half->next_sequence, segment.sequence, segment.length);
    for (__u32 i = 0, done = 0; i < PIECES; i++, done += PIECE_BYTES) {
        __u32 left = segment.length - done;

        if (done >= segment.length)
            return 1;
        if (!stash_bytes(skb, stash, half->next_sequence, segment.sequence + done, segment.offset + done,
                         left < PIECE_BYTES ? left : PIECE_BYTES))
            return 0;
    }
    return 0;
}

/* The next bytes of this direction come from its stash: sets `run` on them. Returns 0 when they have not come yet; a stash
 * that holds nothing any more is given back. Not static, as stash_segment. */
__noinline int read_stashed(struct http_connection *connection, struct run *run, __u32 slot)
{
    struct http_half *half;
    struct http_order *order;
    struct http_stash *stash;
    __u32 is_needed = 0;

    if (!connection || !run)
        return 0;
    half = &connection->halves[run->direction & 1];
    order = &connection->order[run->direction & 1];
    stash = stash_of(order, (slot << 1 | (run->direction & 1)) + 1);
    for (__u32 i = 0; stash && i < PIECES; i++) {
        const struct http_piece *piece = &stash->pieces[i];
        __u32 to = piece->from + length_of(piece), passed = half->next_sequence - piece->from;

        if (!piece->length || sequence_distance(to, half->next_sequence) <= 0)
            continue;
        is_needed = 1;
        if (sequence_distance(half->next_sequence, piece->from) < 0)
            continue;
        run->stash = piece->length & PIECE_IS_BODY ? UNREAD_BYTES : order->stash_plus_one;
        run->position = i * PIECE_BYTES + passed;
        run->end = run->position + (to - half->next_sequence);
        run->end_sequence = to;
        return 1;
    }
    if (!is_needed)
        order->stash_plus_one = 0;
    return 0;
}

/* As bpf_skb_load_bytes, from the stash that run->stash names. */
static __always_inline long load_stashed(const struct run *run, void *to, __u32 position, __u32 size)
{
    struct http_stash *stash = run->stash == UNREAD_BYTES ? NULL : stash_at(run->stash - 1U);

    if (!stash || position > sizeof(stash->bytes) - size)
        return -1;
    return bpf_probe_read_kernel(to, size, stash->bytes + position);
}
