# SPDX-License-Identifier: Apache-2.0
"""Durations run from a request's first byte to its answer's last, time to first byte to its first."""

import unittest

from support import clients
from support import places
from support.case import EndToEndCase
from support.netns import NetworkNamespace
from support.servers import GoServer, Nginx


class DurationsTest(EndToEndCase):
    def histograms(self, agent, server, metric):
        """The metric of both sides for this server's traffic."""
        exposition = agent.metrics()
        return {"server": exposition.histogram(f"http_server_{metric}_seconds", service_name=server.service_name),
                "client": exposition.histogram(f"http_client_{metric}_seconds", server_port=str(server.port))}

    def measure(self, server_class, path, requests, connections):
        server = self.start_server(server_class)
        agent = self.start_agent()
        clients.h2load(server.url(path), requests, connections)
        self.assert_counts_equal_log(agent, server)
        return agent, server

    def test_a_handler_of_5_ms_takes_5_to_9_ms(self):
        agent, server = self.measure(GoServer, "/?sleep=5ms", 1000, 4)
        for side, histogram in self.histograms(agent, server, "request_duration").items():
            self.assertEqual(histogram.count, 1000, side)
            self.assertGreaterEqual(histogram.mean(), 0.005, side)
            self.assertLess(histogram.mean(), 0.009, side)
            below = [count for bound, count in histogram.buckets.items() if bound < 0.005]
            self.assertEqual(max(below), 0, f"{side}: answers faster than the handler: {histogram.buckets}")

    def test_the_clients_duration_is_not_shorter_than_the_servers(self):
        agent, server = self.measure(GoServer, "/?sleep=5ms", 500, 2)
        durations = self.histograms(agent, server, "request_duration")
        self.assertGreaterEqual(durations["client"].sum, durations["server"].sum)

    def test_an_answer_at_once_takes_less_than_5_ms(self):
        agent, server = self.measure(Nginx, "/", 2000, 2)
        for side, histogram in self.histograms(agent, server, "request_duration").items():
            self.assertLess(histogram.mean(), 0.005, side)
            self.assertGreater(histogram.sum, 0, side)

    def test_a_slowly_streamed_body_has_a_short_time_to_first_byte_and_a_long_duration(self):
        agent, server = self.measure(GoServer, "/?chunks=4&pause=200ms", 8, 4)
        first_byte = self.histograms(agent, server, "time_to_first_byte")
        for side, histogram in self.histograms(agent, server, "request_duration").items():
            self.assertGreaterEqual(histogram.mean(), 0.6, side)
            self.assertLess(histogram.mean(), 0.7, side)
            self.assertEqual(first_byte[side].count, 8, side)
            self.assertLess(first_byte[side].mean(), 0.05, side)

    def test_time_to_first_byte_includes_the_handlers_sleep(self):
        agent, server = self.measure(GoServer, "/?sleep=50ms&chunks=2&pause=100ms", 20, 4)
        for side, histogram in self.histograms(agent, server, "time_to_first_byte").items():
            self.assertGreaterEqual(histogram.mean(), 0.05, side)
            self.assertLess(histogram.mean(), 0.08, side)

    def test_what_waits_in_loopbacks_own_queue_has_not_arrived(self):
        """Where nothing holds a segment, it arrives at its host's other end when it is sent, and the clock is not read again."""
        namespace = NetworkNamespace()
        self.addCleanup(namespace.close)
        namespace.run(places.tool("tc"), "qdisc", "add", "dev", "lo", "root", "tbf", "rate", "64kbit", "burst", "1600",
                      "latency", "5s")
        server = self.start_server(Nginx, wrapper=namespace.wrapper)
        agent = self.start_agent()
        clients.h2load(server.url(), 30, 1, wrapper=namespace.wrapper)
        self.assert_counts_equal_log(agent, server)
        durations = self.histograms(agent, server, "request_duration")
        self.assertGreater(durations["client"].mean(), 0.03)
        self.assertLess(durations["server"].mean(), 0.005)

    def test_a_slow_reader_makes_the_duration_long(self):
        server = self.start_server(Nginx)
        agent = self.start_agent()
        with clients.connect(server.port) as connection:
            connection.sendall(b"GET /huge HTTP/1.1\r\nHost: e2e\r\n\r\n")
            seconds_read = clients.read_slowly(connection, Nginx.HUGE_BYTES, pauses=6, pause_seconds=0.1)
        self.assert_counts_equal_log(agent, server)
        for side, histogram in self.histograms(agent, server, "request_duration").items():
            # the last sixth may lie in the socket buffers before the reader comes to it
            self.assertGreaterEqual(histogram.mean(), 0.4, side)
            self.assertLessEqual(histogram.mean(), seconds_read + 0.05, side)


if __name__ == "__main__":
    unittest.main()
