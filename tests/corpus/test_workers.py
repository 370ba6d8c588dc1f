# SPDX-License-Identifier: Apache-2.0
"""However a connection comes to its worker: shared ports, forks, MPTCP, IPv4 over an IPv6 socket."""

import socket

from corpus_case import CorpusCase, case
from corpus_servers import CorpusNginx, OddServer
from support import clients, compare
from support.exchange import REQUEST

IPPROTO_MPTCP = 262


class WorkersTest(CorpusCase):
    def check(self, server, requests=400, url=None):
        agent = self.start_agent()
        result = clients.go_client(url or server.url(), requests, 20, keep_alive=False)
        self.assertEqual((result.answered, result.failed), (requests, 0), result.output)
        self.assert_log_counts(server, {("GET", "200"): requests})
        self.assert_counts_equal_log(agent, server)
        return agent

    @case("workers", "Go net/http, a connection each", "nginx, two workers, `listen … reuseport`", "access log")
    def test_workers_of_nginx_with_a_listener_each(self):
        server = self.start_server(CorpusNginx)
        self.check(server, 2000, server.url(address="127.0.0.1", port=server.reuse_port))

    @case("workers", "Go net/http, a connection each", "Python, four processes with `SO_REUSEPORT`", "server's log")
    def test_four_processes_on_one_port(self):
        self.check(self.start_server(OddServer, mode="reuseport", address="127.0.0.1"))

    @case("workers", "Go net/http, a connection each", "Python, a fork for each accepted connection", "server's log")
    def test_a_fork_for_each_connection(self):
        self.check(self.start_server(OddServer, mode="fork", address="127.0.0.1"))

    @case("workers", "Go net/http over IPv4", "Python, one socket for IPv6 and IPv4", "server's log")
    def test_ipv4_mapped_addresses(self):
        server = self.start_server(OddServer, mode="dual", address="127.0.0.1")
        agent = self.check(server)
        addresses = agent.metrics().label_values("http_client_request_duration_seconds_count", "server_address",
                                                 server_port=str(server.port))
        self.assertEqual(addresses, {"127.0.0.1"})

    @case("workers", "Python, an IPv6 socket connected to ::ffff:127.0.0.1", "nginx over IPv4", "access log")
    def test_a_client_that_connects_to_a_mapped_address(self):
        server = self.start_server(CorpusNginx)
        agent = self.start_agent()
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as connection:
            connection.connect(("::ffff:127.0.0.1", server.port))
            for _ in range(20):
                connection.sendall(REQUEST)
                clients.read_response(connection)
        self.assert_log_counts(server, {("GET", "200"): 20})
        self.assert_counts_equal_log(agent, server)
        addresses = agent.metrics().label_values("http_client_request_duration_seconds_count", "server_address",
                                                 server_port=str(server.port))
        self.assertEqual(addresses, {"127.0.0.1"})

    @case("workers", "Go net/http over TCP", "Python, an MPTCP listener", "server's log")
    def test_tcp_clients_of_an_mptcp_listener(self):
        self.check(self.start_server(OddServer, mode="mptcp", address="127.0.0.1"))

    @case("workers", "Python, MPTCP sockets", "Python, an MPTCP listener", "server's log")
    def test_mptcp_at_both_ends(self):
        server = self.start_server(OddServer, mode="mptcp", address="127.0.0.1")
        agent = self.start_agent()
        for _ in range(10):
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP) as connection:
                connection.connect(("127.0.0.1", server.port))
                for _ in range(5):
                    connection.sendall(REQUEST)
                    clients.read_response(connection)
        self.assert_log_counts(server, {("GET", "200"): 50})
        self.assert_counts_equal_log(agent, server)
