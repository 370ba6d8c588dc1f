# SPDX-License-Identifier: Apache-2.0
"""Heads as long as servers take them, cut at every byte, with empty lines before them, odd methods and odd targets."""

import collections
import contextlib

from corpus_case import CorpusCase, case
from corpus_servers import CorpusNginx, UpgradeServer
from support import clients, compare
from support.exchange import ANSWER, REQUEST, Exchange, cut, make_exchanges, serve_exchanges

LONG_REQUEST = b"GET / HTTP/1.1\r\nHost: e2e\r\n" + b"".join(b"X-%d: %s\r\n" % (i, b"v" * 1000) for i in range(64)) + b"\r\n"
LONG_TARGET = b"GET /?" + b"q" * 65000 + b" HTTP/1.1\r\nHost: e2e\r\n\r\n"
LONG_ANSWER = b"HTTP/1.1 200 OK\r\nX-Long: " + b"w" * 65536 + b"\r\nContent-Length: 5\r\n\r\nhello"


class HeadsTest(CorpusCase):
    def ask(self, *requests, times=1, server_class=CorpusNginx):
        server = self.start_server(server_class, address="127.0.0.1")
        agent = self.start_agent()
        with clients.connect(server.port) as connection:
            for request in requests * times:
                connection.sendall(request)
                clients.read_response(connection, has_body=not request.startswith(b"HEAD"))
        return agent, server

    @case("heads", "raw socket: 64 fields of 1 KiB", "nginx, `large_client_header_buffers 8 128k`", "access log")
    def test_request_heads_of_64_kib(self):
        agent, server = self.ask(LONG_REQUEST, REQUEST, times=5)
        self.assert_log_counts(server, {("GET", "200"): 10})
        self.assert_counts_equal_log(agent, server)

    @case("heads", "raw socket: a target of 65,000 bytes", "nginx", "access log")
    def test_a_target_of_64_kib(self):
        agent, server = self.ask(LONG_TARGET, REQUEST, times=5)
        self.assert_log_counts(server, {("GET", "200"): 10})
        self.assert_counts_equal_log(agent, server)

    @case("heads", "raw socket: a target of 4 MB without an end", "nginx, refuses it with 414 while it comes",
          "access log, which has no method")
    def test_a_target_that_is_refused_before_its_end(self):
        server = self.start_server(CorpusNginx, address="127.0.0.1")
        agent = self.start_agent()
        for _ in range(3):
            with clients.connect(server.port) as connection:
                with contextlib.suppress(ConnectionError):
                    connection.sendall(b"GET /" + b"q" * 4_000_000)
                self.assertIn(b" 414 ", connection.recv(4096))
        self.assert_log_counts(server, {("_OTHER", "414"): 3})
        truth = collections.Counter({("GET", "414"): 3})
        compare.wait_until_equal(lambda: "\n".join(filter(None, (
            compare.differences(side, rows, truth, collections.Counter())
            for side, rows in self.rows_of_both_sides(agent, server).items()))))
        self.remember(truth, self.rows_of_both_sides(agent, server))

    @case("heads", "raw socket", "scripted: an answer with a field of 64 KiB", "the script")
    def test_answer_heads_of_64_kib(self):
        exchanges = [Exchange("long", answer=(LONG_ANSWER,)), Exchange("in pieces", answer=cut(LONG_ANSWER, 30000, 60001)),
                     Exchange("plain")] * 3
        server = self.start_scripted_server(serve_exchanges(exchanges))
        agent = self.start_agent()
        make_exchanges(server.port, exchanges)
        self.assert_scripted_counts(agent, server.port, {("GET", "200"): 9})

    @case("heads", "raw socket: empty lines before requests", "nginx", "access log")
    def test_empty_lines_before_requests(self):
        agent, server = self.ask(b"\r\n" + REQUEST, b"\r\n\r\n" + REQUEST, REQUEST + b"\r\n", REQUEST)
        self.assert_log_counts(server, {("GET", "200"): 4})
        self.assert_counts_equal_log(agent, server)

    @case("heads", "raw socket: BREW, PROPFIND, M-SEARCH, VERSION-CONTROL, PRI, PROXY", "nginx, answers 405", "access log")
    def test_odd_methods_are_other(self):
        requests = [method + REQUEST[3:] for method in (b"BREW", b"PROPFIND", b"VERSION-CONTROL", b"PRI", b"PROXY")]
        agent, server = self.ask(*requests, REQUEST)
        self.assert_log_counts(server, 6)
        self.assertEqual(sum(count for (method, _), count in server.log_counts().items() if method == "_OTHER"), 5)
        self.assert_counts_equal_log(agent, server)

    @case("heads", "raw socket: `GET http://host/`, `OPTIONS *`", "Node", "server's log")
    def test_absolute_and_asterisk_targets(self):
        agent, server = self.ask(REQUEST.replace(b"GET /", b"GET http://e2e/"), b"OPTIONS *" + REQUEST[5:],
                                 REQUEST.replace(b"GET /", b"GET http://e2e/?u=http://x/HTTP/1.1"), times=3,
                                 server_class=UpgradeServer)
        self.assert_log_counts(server, 9)
        self.assert_counts_equal_log(agent, server)

    @case("heads", "curl `--proxy`: absolute-form targets", "nginx", "access log")
    def test_requests_of_a_client_that_takes_the_server_for_a_proxy(self):
        server = self.start_server(CorpusNginx)
        agent = self.start_agent()
        clients.curl("http://example.invalid/", "--noproxy", "", "--proxy", server.url(address="127.0.0.1"), times=5)
        self.assert_log_counts(server, {("GET", "200"): 5})
        self.assert_counts_equal_log(agent, server)


class EveryCutTest(CorpusCase):
    @case("cuts", "raw socket: a request in two segments, cut once at each of its bytes", "scripted", "the script")
    def test_requests_cut_at_every_byte(self):
        request = b"POST /a HTTP/1.1\r\nHost: e2e\r\nContent-Length: 3\r\n\r\nabc"
        exchanges = [Exchange(str(place), request=cut(request, place)) for place in range(1, len(request))]
        self.check(exchanges, ("POST", "200"))

    @case("cuts", "raw socket", "scripted: an answer in two segments, cut once at each of its bytes", "the script")
    def test_answers_cut_at_every_byte(self):
        self.check([Exchange(str(place), answer=cut(ANSWER, place)) for place in range(1, len(ANSWER))], ("GET", "200"))

    @case("cuts", "raw socket", "scripted: a chunked answer with a trailer, cut once at each of its bytes", "the script")
    def test_chunked_answers_cut_at_every_byte(self):
        answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nab\r\n10\r\n0123456789abcdef\r\n0\r\nX: y\r\n\r\n"
        self.check([Exchange(str(place), answer=cut(answer, place)) for place in range(1, len(answer))], ("GET", "200"))

    def check(self, exchanges, kind):
        server = self.start_scripted_server(serve_exchanges(exchanges))
        agent = self.start_agent()
        make_exchanges(server.port, exchanges)
        self.assert_scripted_counts(agent, server.port, {kind: len(exchanges)})
