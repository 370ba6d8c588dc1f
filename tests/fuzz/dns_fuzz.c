/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The dns probe's parser under libFuzzer: the same source as in the kernel, compiled for user space.
 *
 * An input is a script of datagrams, pieces of a TCP stream, and time that passes (play). What is checked is counts: no lookup without
 * a query and an answer, none twice, none left held; and the same lookups when the stream comes in single bytes.
 */
#include "dns.bpf.c"

#include "maps.h"

#define HEADERS_BYTES 40
#define MESSAGE_BYTES 512
#define NAMES 8
#define STEP_NS 100000000ULL

static struct map maps[] = {
    FUZZ_ARRAY(limpet_connections), FUZZ_ARRAY(limpet_stats),      FUZZ_ARRAY(queries),
    FUZZ_ARRAY(questions),          FUZZ_ARRAY(question_texts),    FUZZ_ARRAY(names_of_workload),
    FUZZ_ARRAY(dns_lookup_keys),    FUZZ_ARRAY(dns_lookup_rows),   FUZZ_ARRAY(dns_server_keys),
    FUZZ_ARRAY(dns_server_rows),    FUZZ_ARRAY(dns_workload_keys), FUZZ_ARRAY(dns_workload_rows),
    FUZZ_HASH(question_numbers),    FUZZ_HASH(dns_lookup_index),   FUZZ_HASH(dns_server_index),
    FUZZ_HASH(dns_workload_index),  FUZZ_HASH(limpet_names),
};
#define MAP_COUNT (sizeof(maps) / sizeof(*maps))

static struct bpf_sock socket_of_packet = {.dst_port = 0x100}; /* port 1, which an object has before it is loaded */
static unsigned char packet[HEADERS_BYTES + 65536];
static uint32_t packet_bytes;
static uint64_t now_ns;
static uint32_t sent_bytes[2];
static uint64_t messages[2]; /* that may have passed, by direction */

static void fail(const char *what, uint64_t is, uint64_t bound)
{
    fprintf(stderr, "the parser %s: %llu, bound %llu\n", what, (unsigned long long)is, (unsigned long long)bound);
    abort();
}

static struct map *map_of(const void *declared)
{
    for (uint32_t i = 0; i < MAP_COUNT; i++)
        if (maps[i].declared == declared)
            return &maps[i];
    abort();
}

long bpf_skb_load_bytes(const void *skb, __u32 offset, void *to, __u32 size)
{
    (void)skb;
    if ((uint64_t)offset + size > packet_bytes) {
        memset(to, 0, size);
        return -14;
    }
    memcpy(to, packet + offset, size);
    return 0;
}

__u64 bpf_ktime_get_ns(void)
{
    return now_ns += 1000;
}

__u64 bpf_jiffies64(void)
{
    return 1;
}

__u64 bpf_get_socket_cookie(void *skb)
{
    (void)skb;
    return 7;
}

__u32 bpf_get_smp_processor_id(void)
{
    return 0;
}

long bpf_tail_call(void *context, const void *programs, __u32 index)
{
    (void)context, (void)programs, (void)index;
    return -1;
}

static void put_packet(const void *payload, uint32_t size)
{
    memset(packet, 0, HEADERS_BYTES);
    packet[0] = 0x45;
    memcpy(packet + HEADERS_BYTES, payload, size);
    packet_bytes = HEADERS_BYTES + size;
}

static void send_datagram(int is_egress, const void *payload, uint32_t size)
{
    uint32_t flags = is_egress ? LIMPET_DATAGRAM_EGRESS : 0;
    struct __sk_buff skb = {.cb = {1, HEADERS_BYTES | flags << 16, size, 1 << 16 | 1}};

    put_packet(payload, size);
    messages[is_egress]++;
    on_datagram(&skb);
}

static void send_segment(int is_egress, const void *payload, uint32_t size)
{
    struct limpet_connection *connection = limpet_connection_at(0);
    uint32_t flags =
        (is_egress ? LIMPET_SEGMENT_EGRESS : 0) | (connection->head.verdict ? 0 : LIMPET_SEGMENT_UNDECIDED);
    struct __sk_buff skb = {
        .sk = &socket_of_packet,
        .cb = {HEADERS_BYTES << 16, size | flags << LIMPET_SEGMENT_FLAGS_SHIFT, sent_bytes[is_egress]},
    };

    put_packet(payload, size);
    sent_bytes[is_egress] += size;
    on_segment(&skb);
}

static void send_stream(int is_egress, const unsigned char *payload, uint32_t size, int in_single_bytes)
{
    for (uint32_t at = 0; in_single_bytes && at < size; at++)
        send_segment(is_egress, payload + at, 1);
    if (!in_single_bytes && size)
        send_segment(is_egress, payload, size);
}

