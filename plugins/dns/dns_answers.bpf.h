/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * What stands behind the question of a response: addresses, whose name is offered to other probes, and the upper bits of
 * the response code.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "dns_message.bpf.h"
#include "limpet/names.bpf.h"

#define RECORDS_READ 16 /* of a response; what stands behind them is not looked at */

/* What follows the name of a record (RFC 1035, 4.1.3; RFC 6891, 6.1.3 for OPT, whose TTL begins with the code's upper bits). */
struct record_head {
    __be16 type;
    __be16 class;
    __u8 ttl[4];
    __be16 length;
};

/* The address in a record is a place of the name that was asked for. */
static __always_inline void offer_address(struct __sk_buff *skb, const struct question *question, __u32 position,
                                          __u16 type, __u16 length)
{
    struct limpet_ip address = {.bytes = {[10] = 0xff, [11] = 0xff}};

    if (type == TYPE_A && length == 4 && !bpf_skb_load_bytes(skb, position, address.bytes + 12, 4))
        limpet_offer_name(&address, (const struct limpet_name *)question->key.words);
    if (type == TYPE_AAAA && length == 16 && !bpf_skb_load_bytes(skb, position, address.bytes, 16))
        limpet_offer_name(&address, (const struct limpet_name *)question->key.words);
}

/* Reads one record. Returns where the next one begins; 0 when this one does not end before `end`. */
__noinline int read_record(struct __sk_buff *skb, __u32 number, __u32 position, __u32 end, __u32 is_offered)
{
    struct question *question = question_at(number);
    struct record_head head;
    __u16 type, length;

    if (!question)
        return 0;
    position = (__u32)skip_name(skb, position, end);
    if (!position || position > 0xffff || position + sizeof(head) > end ||
        bpf_skb_load_bytes(skb, position, &head, sizeof(head)))
        return 0;
    position += sizeof(head);
    type = bpf_ntohs(head.type);
    length = bpf_ntohs(head.length);
    if (position + length > end)
        return 0;
    if (is_offered)
        offer_address(skb, question, position, type, length);
    if (type == TYPE_OPT)
        question->code_above = head.ttl[0];
    return (int)(position + length);
}

/* Reads the records behind the question. Returns the response code, or -1 when one cannot be read. */
static __always_inline int read_records(struct __sk_buff *skb, const struct message *message,
                                        const struct question *question, __u32 number, int is_offering)
{
    __u32 position = question->behind;

    for (__u32 i = 0; i < RECORDS_READ && i < message->records; i++) {
        position = (__u32)read_record(skb, number, position, message->end, is_offering && i < message->answers);
        if (!position)
            return -1;
    }
    return question->code_above << 4 | CODE_OF(message->flags);
}
