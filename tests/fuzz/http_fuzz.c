/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * The http probe's parser under libFuzzer: the same source as in the kernel, compiled for user space.
 *
 * An input is a script of segments (play). What is checked is counts: none invented, none negative, none without bound, none
 * lost between begun and done; and the same ones when every segment is cut into single bytes, and when segments are cut,
 * overtaken and come twice.
 */
#include "http.bpf.c"

#include "http_kernel.h"
#include "words.h"

#define STREAM_BYTES 16384
#define FIRST_SEQUENCE 0xfffffff0u /* wraps around early */
#define HELD_AT_MOST 12            /* less than PIECES: a stash holds them all */

enum manner { WHOLE, SINGLE_BYTES, SHUFFLED, MANNERS };

struct segment {
    uint32_t from, to;
};

/* One direction: the bytes its sender has sent, how many of them the receiver has got without a gap, and segments on their
 * way. */
struct stream {
    char bytes[STREAM_BYTES];
    uint32_t sent, got;
    uint8_t hides_next;
    uint32_t held_count;
    struct segment held[HELD_AT_MOST];
};

static struct stream streams[2];
static uint32_t random_state;
static uint64_t answered_lines; /* first lines that were answered before their end came */

static uint32_t random_below(uint32_t limit)
{
    random_state = random_state * 1664525 + 1013904223;
    return (random_state >> 8) % limit;
}

/* With LIMPET_FUZZ_TRACE in the environment: what a failing input does. */
static void trace(uint32_t direction, uint32_t from, uint32_t to, uint32_t flags)
{
    if (!getenv("LIMPET_FUZZ_TRACE"))
        return;
    fprintf(stderr, "%s %u flags %x verdict %u state %u: '", direction == EGRESS ? "egress" : "ingress", from, flags,
            slot.head.verdict, ((const struct http_connection *)(const void *)&slot)->halves[direction].state);
    fwrite(streams[direction].bytes + from, 1, to - from, stderr);
    fprintf(stderr, "'\n");
}

/* Hands bytes [from, to) of a stream to the parser, as the tap would. */
static void deliver(uint32_t direction, uint32_t from, uint32_t to, uint32_t flags)
{
    struct stream *stream = &streams[direction];
    struct __sk_buff skb = {.sk = &socket_of_packet};
    const struct http_connection *connection = (const void *)&slot;
    __u16 line_was_answered = connection->line_is_answered;
    __u8 verdict = slot.head.verdict;
    uint64_t time_ns = bpf_ktime_get_ns();

    if (verdict == LIMPET_VERDICT_NOBODY)
        return;
    tcp.rcv_nxt = FIRST_SEQUENCE + streams[INGRESS].got;
    tcp.bytes_received = streams[INGRESS].got;
    tcp.snd_una = FIRST_SEQUENCE + streams[EGRESS].got;
    tcp.bytes_acked = streams[EGRESS].got;
    packet = stream->bytes + from;
    packet_bytes = to - from;
    flags |= (verdict == LIMPET_VERDICT_UNDECIDED ? LIMPET_SEGMENT_UNDECIDED : 0u) |
             (direction == EGRESS ? LIMPET_SEGMENT_EGRESS : 0u);
    trace(direction, from, to, flags);
    skb.cb[0] = HEADERS_BYTES << 16;
    skb.cb[1] = (to - from) | flags << LIMPET_SEGMENT_FLAGS_SHIFT;
    skb.cb[2] = FIRST_SEQUENCE + from;
    skb.cb[3] = (__u32)time_ns;
    skb.cb[4] = time_ns >> 32;
    if (on_segment(&skb) != LIMPET_PASS)
        fail("let a segment not pass", 0, 1);
    answered_lines += connection->line_is_answered > line_was_answered;
    if (slot.lock)
        fail("has not left the connection", slot.lock, 0);
    if (verdict == limpet_parser_number && slot.head.verdict == LIMPET_VERDICT_UNDECIDED)
        declines++;
    if (from <= stream->got && to > stream->got)
        stream->got = to;
}

/* What is on its way arrives, in any order, some of it twice. */
static void arrive(uint32_t direction)
{
    struct stream *stream = &streams[direction];
    uint32_t got = stream->got;

    for (uint32_t i = 0; i < stream->held_count; i++) /* of which nothing lacks, in the end */
        got = stream->held[i].to > got ? stream->held[i].to : got;
    while (stream->held_count) {
        uint32_t chosen = random_below(stream->held_count);
        struct segment segment = stream->held[chosen];

        deliver(direction, segment.from, segment.to, 0);
        if (random_below(4))
            stream->held[chosen] = stream->held[--stream->held_count];
    }
    stream->got = got;
}

