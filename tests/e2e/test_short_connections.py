# SPDX-License-Identifier: Apache-2.0
"""Thousands of connections that carry one request each."""

import concurrent.futures
import unittest

from support import clients
from support.case import EndToEndCase
from support.exchange import REQUEST
from support.servers import GoServer, Nginx

CLOSING_REQUEST = REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


def ask_once(port):
    with clients.connect(port) as connection:
        connection.sendall(CLOSING_REQUEST)
        clients.read_response(connection)


class ShortConnectionsTest(EndToEndCase):
    def check(self, server_class, request, connects):
        server = self.start_server(server_class)
        agent = self.start_agent()
        request(server, connects)
        self.assert_log_counts(server, connects)
        self.assert_counts_equal_log(agent, server)

    def test_2000_connects_one_after_another(self):
        self.check(Nginx, lambda server, connects: [ask_once(server.port) for _ in range(connects)], 2000)

    def test_2000_connects_from_20_threads(self):
        def request(server, connects):
            with concurrent.futures.ThreadPoolExecutor(20) as threads:
                list(threads.map(ask_once, [server.port] * connects))
        self.check(Nginx, request, 2000)

    def test_5000_connects_of_a_go_client_to_a_go_server(self):
        def request(server, connects):
            clients.go_client(server.url(), connects, 50, keep_alive=False)
        self.check(GoServer, request, 5000)


if __name__ == "__main__":
    unittest.main()
