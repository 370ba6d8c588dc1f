/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 *
 * One TCP connection at one end, as the agent's tap and the parser that owns it remember it: a value of the map
 * limpet_connections, which both sides of a stream probe may map. Plain C for both.
 *
 * The head and `last_used` belong to the agent, the rest to the parser that owns the connection. It is all zeros when the
 * connection begins and when a parser meets it first.
 *
 * What a segment costs is above all the cache lines that come from another CPU: a connection's two directions run on two. The
 * first line is for what is found out once and then only read, so that both CPUs keep it; the second one for what changes
 * with every message. Keep what every segment needs within these two.
 */
#ifndef LIMPET_CONNECTION_H
#define LIMPET_CONNECTION_H

#include <linux/types.h>

#define LIMPET_CONNECTION_BYTES 256

struct limpet_connection_head {
    __u64 cookie;     /* of the socket, see limpet_cookie_of; 0: free */
    __u8 verdict;     /* 1…15 the owner's number, 255 nobody, else undecided */
    __u8 tries;       /* segments that parsers may still refuse before the connection is nobody's; then an epoch */
    __u16 generation; /* differs from that of the slot's last user */
    __u16 alias;      /* number + 1 of the slot that holds the connection's state instead of this one; 0: none does */
    __u16 workload;   /* number of the workload that owns the socket; 0: unknown. Beside an alias: its generation */
};

struct limpet_connection {
    struct limpet_connection_head head;
    __u8 known[48];  /* the owner's: what it reads with every message and seldom writes */
    __u16 last_used; /* the agent's: in units of about a second */
    __u16 begun;     /* the owner's: requests begun, and those done. Where they differ, the connection is displaced */
    __u16 done;      /* last, and counted as evicted; each is written by one direction only */
    __u16 lock;      /* of the direction that is received, see limpet_enter */
    __u8 state[LIMPET_CONNECTION_BYTES - 72]; /* the owner's */
};

#endif
