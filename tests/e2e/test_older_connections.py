# SPDX-License-Identifier: Apache-2.0
"""Connections that were open before the agent started: they have the right workload and are counted from then on."""

import unittest

from support import clients
from support.case import EndToEndCase
from support.netns import NetworkNamespace
from support.servers import GoServer, Nginx

REQUEST = b"GET / HTTP/1.1\r\nHost: e2e\r\n\r\n"


def ask(connection, times=1):
    for _ in range(times):
        connection.sendall(REQUEST)
        clients.read_response(connection)


class OlderConnectionsTest(EndToEndCase):
    def connect(self, server):
        connection = clients.connect(server.port)
        self.addCleanup(connection.close)
        return connection

    def check_connections_opened_before(self, server_class, requests_before):
        server = self.start_server(server_class)
        connections = [self.connect(server) for _ in range(20)]
        for connection in connections:
            ask(connection, requests_before)
        before = server.log_counts()
        agent = self.start_agent()
        for connection in connections:
            ask(connection, 5)
        self.assertEqual(sum((server.log_counts() - before).values()), 100)
        self.assert_counts_equal_log(agent, server, since=before)

    def test_connections_that_never_carried_a_request(self):
        self.check_connections_opened_before(Nginx, requests_before=0)

    def test_idle_keep_alive_connections_of_nginx(self):
        self.check_connections_opened_before(Nginx, requests_before=3)

    def test_idle_keep_alive_connections_of_go(self):
        self.check_connections_opened_before(GoServer, requests_before=3)

    def test_mptcp_listeners_in_every_network_namespace(self):
        # as Go 1.24 and later make them: plain TCP clients get TCP sockets, from a listener that belongs to no file
        namespace = NetworkNamespace()
        self.addCleanup(namespace.close)
        for wrapper in ([], namespace.wrapper):
            with self.subTest(wrapper=wrapper):
                server = self.start_server(GoServer, wrapper=[*wrapper, "/usr/bin/env", "GODEBUG=multipathtcp=2"])
                agent = self.start_agent()
                clients.h2load(server.url(), 200, 10, wrapper=wrapper)
                self.assert_counts_equal_log(agent, server)

    def test_a_request_under_way_at_the_start_disturbs_none_that_follow(self):
        server = self.start_server(GoServer)
        connections = [self.connect(server) for _ in range(10)]
        for connection in connections:
            connection.sendall(b"GET /?sleep=3s HTTP/1.1\r\nHost: e2e\r\n\r\n")
        agent = self.start_agent()
        for connection in connections:
            clients.read_response(connection)
        under_way = server.log_counts()
        self.assertEqual(under_way["GET", "200"], 10)
        counted = self.rows_of_both_sides(agent, server)
        for side, rows in counted.items():
            self.assertLessEqual(sum(rows.answered.values()), 10, side)
            self.assertFalse(rows.failed, side)
        for connection in connections:
            ask(connection, 4)
        for side, rows in self.rows_of_both_sides(agent, server).items():
            self.assertEqual(sum(rows.answered.values()) - sum(counted[side].answered.values()), 40, (side, rows))
            self.assertFalse(rows.failed, side)

    def test_a_long_download_and_a_long_upload_under_way_at_the_start_hide_none_that_follow(self):
        server = self.start_server(GoServer)
        downloads, uploads = ([self.connect(server) for _ in range(3)] for _ in range(2))
        for connection in downloads:
            connection.sendall(b"GET /?size=60000000 HTTP/1.1\r\nHost: e2e\r\n\r\n")
        for connection in uploads:
            connection.sendall(b"POST /post HTTP/1.1\r\nHost: e2e\r\nContent-Length: 60000000\r\n\r\n" + bytes(1_000_000))
        agent = self.start_agent()
        for connection in uploads:
            connection.sendall(bytes(59_000_000))
            clients.read_response(connection)
        for connection in downloads:
            clients.read_response(connection)
        self.assert_log_counts(server, {("GET", "200"): 3, ("POST", "200"): 3})
        before = server.log_counts()
        for connection in downloads + uploads:
            ask(connection, 5)
        self.assert_log_counts(server, {("GET", "200"): 33, ("POST", "200"): 3})
        self.assert_counts_equal_log(agent, server, since=before)


if __name__ == "__main__":
    unittest.main()
