/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * What is remembered of an HTTP/1 connection, and the names of states and methods: shared by both sides of the probe.
 *
 * Both directions of a connection may run at the same time on two CPUs: each has a half of the state, which the other one
 * reads at most.
 */
#ifndef LIMPET_HTTP_SHARED_H
#define LIMPET_HTTP_SHARED_H

#include <linux/types.h>

#include <limpet/connection.h>

#ifdef __cplusplus
#define SHARED_SIZE(type, bytes) static_assert(sizeof(type) == (bytes), "as the kernel side has it")
#else
#define SHARED_SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), "as user space has it")
#endif

#define QUEUE_LENGTH 8  /* pipelined requests with their own start times and routes; more have a later one's time */
#define METHODS_KEPT 64 /* … with their own methods, which tell where answers end; more, with a mix of them, are told */
#define METHOD_BITS 4   /* of a queued request */
#define ROUTE_BITS 10   /* … above them */
#define HAS_BODY (1 << (METHOD_BITS + ROUTE_BITS)) /* above them: how long it is stands in pipelined_bodies */
#define REQUEST_BITS (METHOD_BITS + ROUTE_BITS + 1)

enum http_state {
    STATE_START = 0,    /* between messages */
    STATE_REQUEST_LINE, /* the other states of lines are of enum line_state */
    STATE_STATUS_LINE,
    STATE_HEADERS,
    STATE_CHUNK_SIZE,
    STATE_TRAILERS,    /* fields behind the last chunk */
    STATE_BODY,        /* body_left bytes of known length */
    STATE_CHUNK_DATA,  /* body_left bytes of the chunk */
    STATE_BLIND,       /* a body of unknown length, bytes of its head or chunks were missed: ends like a last chunk, or
                        * before the next message, or with the connection */
    STATE_UNTIL_CLOSE, /* a body that the end of the connection ends */
    STATE_LOST,        /* the boundary of messages was lost; looks for one at each segment's start */
    STATE_TUNNEL,      /* not HTTP any more */
};

/* Where in a line the next byte stands. */
enum line_state {
    LINE_START = 0,
    LINE_REST,    /* what follows does not matter; looks for the line's end */
    LINE_BLANK,   /* headers: behind the CR of an empty line */
    LENGTH_VALUE, /* headers: in the value of Content-Length */
    CODING_VALUE, /* headers: before the value of Transfer-Encoding */
    CHUNK_DIGITS, /* chunk size: behind its first digit */
    CHUNK_BREAK,  /* chunk size: in the line break that ends the chunk before */
    /* from here on the low five bits count the characters that have been read of a word */
    METHOD_NAME = 32,
    STATUS_START = 64,
    LENGTH_NAME = 96,
    CODING_NAME = 128,
    PROXY_HEADER =
        160, /* request line: in the PROXY protocol's second version, behind four bytes that look like empty lines */
};
#define LINE_WORD 0xe0
#define LINE_CHARACTERS 0x1f

/* In the order of the list METHODS in http_series.bpf.h. */
enum http_method {
    METHOD_OTHER = 0,
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_DELETE,
    METHOD_CONNECT,
    METHOD_OPTIONS,
    METHOD_TRACE,
    METHOD_PATCH,
    METHOD_PROXY = 15, /* no method: the line is one of the PROXY protocol, or will be called METHOD_OTHER at its end */
};

enum http_error {
    ERROR_NONE = 0,
    ERROR_RESET,
    ERROR_TIMEOUT,
    ERROR_TRUNCATED,
};

enum half_flags {
    HALF_CARRIES_REQUESTS = 1 << 0,
    HALF_HAS_LENGTH = 1 << 1,   /* the head read last has a Content-Length */
    HALF_IS_CHUNKED = 1 << 2,   /* … a Transfer-Encoding */
    HALF_HAS_FIN = 1 << 3,      /* fin_sequence is valid */
    HALF_HAS_AHEAD = 1 << 4,    /* bytes have passed before those in front of them */
    HALF_IS_CONFIRMED = 1 << 5, /* a first line of this direction was HTTP/1 */
    HALF_IS_FRESH = 1 << 6,     /* the direction's first byte was the first that its connection ever sent */
    HALF_IS_MET = 1 << 7,       /* a segment of this direction has been seen; else all is 0 */
};

/* One direction. */
struct http_half {
    __u64 body_left; /* bytes of the body or chunk still to come; in a first line its last eight bytes; in STATE_BLIND
                      * the time of the last segment */
    __u64 first_ns;  /* when the message being read began */
    __u32 next_sequence; /* of the first byte not parsed yet */
    __u8 state;          /* enum http_state */
    __u8 line;           /* enum line_state */
    __u8 method;         /* of the request being read */
    __u8 flags;          /* enum half_flags */
};
SHARED_SIZE(struct http_half, 24);

/* The head that a direction has sent last, for repeat_head, and how long the body behind it is. */
struct http_head {
    __u64 hash;
    __u32
        body_length; /* its Content-Length; else the bytes of the body so far, as far as they are known: see http_bodies.bpf.h */
    __u16 bytes : 9;          /* 0: none */
    __u16 misses : 7;         /* heads in a row that were not the one before */
    __u16 route : ROUTE_BITS; /* the request's; with responses that of the one counted last, whose row `row` is */
    __u16 body_high : 6;      /* of body_length, above its 32 bits */
};
SHARED_SIZE(struct http_head, 16);

/* What a direction needs when segments are lost, reordered or the last. */
struct http_order {
    __u32 ahead_from; /* bytes [ahead_from, ahead_to) have passed before those in front of them, and were not kept */
    __u32 ahead_to;
    __u32 fin_sequence;
    __u16 stash_plus_one; /* what has passed early and is kept; 0: none. See http_stash.bpf.h */
    __u8 has_range;       /* ahead_from, ahead_to are valid */
    __u8 range_ends;      /* the bytes up to ahead_to end like a last chunk */
};

enum http_direction { INGRESS = 0, EGRESS = 1 };

/* A connection, as limpet_connection lays it out: a line that is read, a line that every message writes, and the rest. Arrays
 * of two are by enum http_direction. */
struct http_connection {
    struct limpet_connection_head head;
    struct http_head heads[2];
    __u32 row;              /* of the response counted last */
    __u32 row_key;          /* … and what it was found by, beside its route; 0: none */
    __u16 status;           /* of the response being read */
    __u16 rest_may_come;    /* 1: of an answer that was given up: it is no message, and nothing is lost with it */
    __u16 line_is_answered; /* 1: the request whose first line is being read is queued: its answer has come */
    __u16 unused;

    __u16 last_used; /* the agent's */
    __u16 begun;     /* requests queued */
    __u16 done;      /* … and answered, or given up */
    __u16 lock;      /* limpet_enter's */
    __u64 newest;    /* the request queued last, start_ns << REQUEST_BITS | HAS_BODY | route << METHOD_BITS | method */
    struct http_half halves[2];

    __u64 older[QUEUE_LENGTH]; /* requests before the newest, by number modulo QUEUE_LENGTH */
    struct http_order order[2];
    __u8 older_methods[METHODS_KEPT / 2]; /* … by number modulo METHODS_KEPT, two to a byte */
};
SHARED_SIZE(struct http_connection, LIMPET_CONNECTION_BYTES);

#endif
