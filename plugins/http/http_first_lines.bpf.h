/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * First lines of HTTP/1 messages (RFC 9112, 3 and 4), and what may stand before the first request of a connection: empty
 * lines, and a header of the PROXY protocol (haproxy.org, proxy-protocol.txt, 2), which is passed over. Part of the line
 * reader, http_lines.bpf.h; resumable at any byte.
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
    READING_HTTP2,       /* the preface of HTTP/2 */
    READING_TLS,         /* a TLS handshake, behind a PROXY header */
};

/* The reader's place in the window, which it owns. A request line that is whole is reported in `has_request`, for the
 * caller to queue. */
struct reader {
    __u32 at;
    __u32 size; /* at most WINDOW_BYTES */
    __u8 has_request;
    __u8 reading; /* enum reading */
    __u16 status; /* of the response, as far as it has been read */
    union {
        __u16 second_line; /* scan_head's: where it begins; 0: not in the window, as far as it has been read */
        __u16 in_chunks;   /* in a chunked body: bytes of chunks that have been passed over */
    };
    __u16 target; /* where a request's target begins; 0: not in this window */
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

/* The eight bytes in front of a line feed end an HTTP/1 request line: "TTP/1.x\r", or "HTTP/1.x" with the CR left out. Minor
 * versions that do not exist are answered like 1.1 (RFC 9110, 2.5). */
static __always_inline int ends_request_line(__u64 last)
{
    __u64 version = (last & 0xff) == '\r' ? last >> 8 : last;
    __u8 digit = (version & 0xff) - '0';

    return (version >> 8 & 0xffffffffffffULL) == 0x5454502f312eULL && digit <= 9;
}

/* The same for "PRI * HTTP/2.0" (RFC 9113, 3.4): "TTP/2.0\r". Nothing else ends so. */
static __always_inline int ends_preface(__u64 last)
{
    return last == 0x5454502f322e300dULL;
}

static const volatile char kVersion[8] = "HTTP/1.";
static const volatile char kLengthName[16] = "content-length:";
static const volatile char kCodingName[32] = "transfer-encoding:";
static const volatile char kProxySignature[8] = {0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};
#define STATUS_CHARACTERS 12
#define LENGTH_NAME_CHARACTERS 15
#define CODING_NAME_CHARACTERS 18
#define PROXY_HEADER_CHARACTERS 12
#define PROXY_NAME 0x50524f5859ULL

/* text[index], with an index that the verifier sees bounded by `mask`: left to itself, the compiler drops the masking. */
static __always_inline char character_of(const volatile char *text, __u32 index, __u32 mask)
{
    asm volatile("" : "+r"(index));
    return text[index & mask];
}

/* The line feed of a first line has been read, and the bytes before it are no HTTP/1 request: the PROXY protocol's first
 * version is passed over, as empty lines are. */
static __always_inline void end_foreign_line(struct reader *reader, struct http_half *half)
{
    if (half->method == METHOD_PROXY)
        half->line = LINE_START;
    else
        reader->reading = ends_preface(half->body_left) ? READING_HTTP2 : READING_FAILED;
}

/* One byte of the PROXY protocol's second version, whose first four pass for empty lines: the rest of its signature, version
 * and command, family, and the length of the addresses, which are passed over like a body. */
static __always_inline void read_proxy_header(struct reader *reader, struct http_half *half)
{
    __u8 byte = next_bytes(reader)[0];
    __u32 index = half->line & LINE_CHARACTERS;

    if (index < 8 && byte != (__u8)character_of(kProxySignature, index, 7)) {
        reader->reading = READING_FAILED;
        return;
    }
    reader->at++;
    half->line++;
    half->body_left = half->body_left << 8 | byte;
    if (index + 1 < PROXY_HEADER_CHARACTERS)
        return;
    half->body_left &= 0xffff;
    half->flags |= HALF_HAS_LENGTH;
    reader->reading = READING_HEAD_ENDED;
}

/* A first byte that no HTTP has: the PROXY protocol's second version, or TLS (RFC 8446, 5.1). */
static __always_inline void begin_foreign_bytes(struct reader *reader, struct http_half *half)
{
    const __u8 *bytes = next_bytes(reader);

    if (!bytes[0])
        half->line = PROXY_HEADER;
    else
        reader->reading = bytes[1] == 0x03 ? READING_TLS : READING_FAILED;
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
        if (!(half->flags & HALF_IS_CONFIRMED) && (!byte || byte == 0x16)) {
            begin_foreign_bytes(reader, half);
            return;
        }
        half->body_left = 0;
        half->line = METHOD_NAME;
        length = common_method(word_at(next_bytes(reader)), &half->method);
    }
    if (length) {
        reader->at += length;
        reader->target = (__u16)reader->at;
        half->line = LINE_REST;
    } else if (byte == ' ' && half->line > METHOD_NAME) {
        half->method = method_of_name(half->body_left, half->line & LINE_CHARACTERS);
        if (half->body_left == PROXY_NAME && !(half->flags & HALF_IS_CONFIRMED))
            half->method = METHOD_PROXY;
        half->body_left = 0;
        reader->at++;
        reader->target = (__u16)reader->at;
        half->line = LINE_REST;
    } else if (is_method_character(byte) && (half->line & LINE_CHARACTERS) < LINE_CHARACTERS) {
        half->body_left = half->body_left << 8 | byte;
        reader->at++;
        half->line++;
    } else {
        reader->reading = READING_FAILED;
    }
}

/* A character of "HTTP/1.x NNN"; returns 0 for one that cannot stand there. */
static __always_inline int take_status_character(struct reader *reader, __u32 position, __u8 byte)
{
    if (position < 7)
        return byte == character_of(kVersion, position, 7);
    if (position == 8)
        return byte == ' ';
    if (byte < '0' || byte > '9')
        return 0;
    if (position > 8)
        reader->status = reader->status * 10 + (byte - '0');
    return 1;
}

/* All of "HTTP/1.x NNN" at once; returns 0 when it is not that. */
static __always_inline int take_status_at_once(struct reader *reader, const __u8 *bytes)
{
    __u8 hundreds = bytes[9] - '0', tens = bytes[10] - '0', ones = bytes[11] - '0';

    if (!BEGINS_WITH(word_at(bytes), 0x2e312f50545448ULL, 56) || bytes[8] != ' ' || hundreds > 9 || tens > 9 ||
        ones > 9)
        return 0;
    reader->status = (__u16)(hundreds * 100 + tens * 10 + ones);
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
        reader->status = 0;
        half->line = STATUS_START;
        if (reader->size - reader->at >= STATUS_CHARACTERS && take_status_at_once(reader, bytes)) {
            reader->at += STATUS_CHARACTERS;
            half->line = LINE_REST;
            half->flags |= HALF_IS_CONFIRMED;
            return;
        }
    }
    if (!take_status_character(reader, half->line & LINE_CHARACTERS, bytes[0])) {
        reader->reading = READING_FAILED;
        return;
    }
    reader->at++;
    if ((++half->line & LINE_CHARACTERS) == STATUS_CHARACTERS) {
        half->line = LINE_REST;
        half->flags |= HALF_IS_CONFIRMED;
    }
}