static void hold(uint32_t direction, uint32_t from, uint32_t to)
{
    struct stream *stream = &streams[direction];

    while (from < to) {
        uint32_t size = 1 + random_below(60);

        if (size > to - from)
            size = to - from;
        if (stream->held_count == HELD_AT_MOST)
            arrive(direction);
        stream->held[stream->held_count++] = (struct segment){from, from + size};
        from += size;
    }
}

/* New bytes of a direction; unseen by the parser, where that was asked. */
static void send_bytes(uint32_t direction, const char *bytes, size_t size, enum manner manner)
{
    struct stream *stream = &streams[direction];
    uint32_t from = stream->sent;

    if (!size || size > STREAM_BYTES - stream->sent)
        return;
    arrive(!direction); /* whoever answers has got what it answers */
    memcpy(stream->bytes + from, bytes, size);
    stream->sent += (uint32_t)size;
    if (stream->hides_next) {
        stream->hides_next = 0;
        stream->got = stream->sent;
    } else if (manner == SHUFFLED) {
        hold(direction, from, stream->sent);
    } else {
        for (uint32_t at = from, step = manner == WHOLE ? stream->sent - from : 1; at < stream->sent; at += step)
            deliver(direction, at, at + step, 0);
    }
}

enum trouble { END, RESET, HIDE, TROUBLES };

static void make_trouble(uint32_t direction, enum trouble trouble)
{
    struct stream *stream = &streams[direction];

    arrive(INGRESS);
    arrive(EGRESS);
    if (trouble == HIDE)
        stream->hides_next = 1;
    else
        deliver(direction, stream->sent, stream->sent, trouble == END ? LIMPET_SEGMENT_FIN : LIMPET_SEGMENT_RST);
}

/* What a run has counted. */
struct counts {
    uint64_t answered, failed, first_bytes, hash;
    uint64_t request_sizes, request_bytes, response_sizes, response_bytes;
};

static uint64_t requests_of(const struct limpet_histogram *histogram)
{
    uint64_t count = 0;

    for (int bucket = 0; bucket < LIMPET_BUCKETS; bucket++)
        count += histogram->buckets[bucket];
    return count;
}

static void add_row(struct counts *counts, const struct histograms *row, const void *key_head, __u8 error)
{
    uint64_t both = requests_of(&row->both), count = requests_of(&row->duration) + both,
             first_bytes = requests_of(&row->first_byte) + both, head;

    memcpy(&head, key_head, sizeof(head));
    *(error ? &counts->failed : &counts->answered) += count;
    counts->first_bytes += first_bytes;
    counts->hash += (head * 0x9e3779b97f4a7c15ULL ^ head >> 29) * count; /* of the rows, in any order */
    if (first_bytes > count)
        fail("has more first bytes than requests", first_bytes, count);
    if (row->duration.sum + row->both.sum > count * now_ns)
        fail("has durations longer than the time that passed", row->duration.sum, count * now_ns);
    if (row->first_byte.sum > row->duration.sum)
        fail("has first bytes behind last ones", row->first_byte.sum, row->duration.sum);
}

static void add_sizes(struct counts *counts, const struct limpet_histogram *request,
                      const struct limpet_histogram *response)
{
    counts->request_sizes += requests_of(request);
    counts->request_bytes += request->sum;
    counts->response_sizes += requests_of(response);
    counts->response_bytes += response->sum;
}

static struct counts read_counts(void)
{
    struct counts counts = {0};

    for (uint32_t i = 0; i <= KEYS_AT_MOST; i++) {
        add_row(&counts, (const void *)&server_rows[i], &server_keys[i].key, server_keys[i].key.error);
        add_row(&counts, (const void *)&client_rows[i], &client_keys[i].key, client_keys[i].key.error);
        add_sizes(&counts, &server_sizes_rows[i].request, &server_sizes_rows[i].response);
        add_sizes(&counts, &client_sizes_rows[i].request, &client_sizes_rows[i].response);
    }
    return counts;
}

static uint64_t occurrences(const struct stream *stream, const char *word)
{
    size_t size = strlen(word);
    uint64_t found = 0;

    for (uint32_t at = 0; at + size <= stream->sent; at++)
        found += !memcmp(stream->bytes + at, word, size);
    return found;
}

/* A connection that was given up, an answer that was, or a boundary that was lost: the next one is looked for at the starts of
 * segments. */
static uint64_t losses(void)
{
    const struct http_connection *connection = (const void *)&slot;

    return declines + connection->rest_may_come + stats.values[LIMPET_STAT_UNSEEN_LIMIT] +
           stats.values[LIMPET_STAT_UNSEEN_DESYNC];
}

/* Every request that is counted, or waits, needs a request line of its own, or one that goes on and is answered; every answer a
 * status line. */
