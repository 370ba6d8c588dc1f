/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The line reader: first lines (http_first_lines.bpf.h), header fields, chunk sizes and trailers of HTTP/1 (RFC 9112), resumable
 * at any byte.
 *
 * One state machine defines the meaning, byte by byte (read_lines); whatever else stands here are shortcuts that come to the
 * same: lines that do not matter are skipped by words of eight bytes, and common methods and names are compared as words.
 * http_scan.bpf.h has the shortcut for whole heads. It reads a window that has been copied from the segment; the bytes
 * behind its end are 0. No maps, no helpers: plain C.
 */
#pragma once

#include "http_first_lines.bpf.h"

static __always_inline void found_length(struct reader *reader, struct http_half *half)
{
    half->flags |= HALF_HAS_LENGTH;
    half->body_left = 0;
    half->line = LENGTH_VALUE;
}

/* One more character of a name that is being compared. */
static __always_inline void match_name(struct reader *reader, struct http_half *half, __u8 byte)
{
    __u32 index = half->line & LINE_CHARACTERS;
    int is_length = (half->line & LINE_WORD) == LENGTH_NAME;
    char expected = is_length ? character_of(kLengthName, index, 15) : character_of(kCodingName, index, 31);

    if ((byte | 0x20) != expected) {
        half->line = LINE_REST; /* looks at the same byte again: it may be the line's end */
        return;
    }
    reader->at++;
    if (index + 1 == (is_length ? LENGTH_NAME_CHARACTERS : CODING_NAME_CHARACTERS)) {
        if (is_length)
            found_length(reader, half);
        else
            half->line = CODING_VALUE;
    } else {
        half->line++;
    }
}

/* The first byte of a header line, and as many more as are known to matter no more. */
static __always_inline void begin_field(struct reader *reader, struct http_half *half)
{
    const __u8 *bytes = next_bytes(reader);
    __u32 left = reader->size - reader->at;
    __u8 letter = bytes[0] | 0x20;

    if (letter == 'c' && left >= 16) {
        /* "content-" "length:" */
        if (BEGINS_WITH(word_at(bytes + 8) | BYTES_OF(0x20), 0x3a6874676e656cULL, 56) &&
            (word_at(bytes) | BYTES_OF(0x20)) == 0x2d746e65746e6f63ULL) {
            found_length(reader, half);
            reader->at += LENGTH_NAME_CHARACTERS;
            return;
        }
        half->line = LINE_REST;
    } else if (letter == 'c') {
        half->line = LENGTH_NAME + 1;
    } else if (letter == 't') {
        half->line = CODING_NAME + 1;
    } else {
        half->line = bytes[0] == '\r' ? LINE_BLANK : LINE_REST;
    }
    reader->at++;
}

static __always_inline void read_length_value(struct reader *reader, struct http_half *half, __u8 byte)
{
    __u8 digit = byte - '0';

    if (digit <= 9) {
        if (half->body_left < 1ULL << 60) /* no body is longer: stops the number, not the body */
            half->body_left = half->body_left * 10 + digit;
        reader->at++;
    } else if (byte == ' ' || byte == '\t') {
        reader->at++;
    } else {
        half->line = LINE_REST;
    }
}

static __always_inline void read_coding_value(struct reader *reader, struct http_half *half, __u8 byte)
{
    if (byte == ' ' || byte == '\t') {
        reader->at++;
        return;
    }
    if ((byte | 0x20) != 'i') /* "identity", of the older RFC 2616, is no coding */
        half->flags |= HALF_IS_CHUNKED;
    half->line = LINE_REST;
}

/* Header fields, and trailers: the same but for what ends with them. */
static __always_inline void read_field(struct reader *reader, struct http_half *half)
{
    __u8 byte = next_bytes(reader)[0];

    if (byte == '\n' && (half->line == LINE_START || half->line == LINE_BLANK)) {
        reader->at++;
        reader->reading = half->state == STATE_HEADERS ? READING_HEAD_ENDED : READING_BODY_ENDED;
    } else if (half->line == LINE_START) {
        begin_field(reader, half);
    } else if (half->line == LENGTH_VALUE) {
        read_length_value(reader, half, byte);
    } else if (half->line == CODING_VALUE) {
        read_coding_value(reader, half, byte);
    } else if (half->line >= LENGTH_NAME) {
        match_name(reader, half, byte);
    } else {
        half->line = LINE_REST;
    }
}

