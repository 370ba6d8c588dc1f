/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * DNS messages (RFC 1035, section 4): header, question, and the way over resource records.
 *
 * Nothing follows a compression pointer: where one may stand, it ends the name; in a question it is a mistake. So there are
 * no loops in a message, and every walk ends with the message or after a fixed number of steps.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "limpet/stats.bpf.h"

#define HEADER_BYTES 12
#define LABELS_IN_A_NAME 128
#define LABEL_BYTES_AT_MOST 63
#define NAME_BYTES_AT_MOST 255 /* on the wire, length bytes and the last 0 included */

#define FLAG_IS_RESPONSE 0x8000
#define FLAG_IS_TRUNCATED 0x0200
#define OPCODE_OF(flags) ((flags) >> 11 & 15)
#define CODE_OF(flags) ((flags) & 15)

enum { OPCODE_QUERY = 0, OPCODE_UNASSIGNED = 3, OPCODE_LAST = 6 };
enum { TYPE_A = 1, TYPE_AAAA = 28, TYPE_OPT = 41, TYPE_HTTPS = 65, TYPE_ANY = 255 };

/* As on the wire, in network order. */
struct dns_header {
    __be16 id;
    __be16 flags;
    __be16 questions;
    __be16 answers;
    __be16 authorities;
    __be16 additionals;
};
_Static_assert(sizeof(struct dns_header) == HEADER_BYTES, "RFC 1035, 4.1.1");

/* A message on its way through the probe. Numbers in host order. */
struct message {
    __u64 socket; /* cookie, or what stands for the connection */
    __u64 peer;   /* servers over UDP: hash of the client's address and port; else 0 */
    __u32 server; /* clients over UDP: the same of the server's; else 0 */
    __u32 body;   /* where in the packet the bytes behind the header begin */
    __u32 end;    /* … and where those of the message end that are in the packet */
    __u32 workload;
    __u16 id;
    __u16 flags;
    __u16 questions;
    __u16 answers;
    __u16 records; /* answers, authorities and additionals */
    __u8 is_egress;
    __u8 is_cut; /* the rest of the message comes in other segments */
};

static __always_inline void read_header(struct message *message, const struct dns_header *header)
{
    message->id = bpf_ntohs(header->id);
    message->flags = bpf_ntohs(header->flags);
    message->questions = bpf_ntohs(header->questions);
    message->answers = bpf_ntohs(header->answers);
    message->records = message->answers + bpf_ntohs(header->authorities) + bpf_ntohs(header->additionals);
}

/* True at the end that asks: its queries go out, its responses come in. */
static __always_inline int is_of_client(const struct message *message)
{
    return message->is_egress == !(message->flags & FLAG_IS_RESPONSE);
}

#define NAME_WORDS 32

/* A name as text, lower-case, without the last dot ("." for the root), 0 up to the end; and whose it is. */
struct question_key {
    __u32 workload;
    __u32 padding;
    union {
        __u64 words[NAME_WORDS];
        char text[NAME_WORDS * 8];
    };
};

struct question {
    struct question_key key;
    __u32 is_borrowed;
    __u32 hash;
    __u32 behind; /* where in the packet the next section begins */
    __u16 type;
    __u16 code_above; /* of a response: what an OPT record puts above the code's lower four bits */
};

#define QUESTIONS 64
#define QUESTIONS_TRIED 8

/* Room for questions that are being read: too large for the stack. Who has exchanged is_borrowed from 0 to 1 owns one; runs nest and are
 * preempted in any order, so nothing is tied to a CPU. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, QUESTIONS);
    __type(key, __u32);
    __type(value, struct question);
} questions SEC(".maps");

static __always_inline struct question *question_at(__u32 number)
{
    return bpf_map_lookup_elem(&questions, &number);
}

/* An empty question for the caller alone. NULL when others have all that were tried, which is counted. */
static __always_inline struct question *borrow_question(__u32 *number)
{
    __u32 cpu = bpf_get_smp_processor_id();
    struct question *question;

    for (__u32 i = 0; i < QUESTIONS_TRIED; i++) {
        *number = (cpu + i) & (QUESTIONS - 1);
        question = question_at(*number);
        if (!question || __sync_val_compare_and_swap(&question->is_borrowed, 0, 1))
            continue;
        for (int word = 0; word < NAME_WORDS; word++)
            question->key.words[word] = 0;
        question->code_above = 0;
        question->hash = 0;
        question->type = 0;
        return question;
    }
    limpet_count(LIMPET_STAT_UNSEEN_LIMIT);
    return NULL;
}

