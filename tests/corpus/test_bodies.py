# SPDX-License-Identifier: Apache-2.0
"""Where bodies end: chunks of one byte, trailers, server-sent events, interim answers, early answers, long pipelines."""

import threading
import time

from corpus_case import CorpusCase, case
from corpus_servers import CorpusNginx, UpgradeServer
from support import clients, compare
from support.exchange import ANSWER, REQUEST, Exchange, make_exchanges, serve_exchanges
from support.servers import GoServer

CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENTS = b"GET /events?n=10000 HTTP/1.1\r\nHost: e2e\r\n\r\n"


class ChunkedTest(CorpusCase):
    def ask_node(self, path, times, *options):
        server = self.start_server(UpgradeServer, address="127.0.0.1")
        agent = self.start_agent()
        seen = clients.curl(server.url(path), *options, times=times)
        self.assertEqual(seen, {"200": times})
        self.assert_log_counts(server, {("GET", "200"): times})
        self.assert_counts_equal_log(agent, server)

    @case("chunked", "curl", "Node: three chunks and trailers", "server's log")
    def test_trailers_from_node(self):
        self.ask_node("/trailers", 10)

    @case("chunked", "curl", "Node: 500 chunks of one byte", "server's log")
    def test_chunks_of_one_byte_from_node(self):
        self.ask_node("/bytes?n=500", 5)

    @case("chunked", "curl", "Node: 20 server-sent events, 5 ms apart", "server's log")
    def test_server_sent_events_from_node(self):
        self.ask_node("/events?n=20", 5, "-H", "Accept: text/event-stream", "-N")

    @case("interim", "curl", "Node: 103 twice before the answer", "server's log")
    def test_early_hints_from_node(self):
        self.ask_node("/hints", 10)

    @case("chunked", "raw socket: leaves in the middle of the stream", "Node: server-sent events without end", "server's log")
    def test_a_reader_of_events_that_leaves_counts_once(self):
        server = self.start_server(UpgradeServer, address="127.0.0.1")
        agent = self.start_agent()
        for _ in range(5):
            with clients.connect(server.port) as connection:
                connection.sendall(EVENTS)
                clients.read_head(connection)
                time.sleep(0.03)
        self.assert_log_counts(server, {("GET", "200"): 5})

        def problem():
            for side, rows in self.rows_of_both_sides(agent, server).items():
                if rows.answered or sum(rows.failed.values()) != 5 or {key[:2] for key in rows.failed} != {("GET", "200")}:
                    return f"{side}: {rows}"
            return ""
        compare.wait_until_equal(problem)
        self.remember(server.log_counts(), self.rows_of_both_sides(agent, server))

    @case("chunked", "raw socket", "scripted: 60 KiB of chunks of one byte in one write", "the script")
    def test_ten_thousand_chunks_of_one_byte_in_one_write(self):
        answer = CHUNKED_HEAD + b"1\r\nx\r\n" * 10_000 + b"0\r\n\r\n"
        exchanges = [Exchange("chunks of a byte", answer=(answer,)), Exchange("plain")] * 3
        server = self.start_scripted_server(serve_exchanges(exchanges))
        agent = self.start_agent()
        make_exchanges(server.port, exchanges)
        self.assert_scripted_counts(agent, server.port, {("GET", "200"): 6})

    @case("bodies", "raw socket", "scripted: chunks and lengths that hold requests, answers and ends of chunks", "the script")
    def test_bodies_that_hold_http(self):
        inner = ANSWER + REQUEST + b"0\r\n\r\n"
        chunked = CHUNKED_HEAD + b"%x\r\n%s\r\n" % (len(inner), inner) * 3 + b"0\r\n\r\n"
        plain = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (100 * len(inner)) + inner * 100
        post = b"POST / HTTP/1.1\r\nHost: e2e\r\nContent-Length: %d\r\n\r\n" % (50 * len(REQUEST)) + REQUEST * 50
        exchanges = [Exchange("chunks", answer=(chunked,)), Exchange("answer", answer=(plain,)),
                     Exchange("segments", answer=(CHUNKED_HEAD, *(b"%x\r\n" % len(inner), inner, b"\r\n") * 3, b"0\r\n\r\n")),
                     Exchange("request", request=(post,)),
                     Exchange("both", request=(post[:-len(REQUEST) * 50], *(REQUEST,) * 50), answer=(plain,))] * 2
        server = self.start_scripted_server(serve_exchanges(exchanges))
        agent = self.start_agent()
        make_exchanges(server.port, exchanges)
        self.assert_scripted_counts(agent, server.port, {("GET", "200"): 6, ("POST", "200"): 4})


