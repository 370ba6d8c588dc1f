# SPDX-License-Identifier: Apache-2.0
"""Ten thousand idle connections beside busy ones, and connections that live for one request, as fast as the host can."""

import resource
import time

from corpus_case import CorpusCase, case
from corpus_clients import ENDINGS, churn_client
from corpus_servers import CorpusNginx
from support import clients
from support.exchange import REQUEST
from support.kernel_objects import slots_in_use
from support.servers import GoServer, Nginx

IDLE_CONNECTIONS = 10_000
CHURN_CONNECTIONS = 30_000
DEFERRED_CONNECTIONS = 6_000  # each takes three of the 16,384 slots: one at the client, two at the server


class ScaleTest(CorpusCase):
    def setUp(self):
        super().setUp()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the server inherits it

    def ask_all(self, connections):
        for connection in connections:
            connection.sendall(REQUEST)
        for connection in connections:
            received = b""
            while not received.endswith(b"0123456789abcdef" * 2) or len(received) < 1024:
                received += connection.recv(4096)

    def ask_all_in_turn(self, connections):
        for start in range(0, len(connections), 500):
            self.ask_all(connections[start:start + 500])

    def open_and_ask(self, port, count):
        """Connections that have had an answer each."""
        connections = []
        for _ in range(count):
            connections.append(clients.connect(port))
            self.addCleanup(connections[-1].close)
            if len(connections) % 500 == 0:
                self.ask_all(connections[-500:])
        return connections

    @case("scale", "raw sockets: 10,000 idle, each asks before and after; h2load in between", "Go net/http", "server's log")
    def test_10000_idle_connections_beside_a_busy_one(self):
        server = self.start_server(GoServer, address="127.0.0.1")
        agent = self.start_agent()
        connections = self.open_and_ask(server.port, IDLE_CONNECTIONS)
        self.assert_counts_equal_log(agent, server)
        clients.h2load(server.url(), 20_000, 1)
        self.assert_counts_equal_log(agent, server)
        self.ask_all_in_turn(connections)
        self.assert_log_counts(server, {("GET", "200"): 2 * IDLE_CONNECTIONS + 20_000})
        self.assert_counts_equal_log(agent, server)

    @case("scale", "raw sockets: 6,000 idle, more than there is room for with an early segment each; each asks twice",
          "nginx, `listen … deferred`", "access log")
    def test_idle_connections_of_a_deferred_listener_that_displace_each_other(self):
        server = self.start_server(Nginx, address="127.0.0.1")
        agent = self.start_agent()
        connections = self.open_and_ask(server.deferred_port, DEFERRED_CONNECTIONS)
        self.ask_all_in_turn(connections)
        self.assert_log_counts(server, {("GET", "200"): 2 * DEFERRED_CONNECTIONS})
        self.assert_counts_equal_log(agent, server)

    def check_churn(self, server, port):
        agent = self.start_agent()
        for ending in ENDINGS:
            begin = time.monotonic()
            result = churn_client(port, CHURN_CONNECTIONS, 200, ending)
            print(f"{ending}: {CHURN_CONNECTIONS / (time.monotonic() - begin):.0f} connections/s ", end="", flush=True)
            self.assertEqual((result.answered, result.failed), (CHURN_CONNECTIONS, 0), result.output)
        self.assert_log_counts(server, len(ENDINGS) * CHURN_CONNECTIONS)
        self.assert_counts_equal_log(agent, server)
        self.assertEqual(agent.metrics().total("limpet_connections_evicted_total"), 0)
        self.assertLess(slots_in_use(), CHURN_CONNECTIONS / 100)

    @case("scale", "C, epoll: 120,000 connections with a request each, 200 at once; HTTP/1.0, or either end closes or resets",
          "nginx, two workers", "access log")
    def test_connections_to_nginx_that_come_and_go_as_fast_as_the_host_can(self):
        server = self.start_server(CorpusNginx)
        self.check_churn(server, server.reuse_port)

    @case("scale", "C, epoll: the same", "Go net/http", "server's log")
    def test_connections_to_go_that_come_and_go_as_fast_as_the_host_can(self):
        server = self.start_server(GoServer, address="127.0.0.1")
        self.check_churn(server, server.port)
