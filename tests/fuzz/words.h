/* SPDX-License-Identifier: Apache-2.0
 *
 * What random traffic is made of, in C and C++: pieces of HTTP/1 and its neighbours. Both fuzzers of the http parser use it.
 */
#ifndef LIMPET_FUZZ_WORDS_H
#define LIMPET_FUZZ_WORDS_H

static const char *const kRequestWords[] = {
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD /x HTTP/1.1\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
    "CONNECT a:1 HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "BREW /pot HTTP/1.1\n\n",
    "PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "GET / HTTP/1.1\r\nCookie: GET / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
    "\r\n",
    "body",
    "\r\n\r\n",
    "GET /",
    " HTTP/1.1\r\n",
};

static const char *const kAnswerWords[] = {
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n",
    "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "5\r\nhello\r\n",
    "0\r\n\r\n",
    "0\r\nX: y\r\n\r\n",
    "HTTP/1.0 200 OK\r\n\r\n",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n3\r\nHTT\r\n0\r\n\r\n",
    "01234567890123456789",
    "HTTP/1.1 2",
    "HTTP/1.1 503 Oops\nContent-Length:1\n\nx",
};

#define WORDS_PER_SIDE 16

#endif
