# SPDX-License-Identifier: Apache-2.0
"""Durations to the last byte and to the first equal those in a packet capture, within 100 µs or 1 %."""

import socket
import time

from capture import Capture
from corpus_case import CorpusCase, case
from support import clients
from support.servers import GoServer

TOLERANCE_SECONDS, TOLERANCE_SHARE = 0.0001, 0.01
TRUTH = "packet capture (tcpdump)"
DOWNLOAD_BYTES = 100_000_000


def request(query):
    return f"GET /?{query} HTTP/1.1\r\nHost: e2e\r\n\r\n".encode()


class DurationsTest(CorpusCase):
    def setUp(self):
        super().setUp()
        self.server = self.start_server(GoServer, address="127.0.0.1")
        self.agent = self.start_agent()
        self.capture = Capture(self.directory, self.server.port)
        self.addCleanup(self.capture.process.kill)

    def compare(self, requests):
        """Each status code's durations and times to first byte, on average, at both ends, against the capture's."""
        self.assert_counts_equal_log(self.agent, self.server)
        self.capture.stop()
        exchanges = self.capture.exchanges()
        self.assertEqual(sum(map(len, exchanges.values())), requests)
        exposition = self.agent.metrics()
        wrong = []
        for status, ones in exchanges.items():
            for metric, truth in (("request_duration", sum(one.duration for one in ones) / len(ones)),
                                  ("time_to_first_byte", sum(one.first_byte for one in ones) / len(ones))):
                for side, labels in (("server", {"service_name": self.server.service_name}),
                                     ("client", {"server_port": str(self.server.port)})):
                    histogram = exposition.histogram(f"http_{side}_{metric}_seconds", http_response_status_code=str(status),
                                                     **labels)
                    self.assertEqual(histogram.count, len(ones))
                    if abs(histogram.mean() - truth) > max(TOLERANCE_SECONDS, truth * TOLERANCE_SHARE):
                        wrong.append(f"{side} {metric} {status}: {histogram.mean():.6f} s, in the capture {truth:.6f} s")
        self.assertFalse(wrong, "\n".join(wrong))

    def ask(self, *queries, times=1):
        with clients.connect(self.server.port) as connection:
            for _ in range(times):
                for query in queries:
                    connection.sendall(request(query))
                    clients.read_response(connection)

    @case("durations", "raw socket: 40 requests", "Go net/http, sleeps 5 ms", TRUTH)
    def test_answers_after_5_ms(self):
        self.ask("sleep=5ms&status=500", times=40)
        self.compare(40)

    @case("durations", "raw socket", "Go net/http, sleeps 2 s", TRUTH)
    def test_an_answer_after_2_s(self):
        self.ask("sleep=2s&status=500")
        self.compare(1)

    @case("durations", "curl", "Go net/http, sleeps 20 ms, then five chunks, 40 ms apart", TRUTH)
    def test_chunks_with_pauses(self):
        clients.curl(self.server.url("/?sleep=20ms&chunks=5&pause=40ms&size=200"), times=5)
        self.compare(5)

    @case("durations", "raw socket: 8 requests in one write", "Go net/http, answers each after 20 ms more", TRUTH)
    def test_8_pipelined_requests_each_have_their_own_durations(self):
        with clients.connect(self.server.port) as connection:
            connection.sendall(b"".join(request(f"sleep=20ms&size=50&status={500 + i}") for i in range(8)))
            for _ in range(8):
                clients.read_response(connection)
        self.compare(8)

    @case("durations", "raw socket: 8 requests, 10 ms apart, none waiting for an answer", "Go net/http, 30 ms each", TRUTH)
    def test_8_requests_that_overlap(self):
        with clients.connect(self.server.port) as connection:
            for i in range(8):
                connection.sendall(request(f"sleep=30ms&size=50&status={500 + i}"))
                time.sleep(0.01)
            for _ in range(8):
                clients.read_response(connection)
        self.compare(8)

    @case("durations", "raw socket with a small buffer: reads 100 MB in about a second and a half", "Go net/http", TRUTH)
    def test_a_download_over_a_slow_reader(self):
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            connection.connect(("127.0.0.1", self.server.port))
            connection.sendall(request(f"size={DOWNLOAD_BYTES}&status=500"))
            clients.read_slowly(connection, DOWNLOAD_BYTES, pauses=25, pause_seconds=0.04)
        self.compare(1)
