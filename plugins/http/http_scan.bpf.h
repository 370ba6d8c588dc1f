/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Shortcuts for heads that stand whole in the segment. Both come to the same as read_lines.
 *
 * scan_head goes through the words of a head once and stops at line feeds only; where it is in doubt it undoes what it did
 * and leaves the window to read_lines. hash_of_head tells whether a head is the same, byte for byte, as the one before it in
 * its direction, as most are on a busy connection: then nothing has to be looked for at all.
 */
#pragma once

#include "http_lines.bpf.h"
#include "http_templates.h"

/* Bytes at the window's end that are read again in the next window: a whole Content-Length line fits in. */
#define SCAN_OVERLAP WINDOW_SLACK

/* Content-Length's value, behind the colon. Returns 0 when its end is not in sight. */
static __always_inline int scan_length(struct http_half *half, const __u8 *bytes)
{
    __u64 length = 0;
    __u8 digit;

    for (__u32 i = 0; i < SCAN_OVERLAP - LENGTH_NAME_CHARACTERS - 8; i++) {
        digit = bytes[i] - '0';
        if (digit <= 9)
            length = length * 10 + digit;
        else if (bytes[i] == '\r')
            return half->body_left = length, half->flags |= HALF_HAS_LENGTH, 1;
        else if (bytes[i] != ' ' || length)
            return 0;
    }
    return 0;
}

/* A line that begins with C or T, at `bytes`. Returns 0 in doubt. */
static __always_inline int scan_field(struct http_half *half, const __u8 *bytes)
{
    __u64 word = word_at(bytes) | BYTES_OF(0x20);

    if (word == 0x2d746e65746e6f63ULL && /* "content-" "length:" */
        BEGINS_WITH(word_at(bytes + 8) | BYTES_OF(0x20), 0x3a6874676e656cULL, 56))
        return scan_length(half, bytes + LENGTH_NAME_CHARACTERS);
    if (word != 0x726566736e617274ULL || /* "transfer" "-encodin" "g:" */
        (word_at(bytes + 8) | BYTES_OF(0x20)) != 0x6e69646f636e652dULL || (bytes[16] | 0x20) != 'g' || bytes[17] != ':')
        return 1;
    if (bytes[18] != ' ' || (bytes[19] | 0x20) != 'c')
        return 0;
    half->flags |= HALF_IS_CHUNKED;
    return 1;
}

/* The first line of a message in a connection that has shown to be HTTP/1: takes what counts of it. Returns 0 in doubt. */
static __always_inline int scan_first_line(struct reader *reader, struct http_half *half)
{
    __u32 length;

    if (half->state == STATE_STATUS_LINE)
        return take_status_at_once(reader, reader->window);
    length = common_method(word_at(reader->window), &half->method);
    reader->target = (__u16)length;
    return !!length;
}

/* True when the line in front of the window's byte `next_line` ends like an HTTP/1 request line. */
static __always_inline int is_request_line(const __u8 *window, __u32 next_line)
{
    asm volatile("" : "+r"(next_line));
    return next_line > 8 &&
           ends_request_line(bpf_be64_to_cpu(word_at(window + ((next_line - 9) & (WINDOW_BYTES - 1)))));
}

/* True where scan_head may be tried: at the start of a message, or in a line of its head that does not matter. */
static __always_inline int can_scan(const struct http_half *half)
{
    if (half->state == STATE_HEADERS)
        return half->line == LINE_REST;
    return half->state <= STATE_STATUS_LINE && half->line == LINE_START && half->flags & HALF_IS_CONFIRMED;
}

/* What scan_head has read. */
enum scanned {
    SCANNED_NOTHING = 0, /* with nothing changed: the window is for read_lines */
    SCANNED_PART,
    SCANNED_HEAD, /* a whole one, from its first byte on */
};

/* Reads the window from its start. Returns enum scanned. */
__noinline int scan_head(struct reader *reader, struct http_half *half)
{
    __u64 breaks, body_left;
    __u32 at, start = 0, size;
    __u8 flags, letter, state;

    if (!reader || !half)
        return SCANNED_NOTHING;
    state = half->state;
    flags = half->flags;
    body_left = half->body_left;
    size = reader->size;
    if (state != STATE_HEADERS && !scan_first_line(reader, half))
        return SCANNED_NOTHING;
    for (at = 0; at < WINDOW_BYTES; at += 8) {
        if (at >= size)
            goto in_doubt; /* the segment ends inside the head */
        breaks = equal_bytes(word_at(reader->window + at), '\n');
        if (!breaks)
            continue;
        start = at + first_marked(breaks) + 1;
        asm volatile("" : "+r"(start));
        if (start > WINDOW_BYTES)
            goto in_doubt;
        if (!reader->second_line)
            reader->second_line = start;
        letter = reader->window[start] | 0x20;
        if (letter == ('\r' | 0x20) && reader->window[start + 1] == '\n')
            break;
        if (letter <= ('\r' | 0x20) || breaks & (breaks - 1)) /* a line of less than eight bytes, or a bare line feed */
            goto in_doubt;
        if ((letter == 'c' || letter == 't') && !scan_field(half, reader->window + start))
            goto in_doubt;
    }
    if (half->state == STATE_REQUEST_LINE && !is_request_line(reader->window, reader->second_line))
        goto in_doubt;
    reader->has_request = half->state == STATE_REQUEST_LINE;
    if (at < WINDOW_BYTES) {
        reader->at = start + 2;
        reader->reading = READING_HEAD_ENDED;
    } else {
        reader->at = WINDOW_BYTES - SCAN_OVERLAP;
        half->line = LINE_REST;
    }
    half->state = STATE_HEADERS;
    return state != STATE_HEADERS && reader->reading == READING_HEAD_ENDED ? SCANNED_HEAD : SCANNED_PART;

in_doubt:
    half->flags = flags;
    half->body_left = body_left;
    return SCANNED_NOTHING;
}

#define HASH_STRIDE 32

/* Hash of a window's first `size` bytes, in four lanes for the sake of speed. The bytes behind them must be 0 up to the next
 * multiple of HASH_STRIDE; they are `limit` at most. An accident is a matter of 2^-64; who makes one on purpose miscounts
 * requests of its own. */
static __always_inline __u64 hash_of_head(const __u8 *window, __u32 size, const __u32 limit)
{
    __u64 lanes[4] = {size};

    for (__u32 at = 0; at < limit && at < size; at += HASH_STRIDE) {
        lanes[0] = mix(lanes[0], word_at(window + at));
        lanes[1] = mix(lanes[1], word_at(window + at + 8));
        lanes[2] = mix(lanes[2], word_at(window + at + 16));
        lanes[3] = mix(lanes[3], word_at(window + at + 24));
    }
    return mix(mix(lanes[0], lanes[1]), mix(lanes[2], lanes[3]));
}
