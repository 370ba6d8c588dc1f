# SPDX-License-Identifier: Apache-2.0
"""Where an answer ends: lengths, chunks, statuses without a body, interim answers, and the close of the connection."""

import unittest

from support import clients
from support.case import EndToEndCase
from support.exchange import ANSWER, Exchange, cut, every_byte, make_exchanges, serve_exchanges
from support.servers import GoServer

HEAD = b"HEAD / HTTP/1.1\r\nHost: e2e\r\n\r\n"
POST_EXPECTING = b"POST / HTTP/1.1\r\nHost: e2e\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody"
CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKED = CHUNKED_HEAD + b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
CHUNKED_POST = b"POST / HTTP/1.1\r\nHost: e2e\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </s.css>; rel=preload\r\n\r\n"
PADDING = b"X-Padding: " + b"v" * 40 + b"\r\n"
FOLLOWER = Exchange("a plain PUT afterwards", request=(b"PUT /f HTTP/1.1\r\nHost: e2e\r\nContent-Length: 2\r\n\r\nhi",),
                    answer=(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",), counted=("PUT", "202"))

FRAMINGS = [
    Exchange("chunked in one write", answer=(CHUNKED,)),
    Exchange("chunked, a write for each chunk",
             answer=cut(CHUNKED, len(CHUNKED_HEAD), len(CHUNKED_HEAD) + 10, len(CHUNKED) - 5)),
    Exchange("chunked in single bytes", answer=every_byte(CHUNKED)),
    Exchange("chunked, last chunk in a segment of its own", answer=cut(CHUNKED, len(CHUNKED) - 5)),
    Exchange("chunked, last chunk cut in two", answer=cut(CHUNKED, len(CHUNKED) - 2)),
    Exchange("chunked, without any chunk", answer=(CHUNKED_HEAD + b"0\r\n\r\n",)),
    Exchange("chunked, header in small letters", answer=(CHUNKED.replace(b"Transfer-Encoding", b"transfer-encoding"),)),
    Exchange("length 0", answer=(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",)),
    Exchange("length in small letters", answer=(ANSWER.replace(b"Content-Length", b"content-length"),)),
    Exchange("length without a space", answer=(ANSWER.replace(b": 5", b":5"),)),
    Exchange("length as the last of many headers",
             answer=(ANSWER.replace(b"Content-Length", PADDING * 8 + b"Content-Length"),)),
    Exchange("a body of 300 KiB", answer=(b"HTTP/1.1 200 OK\r\nContent-Length: 307200\r\n\r\n" + b"z" * 307200,)),
    Exchange("HEAD with a length but no body", request=(HEAD,), counted=("HEAD", "200"),
             answer=(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",)),
    Exchange("HEAD that announces chunks", request=(HEAD,), answer=(CHUNKED_HEAD,), counted=("HEAD", "200")),
    Exchange("204 without a length", answer=(b"HTTP/1.1 204 No Content\r\nServer: s\r\n\r\n",), counted=("GET", "204")),
    Exchange("304 with the length of what it stands for", counted=("GET", "304"),
             answer=(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n",)),
    Exchange("100 Continue before the answer", request=cut(POST_EXPECTING, len(POST_EXPECTING) - 4),
             answer=(CONTINUE, ANSWER), counted=("POST", "200")),
    Exchange("100 Continue and the answer in one write", request=(POST_EXPECTING,), answer=(CONTINUE + ANSWER,),
             counted=("POST", "200")),
    Exchange("103 Early Hints before the answer", answer=(EARLY_HINTS, ANSWER)),
    Exchange("103 twice in one segment with the answer", answer=(EARLY_HINTS * 2 + ANSWER,)),
    Exchange("chunked request", request=(CHUNKED_POST,), counted=("POST", "200")),
    Exchange("chunked request in pieces",
             request=cut(CHUNKED_POST, 20, 60, len(CHUNKED_POST) - 5), counted=("POST", "200")),
    Exchange("answer without a reason phrase", answer=(ANSWER.replace(b"200 OK", b"200 "),)),
    Exchange("a body that looks like a request",
             answer=(b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\nGET / HTTP/1.1\r\n",)),
    Exchange("a body that looks like an answer, in a segment of its own",
             answer=(b"HTTP/1.1 200 OK\r\nContent-Length: 43\r\n\r\n", ANSWER)),
    Exchange("an unknown method", request=(b"BREW /pot HTTP/1.1\r\nHost: e2e\r\n\r\n",), counted=("_OTHER", "200")),
]

CLOSING = [
    Exchange("no length: the body ends with the connection", closes=True,
             answer=(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"some text", b"and more")),
    Exchange("HTTP/1.0 without a length", request=(b"GET / HTTP/1.0\r\n\r\n",), closes=True,
             answer=(b"HTTP/1.0 200 OK\r\nServer: old\r\n\r\nsome text",)),
    Exchange("HTTP/1.0 with a length", request=(b"GET / HTTP/1.0\r\n\r\n",), closes=True,
             answer=(b"HTTP/1.0 404 Not Found\r\nContent-Length: 4\r\n\r\ngone",), counted=("GET", "404")),
    Exchange("length and Connection: close", closes=True,
             answer=(b"HTTP/1.1 500 Oops\r\nConnection: close\r\nContent-Length: 4\r\n\r\noops",),
             counted=("GET", "500")),
]


class FramingTest(EndToEndCase):
    def run_exchanges(self, agent, exchanges, counted, address="127.0.0.1"):
        server = self.start_scripted_server(serve_exchanges(exchanges), address=address)
        before = self.scripted_rows(agent, server.port)
        make_exchanges(server.port, exchanges, address)
        self.assert_scripted_counts(agent, server.port, counted, before=before)

    def test_each_framing_is_counted_once_and_the_next_request_as_well(self):
        agent = self.start_agent()
        for exchange in FRAMINGS:
            with self.subTest(exchange.description):
                self.run_exchanges(agent, [exchange, FOLLOWER], {exchange.counted: 1, FOLLOWER.counted: 1})

    def test_each_answer_that_ends_with_its_connection_is_counted_once(self):
        agent = self.start_agent()
        for exchange in CLOSING:
            with self.subTest(exchange.description):
                self.run_exchanges(agent, [exchange], {exchange.counted: 1})

    def test_all_framings_over_one_connection(self):
        counted = {}
        for exchange in FRAMINGS:
            counted[exchange.counted] = counted.get(exchange.counted, 0) + 1
        self.run_exchanges(self.start_agent(), FRAMINGS, counted)

    def test_all_framings_over_one_ipv6_connection(self):
        counted = {}
        for exchange in FRAMINGS:
            counted[exchange.counted] = counted.get(exchange.counted, 0) + 1
        self.run_exchanges(self.start_agent(), FRAMINGS, counted, address="::1")

    def test_expect_100_continue_between_curl_and_go(self):
        server = self.start_server(GoServer)
        agent = self.start_agent()
        clients.curl(server.url("/post"), "-H", "Expect: 100-continue", "--data-binary", "x" * 30_000, times=5)
        self.assert_counts_equal_log(agent, server)

    def test_statuses_without_a_body_between_go_and_a_keep_alive_client(self):
        server = self.start_server(GoServer)
        agent = self.start_agent()
        for path in ("/?status=204", "/?status=304", "/?size=0", "/?size=100"):
            clients.go_client(server.url(path), 20, 1)
        for path in ("/", "/?size=50000", "/?chunks=2"):
            clients.go_client(server.url(path), 20, 1, method="HEAD")
        self.assert_counts_equal_log(agent, server)


if __name__ == "__main__":
    unittest.main()