/* A whole message with two bytes of length in front: one of four ids, one of eight names, for a response with one address. Returns its size. */
static uint32_t build_message(unsigned char *message, uint32_t choice, int is_response)
{
    unsigned char name[] = {3, 'w', 'W', 'a' + choice / 4 % NAMES, 4, 't', 'e', 's', 't', 0};
    unsigned char header[HEADER_BYTES] = {
        0, choice % 4, is_response ? 0x81 : 1, is_response ? choice >> 5 & 3 : 0, 0, 1, 0, is_response};
    static const unsigned char kAnswer[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 127, 0, 0, 1};
    uint32_t size = 2;

    memcpy(message + size, header, sizeof(header));
    size += sizeof(header);
    memcpy(message + size, name, sizeof(name));
    size += sizeof(name);
    memcpy(message + size, (unsigned char[]){0, choice & 128 ? 28 : 1, 0, 1}, 4);
    size += 4;
    if (is_response) {
        memcpy(message + size, kAnswer, sizeof(kAnswer));
        size += sizeof(kAnswer);
    }
    message[0] = 0;
    message[1] = (unsigned char)(size - 2);
    return size;
}

struct counts {
    uint64_t lookups, timeouts, served, malformed, evicted;
};

static uint64_t count_of(const struct limpet_histogram *histogram)
{
    uint64_t count = 0;

    for (int i = 0; i < LIMPET_BUCKETS; i++)
        count += histogram->buckets[i];
    return count;
}

static struct counts read_counts(void)
{
    struct counts counts = {.evicted = limpet_stats_row()->values[LIMPET_STAT_EVICTED]};

    for (uint32_t row = 0; row < map_of(&dns_lookup_rows)->used; row++) {
        const struct dns_lookup_key_slot *slot = bpf_map_lookup_elem(&dns_lookup_keys, &row);
        const struct lookup_row *lookup = bpf_map_lookup_elem(&dns_lookup_rows, &row);

        *(slot->key.error == ERROR_TIMEOUT ? &counts.timeouts : &counts.lookups) += count_of(&lookup->duration);
    }
    for (uint32_t row = 0; row < map_of(&dns_server_rows)->used; row++)
        counts.served += count_of(&((struct server_row *)bpf_map_lookup_elem(&dns_server_rows, &row))->duration);
    for (uint32_t row = 0; row < map_of(&dns_workload_rows)->used; row++)
        counts.malformed += ((struct workload_row *)bpf_map_lookup_elem(&dns_workload_rows, &row))->malformed;
    return counts;
}

static void check(const struct counts *counts)
{
    if (counts->lookups > messages[0])
        fail("counts more lookups than answers came in", counts->lookups, messages[0]);
    if (counts->lookups + counts->timeouts > messages[1])
        fail("counts more lookups than queries went out", counts->lookups + counts->timeouts, messages[1]);
    if (counts->served > messages[0] || counts->served > messages[1])
        fail("counts more requests served than messages", counts->served, messages[1]);
    if (counts->malformed > messages[0] + messages[1])
        fail("counts more malformed messages than there were", counts->malformed, messages[0] + messages[1]);
    for (uint32_t i = 0; i < QUESTIONS; i++)
        if (question_at(i)->is_borrowed)
            fail("keeps a question", i, 0);
    for (uint32_t i = 0; i < map_of(&queries)->used; i++)
        if (query_at(i)->key == KEY_HELD)
            fail("keeps a slot", i, 0);
}

static void begin(void)
{
    for (uint32_t i = 0; i < MAP_COUNT; i++)
        clear_map(&maps[i]);
    dns_lookup_used = dns_server_used = dns_workload_used = question_count = 1;
    now_ns = 1000 * STEP_NS;
    memset(sent_bytes, 0, sizeof(sent_bytes));
    memset(messages, 0, sizeof(messages));
    limpet_connection_at(0)->head.cookie = 9;
    limpet_connection_at(0)->head.workload = 2;
}

/* The script: records of a byte that says what, one that says which, and for raw bytes the bytes. */
static void play(const uint8_t *data, size_t size, int in_single_bytes)
{
    struct __sk_buff nothing = {0};
    unsigned char message[MESSAGE_BYTES];
    int has_raw_bytes = 0;

    for (size_t at = 0; at + 1 < size;) {
        int is_egress = data[at] & 1, kind = data[at] >> 1 & 7;
        uint8_t choice = data[at + 1];
        size_t raw_bytes = choice < size - at - 2 ? choice : size - at - 2;
        uint32_t built_bytes = build_message(message, choice, kind & 1);

        at += 2;
        if (kind <= 1) {
            send_datagram(is_egress, message + 2, built_bytes - 2);
        } else if (kind <= 3) {
            messages[is_egress] += has_raw_bytes ? built_bytes : 1;
            send_stream(is_egress, message, built_bytes, in_single_bytes);
        } else if (kind == 4) {
            send_datagram(is_egress, data + at, (uint32_t)raw_bytes);
            at += raw_bytes;
        } else if (kind == 5) {
            messages[is_egress] += raw_bytes; /* no frame is shorter */
            has_raw_bytes = 1;                /* what is built is cut elsewhere from here on */
            send_stream(is_egress, data + at, (uint32_t)raw_bytes, in_single_bytes);
            at += raw_bytes;
        } else if (kind == 6) {
            now_ns += choice * STEP_NS;
            on_tick(&nothing);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct counts whole, single;

    begin();
    play(data, size, 0);
    whole = read_counts();
    check(&whole);
    begin();
    play(data, size, 1);
    single = read_counts();
    check(&single);
    /* of a question in pieces it is not known whether it asks again or asks something else by the same id */
    if (!whole.malformed && !whole.evicted && whole.lookups != single.lookups)
        fail("counts single bytes otherwise", single.lookups, whole.lookups);
    return 0;
}
