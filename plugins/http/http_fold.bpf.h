/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Folds the path of a request's target: walks it once, by words of eight bytes and without a branch for each byte, and hashes
 * its segments, where one that looks like an identifier counts as the same as any other. The query is left out.
 *
 * An identifier has a digit, and: digits only, or four of them, or eight characters that are all hexadecimal or dashes (hashes,
 * UUIDs), or twenty characters. A path that is longer than this walk ends like a template, in a star, behind the last segment
 * that is whole. No maps, no helpers: plain C.
 */
#pragma once

#include "http_first_lines.bpf.h"
#include "http_templates.h"

#define TARGET_BYTES 128 /* that are looked at */
#define FOLD_STEPS 32    /* words; each segment begins a new one */

#define DIGITS_OF_IDENTIFIER 4
#define LENGTH_OF_HASH 8
#define LENGTH_OF_IDENTIFIER 20

#define HASH_OF_IDENTIFIER 1
#define HASH_OF_REST 2

const volatile struct http_templates route_templates = {};

/* A target on its way through the walk, and what comes of it. It lies in the reader, behind the window, where all is read by
 * then: the stack has no room left. */
struct fold {
    __u64 hash;      /* of the whole segments; in the end the template's bit if one fits */
    __u64 templates; /* those that fit so far; in the end the first one that does, 0: none */
    __u64 segment;   /* hash of the segment being read */
    __u32 ids;       /* bit i: segment i is an identifier */
    __u8 length;     /* of the segment */
    __u8 digits;     /* in it */
    __u8 is_strange; /* it has characters that stand in no hash or UUID */
    __u8 passed;     /* segments before the path: of an absolute target its scheme and authority */
    __u8 segments;   /* … of the path */
    __u8 is_cut;
    __u8 padding[2];
    __u8 start; /* counted from the target: of the path, behind its first slash */
    __u8 end;   /* … behind its last whole segment */
    __u8 at;    /* … of the next byte */
    __u8 more_padding;
};
_Static_assert(sizeof(struct fold) <= WINDOW_SLACK, "it fits in behind the window");

static __always_inline struct fold *fold_of(struct reader *reader)
{
    return (struct fold *)(void *)(reader->window + WINDOW_BYTES);
}

/* The bytes of the target from `at` on. */
static __always_inline const __u8 *target_bytes(const struct reader *reader, __u32 at)
{
    at += reader->target;
    asm volatile("" : "+r"(at));
    return reader->window + (at & (WINDOW_BYTES - 1));
}

/* High bit set in all bytes of `word` that are above `limit`, exact for each; both below 128. */
static __always_inline __u64 bytes_above(__u64 word, __u8 limit)
{
    return (word & BYTES_OF(0x7fULL)) + BYTES_OF(0x7fULL - limit);
}

/* High bit set in bytes that are not '0' to '9'. */
static __always_inline __u64 not_digits(__u64 word)
{
    __u64 value = word ^ BYTES_OF('0');

    return (bytes_above(value, 9) | value) & BYTES_OF(0x80);
}

/* … that are neither 'a' to 'f', nor 'A' to 'F', nor a dash. */
static __always_inline __u64 not_letters(__u64 word)
{
    __u64 lower = word | BYTES_OF(0x20), dash = word ^ BYTES_OF('-');

    return (~bytes_above(lower, 'a' - 1) | bytes_above(lower, 'f') | word) & (bytes_above(dash, 0) | dash) &
           BYTES_OF(0x80);
}

/* … that end a segment: '/', '?' and what is not above a blank. Exact up to the first one. */
static __always_inline __u64 segment_ends(__u64 word)
{
    return equal_bytes(word & ~BYTES_OF(0x10), '/') | ((word - BYTES_OF(0x21)) & ~word & BYTES_OF(0x80));
}

static __always_inline __u32 count_marks(__u64 marks)
{
    return (__u32)((marks >> 7) * BYTES_OF(1) >> 56);
}

/* 1 when both are the same; without a branch. */
static __always_inline __u64 is_same(__u64 a, __u64 b)
{
    __u64 difference = a ^ b;

    return ((difference | -difference) >> 63) ^ 1;
}

/* `index`, at most that of the last segment that a template can have. The mask changes nothing; it tells the verifier. */
static __always_inline __u32 template_segment(__u32 index)
{
    if (index >= TEMPLATE_SEGMENTS)
        index = TEMPLATE_SEGMENTS - 1;
    asm volatile("" : "+r"(index));
    return index & (TEMPLATE_SEGMENTS - 1);
}