class UploadTest(CorpusCase):
    @case("uploads", "curl, an upload of 3 MB", "nginx, refuses it with 413 while it comes", "access log")
    def test_an_answer_that_comes_before_the_upload_ends(self):
        server = self.start_server(CorpusNginx)
        agent = self.start_agent()
        body = f"{self.directory}/upload"
        with open(body, "wb") as file:
            file.truncate(3_000_000)
        url = server.url("/early", address="127.0.0.1")
        seen = clients.curl(url, "-H", "Expect:", "--data-binary", f"@{body}", times=5)
        self.assertEqual(seen, {"413": 5})
        self.assert_log_counts(server, {("POST", "413"): 5})
        self.assert_counts_equal_log(agent, server)

    @case("uploads", "raw socket: goes on with its upload behind the answer, then asks again", "scripted: answers at once",
          "the script")
    def test_an_upload_that_goes_on_behind_its_answer(self):
        upload = b"POST / HTTP/1.1\r\nHost: e2e\r\nContent-Length: 60000\r\n\r\n"

        def script(connection, reader):
            for _ in range(5):
                clients.read_exactly(connection, len(upload))
                connection.sendall(ANSWER)
                clients.read_exactly(connection, 60_000)
                clients.read_exactly(connection, len(REQUEST))
                connection.sendall(ANSWER)

        server = self.start_scripted_server(script)
        agent = self.start_agent()
        with clients.connect(server.port) as connection:
            for _ in range(5):
                connection.sendall(upload)
                clients.read_response(connection)
                for _ in range(60):
                    connection.sendall(REQUEST[:20] * 50)
                connection.sendall(REQUEST)
                clients.read_response(connection)
        self.assert_scripted_counts(agent, server.port, {("POST", "200"): 5, ("GET", "200"): 5})

    @case("interim", "curl, `Expect: 100-continue`, refused", "nginx, 413 instead of 100", "access log")
    def test_an_expectation_that_fails(self):
        server = self.start_server(CorpusNginx)
        agent = self.start_agent()
        seen = clients.curl(server.url("/early", address="127.0.0.1"), "-H", "Expect: 100-continue", "--data-binary",
                            "x" * 5000, times=5)
        self.assertEqual(seen, {"413": 5})
        self.assert_counts_equal_log(agent, server)


class PipeliningTest(CorpusCase):
    @case("pipelining", "raw socket: depths 1 to 8, 64, 512, 3,000 in one write", "nginx", "access log")
    def test_depths_up_to_3000_to_nginx(self):
        server = self.start_server(CorpusNginx)
        agent = self.start_agent()
        depths = [*range(1, 9), 64, 512, 3000]
        for depth in depths:
            with clients.connect(server.port) as connection:
                writer = threading.Thread(target=connection.sendall, args=(REQUEST * depth,))
                writer.start()
                for _ in range(depth):
                    clients.read_response(connection)
                writer.join()
        self.assert_log_counts(server, {("GET", "200"): sum(depths)})
        self.assert_counts_equal_log(agent, server)

    @case("pipelining", "raw socket: GET, POST with a body, HEAD, 404, chunked, by turns, 30 deep", "Go net/http",
          "server's log")
    def test_mixed_requests_to_go(self):
        server = self.start_server(GoServer)
        agent = self.start_agent()
        group = (REQUEST, b"POST /post HTTP/1.1\r\nHost: e2e\r\nContent-Length: 5\r\n\r\nhello", b"HEAD" + REQUEST[3:],
                 REQUEST.replace(b" / ", b" /missing "), REQUEST.replace(b" / ", b" /empty "))
        with clients.connect(server.port) as connection:
            for _ in range(10):
                connection.sendall(b"".join(group) * 6)
                for number in range(30):
                    clients.read_response(connection, has_body=number % 5 != 2)
        self.assert_log_counts(server, 300)
        self.assert_counts_equal_log(agent, server)
