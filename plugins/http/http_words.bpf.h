/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Bytes by the word: eight at a time, without branches; and the names of methods.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "http_shared.h"

#define BYTES_OF(byte) ((byte) * 0x0101010101010101ULL)

/* Eight bytes at any place in one load. A memcpy would become eight: the compiler takes the target to be strict about
 * alignment, which no 64-bit kernel with BPF is. */
static __always_inline __u64 word_at(const __u8 *bytes)
{
    return *(const __u64 *)(const void *)bytes;
}

/* High bit set in the bytes of `word` that equal `byte`; exact up to and including the lowest one, which is all we use. */
static __always_inline __u64 equal_bytes(__u64 word, __u8 byte)
{
    __u64 difference = word ^ BYTES_OF(byte);

    return (difference - BYTES_OF(0x01)) & ~difference & BYTES_OF(0x80);
}

/* The index of the lowest byte that equal_bytes has marked. */
static __always_inline __u32 first_marked(__u64 marks)
{
    return (__u32)((((marks & -marks) >> 7) * 0x0001020304050607ULL) >> 56);
}

/* `word` begins with the `bits` bits of `text` (little-endian). */
#define BEGINS_WITH(word, text, bits) (((word) & (~0ULL >> (64 - (bits)))) == (text))

/* Characters of a token (RFC 9110, 5.6.2) that methods are made of in practice. */
static __always_inline int is_method_character(__u8 byte)
{
    __u8 letter = byte | 0x20;

    return (letter >= 'a' && letter <= 'z') || byte == '-' || byte == '_' || (byte >= '0' && byte <= '9');
}

/* The method whose `length` characters stand in `name`, the last one lowest. */
static __always_inline __u8 method_of_name(__u64 name, __u32 length)
{
    if (length > 8)
        return METHOD_OTHER;
    switch (name) {
    case 0x474554:
        return METHOD_GET;
    case 0x48454144:
        return METHOD_HEAD;
    case 0x504f5354:
        return METHOD_POST;
    case 0x505554:
        return METHOD_PUT;
    case 0x44454c455445:
        return METHOD_DELETE;
    case 0x434f4e4e454354:
        return METHOD_CONNECT;
    case 0x4f5054494f4e53:
        return METHOD_OPTIONS;
    case 0x5452414345:
        return METHOD_TRACE;
    case 0x5041544348:
        return METHOD_PATCH;
    }
    return METHOD_OTHER;
}

/* The characters that `word` spends on a common method and the blank behind it; 0: look byte by byte. */
static __always_inline __u32 common_method(__u64 word, __u8 *method)
{
    if (BEGINS_WITH(word, 0x20544547ULL, 32)) {
        *method = METHOD_GET;
        return 4;
    }
    if (BEGINS_WITH(word, 0x2054534f50ULL, 40)) {
        *method = METHOD_POST;
        return 5;
    }
    if (BEGINS_WITH(word, 0x20545550ULL, 32)) {
        *method = METHOD_PUT;
        return 4;
    }
    if (BEGINS_WITH(word, 0x204554454c4544ULL, 56)) {
        *method = METHOD_DELETE;
        return 7;
    }
    return 0;
}
