/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The line reader: first lines, header fields, chunk sizes and trailers of HTTP/1 (RFC 9112), resumable at any byte.
 *
 * One state machine defines the meaning, byte by byte (read_lines); whatever else stands here are shortcuts that come to the
 * same: lines that do not matter are skipped by words of eight bytes, and common methods and names are compared as words.
 * http_scan.bpf.h has the shortcut for whole heads. It reads a window that has been copied from the segment; the bytes
 * behind its end are 0. No maps, no helpers: plain C.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "http_shared.h"
#include "http_words.bpf.h"

#define WINDOW_BYTES 256
#define WINDOW_SLACK 40 /* words and numbers are read behind the end */

enum reading {
    READING_GOES_ON = 0, /* the window is used up */
    READING_HEAD_ENDED,  /* an empty line ended the head */
    READING_BODY_ENDED,  /* an empty line ended the last chunk and its trailers */
    READING_FAILED,      /* the bytes cannot be HTTP/1 */
};

/* The reader's place in the window, which it owns. A request line that is whole is reported in `has_request`, for the
 * caller to queue. */
struct reader {
    __u32 at;
    __u32 size; /* at most WINDOW_BYTES */
    __u8 has_request;
    __u8 reading; /* enum reading */
    __u8 padding[6];
    __u8 window[WINDOW_BYTES + WINDOW_SLACK];
};

/* The byte at the reader's place, and those behind it. The masks change nothing; they tell the verifier. */
static __always_inline const __u8 *next_bytes(const struct reader *reader)
{
    __u32 at = reader->at;

    asm volatile("" : "+r"(at));
    return reader->window + (at & (WINDOW_BYTES - 1));
}

/* `last` with the bytes of the window in front of `at` behind it; first byte uppermost, the oldest fall off. */
static __always_inline __u64 last_bytes(__u64 last, const __u8 *window, __u32 at)
{
    if (at >= 8)
        return bpf_be64_to_cpu(word_at(window + ((at - 8) & (WINDOW_BYTES - 1))));
    for (__u32 i = 0; i < 7; i++)
        if (i < at)
            last = last << 8 | window[i];
    return last;
}

/* The eight bytes in front of a line feed end an HTTP/1 request line: "TTP/1.x\r", or "HTTP/1.x" with the CR left out. */
static __always_inline int ends_request_line(__u64 last)
{
    __u64 version = (last & 0xff) == '\r' ? last >> 8 : last;
    __u8 digit = version & 0xff;

    return (version >> 8 & 0xffffffffffffULL) == 0x5454502f312eULL && (digit == '0' || digit == '1');
}

static __always_inline void read_request_line(struct reader *reader, struct http_half *half)
{
    __u8 byte = next_bytes(reader)[0];
    __u32 length = 0;

    if (half->line == LINE_START) {
        if (byte == '\r' || byte == '\n') { /* RFC 9112, 2.2: empty lines before a request are passed over */
            reader->at++;
            return;
        }
        half->body_left = 0;
        half->line = METHOD_NAME;
        length = common_method(word_at(next_bytes(reader)), &half->method);
    }
    if (length) {
        reader->at += length;
        half->line = LINE_REST;
    } else if (byte == ' ' && half->line > METHOD_NAME) {
        half->method = method_of_name(half->body_left, half->line & LINE_CHARACTERS);
        half->body_left = 0;
        reader->at++;
        half->line = LINE_REST;
    } else if (is_method_character(byte) && (half->line & LINE_CHARACTERS) < LINE_CHARACTERS) {
        half->body_left = half->body_left << 8 | byte;
        reader->at++;
        half->line++;
    } else {
        reader->reading = READING_FAILED;
    }
}

static const volatile char kVersion[8] = "HTTP/1.";
static const volatile char kLengthName[16] = "content-length:";
static const volatile char kCodingName[32] = "transfer-encoding:";
#define STATUS_CHARACTERS 12
#define LENGTH_NAME_CHARACTERS 15
#define CODING_NAME_CHARACTERS 18

/* text[index], with an index that the verifier sees bounded by `mask`: left to itself, the compiler drops the masking. */
static __always_inline char character_of(const volatile char *text, __u32 index, __u32 mask)
{
    asm volatile("" : "+r"(index));
    return text[index & mask];
}

/* A character of "HTTP/1.x NNN"; returns 0 for one that cannot stand there. */
static __always_inline int take_status_character(struct http_half *half, __u32 position, __u8 byte)
{
    if (position < 7)
        return byte == character_of(kVersion, position, 7);
    if (position == 8)
        return byte == ' ';
    if (byte < '0' || byte > '9')
        return 0;
    if (position > 8)
        half->status = half->status * 10 + (byte - '0');
    return 1;
}

/* All of "HTTP/1.x NNN" at once; returns 0 when it is not that. */
static __always_inline int take_status_at_once(struct http_half *half, const __u8 *bytes)
{
    __u8 hundreds = bytes[9] - '0', tens = bytes[10] - '0', ones = bytes[11] - '0';

    if (!BEGINS_WITH(word_at(bytes), 0x2e312f50545448ULL, 56) || bytes[8] != ' ' || hundreds > 9 || tens > 9 ||
        ones > 9)
        return 0;
    half->status = (__u16)(hundreds * 100 + tens * 10 + ones);
    return 1;
}

static __always_inline void read_status_line(struct reader *reader, struct http_half *half)
{
    const __u8 *bytes = next_bytes(reader);

    if (half->line == LINE_START) {
        if (bytes[0] == '\r' || bytes[0] == '\n') {
            reader->at++;
            return;
        }
        half->status = 0;
        half->line = STATUS_START;
        if (reader->size - reader->at >= STATUS_CHARACTERS && take_status_at_once(half, bytes)) {
            reader->at += STATUS_CHARACTERS;
            half->line = LINE_REST;
            half->flags |= HALF_IS_CONFIRMED;
            return;
        }
    }
    if (!take_status_character(half, half->line & LINE_CHARACTERS, bytes[0])) {
        reader->reading = READING_FAILED;
        return;
    }
    reader->at++;
    if ((++half->line & LINE_CHARACTERS) == STATUS_CHARACTERS) {
        half->line = LINE_REST;
        half->flags |= HALF_IS_CONFIRMED;
    }
}

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
        half->line = CHUNK_BREAK;
    } else {
        half->body_left -= left;
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
            reader->reading = READING_FAILED;
            return;
        }
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