/* Segment `index` of the path is whole: the templates that fit still. */
static __always_inline __u64 fitting_templates(const struct fold *fold, __u32 index)
{
    __u64 fits = 0;

    index = template_segment(index);
    for (__u32 i = 0; i < TEMPLATES && i < route_templates.count; i++)
        fits |= is_same(route_templates.literals[index][i], fold->segment) << i;
    if (fold->length)
        fits |= route_templates.any[index];
    return fold->templates & (fits | route_templates.rest[index]);
}

/* The walk is at its end: of the templates that fit so far, those that end here. */
static __always_inline void end_templates(struct fold *fold)
{
    __u32 count = fold->segments;
    __u64 fits;

    if (!route_templates.count) {
        fold->templates = 0;
        return;
    }
    fits = route_templates.rest[template_segment(fold->is_cut ? count : count - 1)];
    if (!fold->is_cut && count < TEMPLATE_SEGMENTS)
        fits |= route_templates.ends[template_segment(count)];
    fits &= fold->templates;
    fold->templates = fits & -fits;
    if (fits)
        fold->hash = fits & -fits;
}

static __always_inline int is_identifier(const struct fold *fold)
{
    return fold->digits &&
           (fold->digits == fold->length || fold->digits >= DIGITS_OF_IDENTIFIER ||
            (!fold->is_strange && fold->length >= LENGTH_OF_HASH) || fold->length >= LENGTH_OF_IDENTIFIER);
}

static __always_inline void begin_segment(struct fold *fold)
{
    fold->segment = HASH_FACTOR;
    fold->length = fold->digits = fold->is_strange = 0;
}

/* A segment has ended at `at`; one behind which the target ends as well is the path's last. */
static __always_inline void end_segment(struct fold *fold, __u8 at, int is_last)
{
    __u32 index = fold->segments;

    if (fold->passed) {
        fold->passed--;
        fold->start = fold->end = at + 1;
        if (!is_last)
            return;
        fold->start = fold->end = at; /* an absolute target without a path: the same as "/" */
        begin_segment(fold);
        fold->segment = mix(fold->segment, 0);
    }
    if (route_templates.count)
        fold->templates = fitting_templates(fold, index);
    if (is_identifier(fold)) {
        fold->ids |= 1U << (index & 31);
        fold->segment = HASH_OF_IDENTIFIER;
    }
    fold->hash = mix(fold->hash, fold->segment);
    fold->segments++;
    fold->end = is_last ? at : at + 1;
}

/* The target begins with a path, or with a scheme and an authority (RFC 9112, 3.2). */
static __always_inline int begin_fold(const struct reader *reader, struct fold *fold)
{
    __u64 word = word_at(target_bytes(reader, 0));

    __builtin_memset(fold, 0, sizeof(*fold));
    fold->hash = HASH_FACTOR;
    fold->templates = ~0ULL;
    begin_segment(fold);
    fold->passed = 1;
    if ((__u8)word == '/')
        return 1;
    fold->passed = 3; /* "http:", nothing, and the authority */
    word |= BYTES_OF(0x20);
    return BEGINS_WITH(word, 0x2f2f3a70747468ULL, 56) || word == 0x2f2f3a7370747468ULL;
}

/* Takes the next word, up to the end of the segment. Returns the byte that ends it; -1: the segment goes on. */
static __always_inline int fold_word(const struct reader *reader, struct fold *fold)
{
    __u64 word = word_at(target_bytes(reader, fold->at));
    __u64 ends = segment_ends(word), kept = ((ends & -ends) >> 7) - 1; /* all bytes before the first end */
    __u64 plain = not_digits(word);
    __u32 taken = ends ? first_marked(ends) : 8;

    fold->digits += count_marks(~plain & BYTES_OF(0x80) & kept);
    fold->is_strange |= !!(plain & not_letters(word) & kept);
    fold->segment = mix(fold->segment, word & kept);
    fold->length += taken;
    fold->at += taken;
    return ends ? *target_bytes(reader, fold->at) : -1;
}

/* Folds the target in the reader's window. Returns 0 when it has no path: it is "*", or the authority of CONNECT. Not static,
 * and what changes is kept in memory: so the verifier does not follow all that it might become. */
__noinline int fold_target(struct reader *reader)
{
    struct fold *fold;
    int end;

    if (!reader)
        return 0;
    fold = fold_of(reader);
    if (!begin_fold(reader, fold))
        return 0;
    for (__u32 step = 0; step < FOLD_STEPS && *(volatile __u8 *)&fold->at <= TARGET_BYTES - 8; step++) {
        end = fold_word(reader, fold);
        if (end < 0)
            continue;
        end_segment(fold, fold->at, end != '/');
        if (end != '/') {
            end_templates(fold);
            return 1;
        }
        fold->at++;
        begin_segment(fold);
        asm volatile("" ::: "memory");
    }
    fold->is_cut = 1;
    fold->hash = mix(fold->hash, HASH_OF_REST);
    end_templates(fold);
    return 1;
}
