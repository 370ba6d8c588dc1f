# SPDX-License-Identifier: Apache-2.0
"""Listening sockets: their queues, limits and drops, held against `ss` and the kernel's own counters."""

import socket
import subprocess
import unittest

from support import clients, places
from support.netns import NetworkNamespace
from support.servers import GoServer
from support.tcp_case import TcpCase

IPPROTO_MPTCP = 262
GONE = {"listens": None, "queue": None, "queue_limit": None}


def queue_by_ss(port):
    """(length, limit) of the queue of the socket that listens on this port over IPv4."""
    lines = subprocess.run([places.tool("ss"), "-4Hltn", f"sport = :{port}"], capture_output=True, text=True,
                           check=True, timeout=10).stdout.splitlines()
    assert len(lines) == 1, lines
    return tuple(int(word) for word in lines[0].split()[1:3])


class ListenersTest(TcpCase):
    def connect(self, port, times=1):
        for _ in range(times):
            client = socket.create_connection(("127.0.0.1", port), timeout=10)
            self.addCleanup(client.close)

    def mptcp_listener(self, backlog):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP)
        self.addCleanup(listener.close)
        listener.bind(("127.0.0.1", 0))
        listener.listen(backlog)
        return listener

    def check_queue(self, agent, listener, port):
        where = {"listen_address": f"127.0.0.1:{port}"}
        accepted = 0
        for times in (0, 3, 2):
            self.connect(port, times)
            length, limit = queue_by_ss(port)
            self.assertEqual((length, limit), (5 - accepted if times == 2 else times, 7))
            self.assert_figures(agent, where, {"listens": 1, "queue": length, "queue_limit": limit})
        for _ in range(2):
            self.addCleanup(listener.accept()[0].close)
        self.assert_figures(agent, where, {"listens": 1, "queue": 3, "queue_limit": 7, "connections": 5, "accepts": 5})
        listener.close()
        self.assert_figures(agent, where, {**GONE, "connections": 2})

    def test_a_queue_fills_and_drains_and_goes(self):
        agent = self.start_tcp_agent()
        listener = self.listener(backlog=7)
        self.check_queue(agent, listener, listener.getsockname()[1])

    def test_the_queue_of_an_mptcp_listener(self):
        agent = self.start_tcp_agent()
        listener = self.mptcp_listener(7)
        self.check_queue(agent, listener, listener.getsockname()[1])

    def test_queues_of_listeners_that_are_older_than_the_agent(self):
        for listener in (self.listener(backlog=7), self.mptcp_listener(7)):
            agent = self.start_tcp_agent()
            self.check_queue(agent, listener, listener.getsockname()[1])

    def test_listeners_of_go(self):
        older = self.start_server(GoServer)
        agent = self.start_tcp_agent()
        newer = self.start_server(GoServer)
        for server in (older, newer):
            clients.go_client(server.url(), 100, 5, keep_alive=False)
            _, limit = queue_by_ss(server.port)
            self.assert_figures(agent, {"listen_address": f"127.0.0.1:{server.port}"},
                                {"accepts": 100, "connections": 0, "listens": 1, "queue": 0, "queue_limit": limit})
            self.assertLessEqual({f"127.0.0.1:{server.port}", f"[::1]:{server.port}"},
                                 agent.metrics().label_values("tcp_listen_info", "listen_address",
                                                              service_name=server.service_name))

    def test_drops_equal_the_kernels_count(self):
        namespace = NetworkNamespace()
        self.addCleanup(namespace.close)
        agent = self.start_tcp_agent()
        with namespace.entered():
            listener = self.listener("127.0.0.1", 5020, backlog=1)
            for _ in range(20):
                client = socket.socket()
                self.addCleanup(client.close)
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", 5020))
        self.assertGreater(self.dropped_in(namespace), 0)
        where = {"listen_address": "127.0.0.1:5020"}
        self.assert_figures(agent, where, {"listens": 1, "queue_limit": 1, "queue": 2})
        for client in self.closers():
            client()
        drops = self.dropped_in(namespace)
        self.assert_figures(agent, where, {"drops": drops})
        listener.close()
        self.assert_figures(agent, where, {"drops": drops, **GONE})

    def dropped_in(self, namespace):
        with namespace.entered(), open("/proc/thread-self/net/netstat", encoding="ascii") as file:
            names, values = (line.split() for line in file if line.startswith("TcpExt:"))
            return int(dict(zip(names, values))["ListenDrops"])

    def closers(self):
        """Closes what is still connecting, so that no retry comes later."""
        return [function for function, _, _ in self._cleanups
                if isinstance(getattr(function, "__self__", None), socket.socket)
                and function.__self__.fileno() >= 0 and function.__self__.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 0]

    def test_two_sockets_on_one_address_add_up(self):
        agent = self.start_tcp_agent()
        sockets = []
        first = self.listener(backlog=10, reuse_port=True)
        port = first.getsockname()[1]
        sockets = [first, self.listener(port=port, backlog=20, reuse_port=True)]
        where = {"listen_address": f"127.0.0.1:{port}"}
        self.assert_figures(agent, where, {"listens": 1, "queue": 0, "queue_limit": 30})
        sockets[0].close()
        self.assert_figures(agent, where, {"listens": 1, "queue": 0, "queue_limit": 20})
        sockets[1].close()
        self.assert_figures(agent, where, GONE)


if __name__ == "__main__":
    unittest.main()
