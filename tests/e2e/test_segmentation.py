# SPDX-License-Identifier: Apache-2.0
"""Messages are counted once, however the sender cuts them into segments or joins them in one."""

import unittest

from support import clients
from support.case import EndToEndCase
from support.exchange import ANSWER, REQUEST, Exchange, cut, every_byte, make_exchanges, serve_exchanges
from support.servers import Nginx

POST = b"POST /form HTTP/1.1\r\nHost: e2e\r\nContent-Length: 11\r\n\r\nhello=world"
CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: 3\r\n\r\nyes"
LONG_HEAD = b"GET / HTTP/1.1\r\nHost: e2e\r\nCookie: " + b"c" * 6000 + b"\r\n\r\n"

CUTS = [
    Exchange("request whole, answer whole"),
    Exchange("request cut inside its method", request=cut(REQUEST, 2)),
    Exchange("request cut behind its first byte", request=cut(REQUEST, 1)),
    Exchange("request cut inside the version", request=cut(REQUEST, 12)),
    Exchange("request cut inside a header", request=cut(REQUEST, 20)),
    Exchange("request cut inside the last blank line", request=cut(REQUEST, len(REQUEST) - 1)),
    Exchange("request cut before the last blank line", request=cut(REQUEST, len(REQUEST) - 2)),
    Exchange("request in single bytes", request=every_byte(REQUEST)),
    Exchange("answer cut inside HTTP/", answer=cut(ANSWER, 3)),
    Exchange("answer cut before the status code", answer=cut(ANSWER, 9)),
    Exchange("answer cut inside the status code", answer=cut(ANSWER, 10)),
    Exchange("answer cut behind the status code", answer=cut(ANSWER, 12)),
    Exchange("answer cut inside the word Content-Length", answer=cut(ANSWER, 25)),
    Exchange("answer cut before the length's digits", answer=cut(ANSWER, ANSWER.index(b" 5\r") + 1)),
    Exchange("answer cut inside the last blank line", answer=cut(ANSWER, ANSWER.index(b"\r\n\r\n") + 3)),
    Exchange("answer's head and body apart", answer=cut(ANSWER, ANSWER.index(b"\r\n\r\n") + 4)),
    Exchange("answer cut inside its body", answer=cut(ANSWER, len(ANSWER) - 2)),
    Exchange("answer in single bytes", answer=every_byte(ANSWER)),
    Exchange("request's head and body apart", request=cut(POST, POST.index(b"\r\n\r\n") + 4), answer=(CREATED,),
             counted=("POST", "201")),
    Exchange("both in single bytes", request=every_byte(POST), answer=every_byte(CREATED), counted=("POST", "201")),
    Exchange("request's head over several segments", request=cut(LONG_HEAD, 1400, 2800, 4200, 5600)),
]


def pipelined(depth):
    """`depth` requests in one write, answered in one write."""
    return [Exchange(f"{depth} pipelined requests", request=(REQUEST * depth,), answer=(ANSWER * depth,))]


class SegmentationTest(EndToEndCase):
    def run_exchanges(self, agent, exchanges, counted):
        server = self.start_scripted_server(serve_exchanges(exchanges))
        before = self.scripted_rows(agent, server.port)
        make_exchanges(server.port, exchanges)
        self.assert_scripted_counts(agent, server.port, counted, before=before)

    def test_each_cut_is_counted_once_and_the_next_request_as_well(self):
        agent = self.start_agent()
        for exchange in CUTS:
            with self.subTest(exchange.description):
                follower = Exchange("a plain one afterwards", request=(POST,), answer=(CREATED,))
                counted = {exchange.counted: 1, ("POST", "201"): 1}
                if exchange.counted == ("POST", "201"):
                    counted = {("POST", "201"): 2}
                self.run_exchanges(agent, [exchange, follower], counted)

    def test_all_cuts_over_one_connection(self):
        counted = {}
        for exchange in CUTS:
            counted[exchange.counted] = counted.get(exchange.counted, 0) + 1
        self.run_exchanges(self.start_agent(), CUTS, counted)

    def test_8_pipelined_requests_in_one_write(self):
        self.run_exchanges(self.start_agent(), pipelined(8) * 3, {("GET", "200"): 24})

    def test_32_pipelined_requests_in_one_write(self):
        self.run_exchanges(self.start_agent(), pipelined(32) * 3, {("GET", "200"): 96})

    def test_pipelined_requests_answered_one_by_one(self):
        exchange = Exchange("8 requests in one write", request=(REQUEST * 8,), answer=(ANSWER,) * 8)
        self.run_exchanges(self.start_agent(), [exchange] * 3, {("GET", "200"): 24})

    def test_pipelined_requests_with_different_answers(self):
        exchange = Exchange("GET, POST, GET", request=(REQUEST + POST + REQUEST,), answer=(ANSWER + CREATED + ANSWER,))
        self.run_exchanges(self.start_agent(), [exchange] * 5, {("GET", "200"): 10, ("POST", "201"): 5})

    def test_pipelined_requests_to_nginx(self):
        server = self.start_server(Nginx)
        agent = self.start_agent()
        for depth in (2, 8, 32):
            with clients.connect(server.port) as connection:
                for _ in range(5):
                    connection.sendall(REQUEST * depth)
                    for _ in range(depth):
                        clients.read_response(connection)
        self.assert_log_counts(server, {("GET", "200"): 5 * (2 + 8 + 32)})
        self.assert_counts_equal_log(agent, server)


if __name__ == "__main__":
    unittest.main()