static void check_nothing_is_invented(const struct counts *counts)
{
    const uint64_t lines[2] = {occurrences(&streams[0], "HTTP/1."), occurrences(&streams[1], "HTTP/1.")};
    const struct http_connection *connection = (const void *)&slot;
    uint64_t waiting = unanswered(connection), requests = lines[0] + lines[1];

    if (!declines)
        requests = lines[request_direction(connection)];
    requests += answered_lines;
    if (waiting + counts->answered + counts->failed > requests)
        fail("counts more requests than were sent", waiting + counts->answered + counts->failed, requests);
    if (!declines && counts->answered > lines[!request_direction(connection)])
        fail("counts more answers than were sent", counts->answered, lines[!request_direction(connection)]);
    if (!losses() && counts->answered + counts->failed != slot.done)
        fail("loses requests between begun and done", counts->answered + counts->failed, slot.done);
}

/* Every size is of a request that is counted, or of its answer; bodies have no more bytes than were sent. */
static void check_sizes(const struct counts *counts)
{
    const struct http_connection *connection = (const void *)&slot;
    uint64_t requests = counts->answered + counts->failed, sent[2] = {streams[0].sent, streams[1].sent};
    uint32_t direction = request_direction(connection);

    if (counts->request_sizes > requests || counts->response_sizes > requests)
        fail("has more sizes than requests", counts->request_sizes + counts->response_sizes, requests);
    if (counts->request_bytes > (declines ? sent[0] + sent[1] : sent[direction]))
        fail("has longer requests than were sent", counts->request_bytes, sent[direction]);
    if (counts->response_bytes > (declines ? sent[0] + sent[1] : sent[!direction]))
        fail("has longer answers than were sent", counts->response_bytes, sent[!direction]);
}

static void begin(uint32_t seed)
{
    memset(&slot, 0, sizeof(slot));
    memset(&stats, 0, sizeof(stats));
    memset(server_rows, 0, sizeof(server_rows));
    memset(client_rows, 0, sizeof(client_rows));
    memset(server_sizes_rows, 0, sizeof(server_sizes_rows));
    memset(client_sizes_rows, 0, sizeof(client_sizes_rows));
    server_index.used = client_index.used = server_sizes_index.used = client_sizes_index.used = bodies.used = 0;
    has_split_target = 0;
    http_server_used = http_client_used = http_server_sizes_used = http_client_sizes_used = 1;
    for (int direction = 0; direction < 2; direction++)
        memset((char *)&streams[direction] + STREAM_BYTES, 0, sizeof(struct stream) - STREAM_BYTES);
    slot.head.cookie = 1;
    slot.head.workload = 1;
    slot.head.tries = 4;
    now_ns = declines = answered_lines = 0;
    random_state = seed;
}

/* The script: records of a byte that says what, and what belongs to it. Returns 1 when bytes were hidden. */
static int play(const uint8_t *data, size_t size, enum manner manner)
{
    int has_hidden = 0;

    for (size_t at = 0; at + 1 < size;) {
        uint32_t direction = data[at] & 1, kind = data[at] >> 1 & 7;
        uint8_t choice = data[at + 1];
        const char *word = (direction ? kAnswerWords : kRequestWords)[choice % WORDS_PER_SIDE];

        at += 2;
        if (kind <= 4) {
            send_bytes(direction, word, strlen(word), manner);
        } else if (kind == 5) {
            size_t length = choice < size - at ? choice : size - at;

            send_bytes(direction, (const char *)data + at, length, manner);
            at += length;
        } else if (kind == 6) {
            has_hidden |= choice % TROUBLES == HIDE;
            make_trouble(direction, choice % TROUBLES);
        }
    }
    arrive(INGRESS);
    arrive(EGRESS);
    return has_hidden;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sock closing = {0};
    struct counts counts[MANNERS], after_close;
    uint64_t lost = 0;
    int has_hidden = 0;

    for (int manner = WHOLE; manner < MANNERS; manner++) {
        begin((uint32_t)size);
        has_hidden |= play(data, size, manner);
        counts[manner] = read_counts();
        check_nothing_is_invented(&counts[manner]);
        check_sizes(&counts[manner]);
        lost += losses();
        if (!has_hidden && !lost && memcmp(&counts[manner], &counts[WHOLE], sizeof(counts[WHOLE])))
            fail(manner == SHUFFLED ? "counts shuffled segments otherwise" : "counts single bytes otherwise",
                 counts[manner].answered + counts[manner].failed, counts[WHOLE].answered + counts[WHOLE].failed);
        on_set_state(&closing, TCP_ESTABLISHED, TCP_CLOSE);
        after_close = read_counts();
        check_nothing_is_invented(&after_close);
        check_sizes(&after_close);
    }
    return 0;
}