static __always_inline void return_question(struct question *question)
{
    __sync_lock_test_and_set(&question->is_borrowed, 0);
}

/* Makes eight characters lower-case, ASCII only (RFC 4343): a byte is a capital where it is at least 'A' and not above 'Z'. */
static __always_inline __u64 lower_case(__u64 word)
{
    const __u64 ones = 0x0101010101010101ULL, highs = 0x8080808080808080ULL;
    __u64 low_bits = word & ~highs;
    __u64 above_z = low_bits + (0x7f - 'Z') * ones;
    __u64 from_a = low_bits + (0x80 - 'A') * ones;

    return word | ((from_a ^ above_z) & ~word & highs) >> 2;
}

/* Lower case and zeros behind `length`; the hash. `loaded`: bytes that may not be zero. Not static, as all that is called
 * where the verifier has many states: it looks at such a function once. */
__noinline int finish_name(__u32 number, __u32 length, __u32 loaded)
{
    struct question *question = question_at(number);
    __u64 hash = 0;
    __u32 i;

    if (!question)
        return 0;
    for (i = 0; i < NAME_WORDS && i * 8 < length; i++) {
        __u64 word = question->key.words[i];
        __u32 left = length - i * 8;

        if (left < 8)
            word &= (1ULL << (left * 8)) - 1;
        word = lower_case(word);
        question->key.words[i] = word;
        hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
        hash ^= hash >> 29;
    }
    for (; i < NAME_WORDS && i * 8 < loaded; i++)
        question->key.words[i] = 0;
    question->hash = (__u32)(hash >> 32) ^ (__u32)hash;
    return 0;
}

/* True when there is no question to read: none is promised (RFC 7873, 5.4), or the message is the bare header of an error, with
 * which servers answer what they could not read. */
static __always_inline int has_no_question(const struct message *message)
{
    return !message->questions ||
           (message->flags & FLAG_IS_RESPONSE && CODE_OF(message->flags) && message->body == message->end);
}

/* Reads the first question into the borrowed one of that number; one that is not there is one about the root, of type 0. A server's
 * is not finished: nothing asks for its name. Returns 0, or -1 when it cannot be read. */
__noinline int read_question(struct __sk_buff *skb, struct message *message, __u32 number)
{
    struct question *question = question_at(number);
    __u32 loaded, at = 0;
    __u8 length = 0;
    __be16 type = 0;

    if (!message || !question)
        return -1;
    question->behind = message->body;
    if (has_no_question(message)) {
        question->key.text[0] = '.';
        return 0;
    }
    if (message->body + 2 > message->end || bpf_skb_load_bytes(skb, message->body, &length, 1))
        return -1;
    loaded = message->end - message->body - 2;
    if (loaded > NAME_BYTES_AT_MOST - 2)
        loaded = NAME_BYTES_AT_MOST - 2;
    asm volatile("" : "+r"(loaded)); /* one less than what is loaded: old verifiers do not learn from a test for 0 */
    loaded++;
    if (bpf_skb_load_bytes(skb, message->body + 1, question->key.text, loaded))
        return -1;
    /* in the text, each label's length byte becomes the dot in front of it */
    for (int i = 0; i < LABELS_IN_A_NAME && length; i++) {
        if (length > LABEL_BYTES_AT_MOST)
            return -1;
        at += length;
        if (at >= loaded || at >= sizeof(question->key.text))
            return -1;
        length = (__u8)question->key.text[at];
        question->key.text[at] = '.';
        at++;
    }
    question->behind = message->body + 1 + at + 4;
    if (length || question->behind > message->end || bpf_skb_load_bytes(skb, question->behind - 4, &type, sizeof(type)))
        return -1;
    question->type = bpf_ntohs(type);
    if (!at)
        question->key.text[0] = '.';
    if (is_of_client(message))
        finish_name(number, at ? at - 1 : 1, loaded);
    return 0;
}

/* Where a name ends that begins at `position`; 0 when it does not end before `end`. */
__noinline int skip_name(struct __sk_buff *skb, __u32 position, __u32 end)
{
    __u8 length = 0;

    for (int i = 0; i < LABELS_IN_A_NAME && position < end; i++) {
        if (bpf_skb_load_bytes(skb, position, &length, 1))
            return 0;
        if (length >= 0xc0) /* a pointer ends the name */
            return (int)position + 2;
        if (length > LABEL_BYTES_AT_MOST)
            return 0;
        position += 1 + length;
        if (!length)
            return (int)position;
    }
    return 0;
}
