/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * Names that lookups ask for, as numbers. The first `names_per_workload` of each workload have numbers of their own, while
 * there are any; all others are number 0, "other". A number is kept for good, as rows of series tables are.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "dns_message.bpf.h"
#include "limpet/stats.bpf.h"
#include "limpet/tags.bpf.h"

#define QUESTION_NAMES 512
#define WORKLOADS 1024
#define NAME_OTHER 0

const volatile __u32 names_per_workload LIMPET_TAG("config|names_per_workload") = 100;

__u32 question_count = 1; /* number 0 is taken: NAME_OTHER */

/* Names of one workload and hash are one here; question_texts tells whether it is the right one. */
struct question_name {
    __u32 workload;
    __u32 hash;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, QUESTION_NAMES);
    __type(key, struct question_name);
    __type(value, __u32);
} question_numbers SEC(".maps");

struct question_text {
    __u64 words[NAME_WORDS];
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, QUESTION_NAMES);
    __type(key, __u32);
    __type(value, struct question_text);
} question_texts SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, WORKLOADS);
    __type(key, __u32);
    __type(value, __u32);
} names_of_workload SEC(".maps");

/* True when a number stands for this name; a hash may be that of another. */
static __always_inline int is_name(__u32 number, const struct question_key *key)
{
    const struct question_text *text = bpf_map_lookup_elem(&question_texts, &number);

    if (!text)
        return 0;
    for (int i = 0; i < NAME_WORDS; i++) {
        if (text->words[i] != key->words[i])
            return 0;
        if (!key->words[i])
            return 1;
    }
    return 1;
}

/* A number for a name that has none. */
static __always_inline __u32 number_new_name(const struct question *question, const struct question_name *name,
                                             __u32 *names)
{
    struct question_text *text;
    __u32 number, *found;

    if (question_count >= QUESTION_NAMES)
        return NAME_OTHER;
    number = __sync_fetch_and_add(&question_count, 1);
    text = bpf_map_lookup_elem(&question_texts, &number);
    if (!text)
        return NAME_OTHER;
    for (int i = 0; i < NAME_WORDS; i++)
        text->words[i] = question->key.words[i];
    if (bpf_map_update_elem(&question_numbers, name, &number, BPF_NOEXIST)) {
        found = bpf_map_lookup_elem(&question_numbers, name); /* another CPU was first; our number stays unused */
        return found ? *found : NAME_OTHER;
    }
    __sync_fetch_and_add(names, 1);
    return number;
}

static __always_inline __u16 number_of_name(const struct question *question)
{
    struct question_name name = {question->key.workload, question->hash};
    __u32 *found = bpf_map_lookup_elem(&question_numbers, &name);
    __u32 number = NAME_OTHER, *names;

    if (found && is_name(*found, &question->key))
        return (__u16)*found;
    names = bpf_map_lookup_elem(&names_of_workload, &name.workload);
    if (!found && names && *names < names_per_workload)
        number = number_new_name(question, &name, names);
    if (number == NAME_OTHER)
        limpet_count(LIMPET_STAT_SERIES_OVERFLOW);
    return (__u16)number;
}