static __always_inline void read_chunk_size(struct reader *reader, struct http_half *half)
{
    __u8 byte = next_bytes(reader)[0];
    __u8 digit = byte - '0', letter = (byte | 0x20) - 'a';

    if (half->line == CHUNK_BREAK) {
        if (byte == '\n') {
            half->line = LINE_START;
            half->body_left = 0;
        } else if (byte != '\r') {
            reader->reading = READING_FAILED;
        }
        reader->at++;
        return;
    }
    if (digit > 9 && letter > 5) {
        if (half->line == LINE_START)
            reader->reading = READING_FAILED;
        half->line = LINE_REST; /* an extension, or the line's end */
        return;
    }
    if (half->body_left < 1ULL << 56)
        half->body_left = half->body_left << 4 | (digit > 9 ? letter + 10 : digit);
    half->line = CHUNK_DIGITS;
    reader->at++;
}

/* Behind the line feed of a chunk's size: passes over what of the chunk stands in the window. */
static __always_inline void begin_chunk(struct reader *reader, struct http_half *half)
{
    __u32 left = reader->size > reader->at ? reader->size - reader->at : 0;

    if (!half->body_left) {
        half->state = STATE_TRAILERS;
    } else if (half->body_left <= left) {
        reader->at += (__u32)half->body_left;
        reader->in_chunks += (__u16)half->body_left;
        half->line = CHUNK_BREAK;
    } else {
        half->body_left -= left;
        reader->in_chunks += (__u16)left;
        reader->at = reader->size;
        half->state = STATE_CHUNK_DATA;
    }
}

/* The line feed of a line has been read. */
static __always_inline void end_line(struct reader *reader, struct http_half *half)
{
    half->line = LINE_START;
    if (half->state == STATE_CHUNK_SIZE)
        begin_chunk(reader, half);
    else if (half->state != STATE_TRAILERS)
        half->state = STATE_HEADERS;
}

/* In a line whose rest does not matter: skips to its end, a word at a time. */
static __always_inline void skip_line(struct reader *reader, struct http_half *half)
{
    __u32 at = reader->at, size = reader->size;
    __u64 breaks = 0;

    for (__u32 word = 0; word <= WINDOW_BYTES / 8 && at < size; word++) {
        breaks = equal_bytes(word_at(reader->window + (at & (WINDOW_BYTES - 1))), '\n');
        if (breaks)
            break;
        at += 8;
    }
    at = breaks ? at + first_marked(breaks) : size;
    if (half->state == STATE_REQUEST_LINE)
        half->body_left = last_bytes(half->body_left, reader->window, at);
    reader->at = at;
    if (!breaks)
        return;
    reader->at++;
    if (half->state == STATE_REQUEST_LINE) {
        if (!ends_request_line(half->body_left)) {
            end_foreign_line(reader, half);
            return;
        }
        half->method = half->method == METHOD_PROXY ? METHOD_OTHER : half->method;
        reader->has_request = 1;
    }
    end_line(reader, half);
}

/* One step: the piece of a line that the state calls for, and the rest of the line where that does not matter.
 * REQUIRES: reader->at < reader->size. Not static, and the place is kept in memory: so the verifier looks at a step once,
 * instead of following every path through every sequence of steps. */
__noinline int read_step(struct reader *reader, struct http_half *half)
{
    if (!reader || !half)
        return 0;
    if (half->line != LINE_REST) {
        if (half->state == STATE_HEADERS || half->state == STATE_TRAILERS)
            read_field(reader, half);
        else if (half->state == STATE_REQUEST_LINE && half->line >= PROXY_HEADER)
            read_proxy_header(reader, half);
        else if (half->state == STATE_REQUEST_LINE)
            read_request_line(reader, half);
        else if (half->state == STATE_STATUS_LINE)
            read_status_line(reader, half);
        else
            read_chunk_size(reader, half);
    }
    if (half->line == LINE_REST && !reader->reading)
        skip_line(reader, half);
    return 0;
}

/* Reads until the window is used up, the head or the body ends, or the bytes turn out not to be HTTP/1.
 * Moves half->state and half->line; `reader->at` bytes are consumed. */
static __always_inline void read_lines(struct reader *reader, struct http_half *half)
{
    for (__u32 step = 0; step < WINDOW_BYTES && reader->at < reader->size && !reader->reading; step++)
        read_step(reader, half);
    if (reader->at > reader->size)
        reader->at = reader->size;
}
