# SPDX-License-Identifier: Apache-2.0
"""Requests that arrive before their socket exists, as with TCP_DEFER_ACCEPT: whose they are is told by the packet alone."""

import socket

from corpus_case import CorpusCase, case
from support import clients, compare
from support.exchange import ANSWER, REQUEST
from support.ports import free_port
from support.tcp_case import close_with_reset

BACKLOG = 4
HEAD_REQUEST = REQUEST.replace(b"GET", b"HEAD")


class DeferredTest(CorpusCase):
    def listener(self, address, port, backlog=64):
        listener = socket.create_server((address, port), backlog=backlog)
        self.addCleanup(listener.close)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 20)
        listener.settimeout(10)
        return listener

    def connect(self, listener, own_port):
        connection = socket.socket()
        self.addCleanup(connection.close)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        connection.settimeout(10)
        connection.bind(("127.0.0.1", own_port))
        connection.connect(listener.getsockname())
        return connection

    def exchange_twice(self, connections, listeners):
        """The first requests are all on their way before a server looks."""
        for connection in connections:
            connection.sendall(REQUEST)
        accepted = [listener.accept()[0] for listener in listeners]
        for number in range(2):
            for connection, server_end in zip(connections, accepted):
                if number:
                    connection.sendall(REQUEST)
                clients.read_exactly(server_end, len(REQUEST))
                server_end.sendall(ANSWER)
                clients.read_exactly(connection, len(ANSWER))
        for end in connections + accepted:  # by RST: the port is free again
            close_with_reset(end)

    @case("deferred", "raw socket: from one port to both addresses at once, 20 times", "scripted: a deferred listener on each of two "
          "addresses", "the script")
    def test_two_addresses_and_a_client_that_asks_both_from_one_port(self):
        port = free_port()
        listeners = [self.listener(address, port) for address in ("127.0.0.1", "127.0.0.2")]
        agent = self.start_agent()
        for _ in range(20):
            own_port = free_port()
            self.exchange_twice([self.connect(listener, own_port) for listener in listeners], listeners)
        self.assert_scripted_counts(agent, port, {("GET", "200"): 80})

    @case("deferred", "raw socket: HEAD, gives up while the queue is full; later GET from the same ports",
          "scripted: a deferred listener whose queue overflows", "the script")
    def test_clients_that_give_up_before_they_are_accepted_and_come_again(self):
        listener = self.listener("127.0.0.1", free_port(), BACKLOG)
        port = listener.getsockname()[1]
        agent = self.start_agent()
        own_ports = [free_port() for _ in range(2 * BACKLOG)]
        connections = []
        for first in (0, BACKLOG):  # so many at once may be without a socket
            connections += [self.connect(listener, own_port) for own_port in own_ports[first:first + BACKLOG]]
            for connection in connections[first:]:
                connection.sendall(HEAD_REQUEST)
        for connection in connections:
            close_with_reset(connection)
        self.wait_for_resets(agent, port, {"server": BACKLOG + 1, "client": 2 * BACKLOG})
        for _ in range(BACKLOG + 1):
            listener.accept()[0].close()
        before = self.scripted_rows(agent, port)
        for own_port in own_ports:
            self.exchange_twice([self.connect(listener, own_port)], [listener])
        self.assert_scripted_counts(agent, port, {("GET", "200"): 4 * BACKLOG}, before=before)

    def wait_for_resets(self, agent, port, expected):
        """Those that the listener had no room for have been seen by nobody at its end."""
        def problem():
            rows = self.scripted_rows(agent, port)
            seen = {side: rows[side].failed["HEAD", "", "reset"] for side in rows}
            return "" if seen == expected else f"given up: {seen} instead of {expected}"
        compare.wait_until_equal(problem)
