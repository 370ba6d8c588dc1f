# SPDX-License-Identifier: Apache-2.0
"""How connects end: each result, produced by a real socket that gets the error which the result stands for."""

import errno
import select
import socket
import unittest

from support import places
from support.netns import NetworkNamespace
from support.tcp_case import TcpCase
from support.tun_peer import RST, SYN, TunPeer

RESULTS = ("ok", "refused", "timeout", "reset", "unreachable", "cancelled", "other")
TCP_USER_TIMEOUT = 18


class ConnectsTest(TcpCase):
    """All in a network namespace of the test's own, which the agent is not in."""

    def setUp(self):
        super().setUp()
        self.namespace = NetworkNamespace()
        self.addCleanup(self.namespace.close)
        self.agent = self.start_tcp_agent()

    def client(self, family=socket.AF_INET):
        with self.namespace.entered():
            client = socket.socket(family)
        self.addCleanup(client.close)
        return client

    def listener(self, *arguments, **options):
        with self.namespace.entered():
            return super().listener(*arguments, **options)

    def connect(self, address, port, expected_errno, times=1, user_timeout_ms=0):
        """`times` sockets connect and get this error."""
        for _ in range(times):
            client = self.client(socket.AF_INET6 if ":" in address else socket.AF_INET)
            client.setsockopt(socket.IPPROTO_TCP, TCP_USER_TIMEOUT, user_timeout_ms)
            self.assertEqual(client.connect_ex((address, port)), expected_errno, errno.errorcode.get(expected_errno))
            client.close()

    def assert_results(self, destination, **expected):
        """These results and no others, and no connection is left in the gauge."""
        self.assert_figures(self.agent, {"destination": destination},
                            {"ok": 0, **{result: None for result in RESULTS[1:]}, "connections": 0, **expected})

    def iptables(self, *rule):
        self.namespace.run(places.tool("iptables"), "-A", *rule)

    def test_refused_over_each_family(self):
        self.connect("127.0.0.1", 5001, errno.ECONNREFUSED, times=3)
        self.connect("::1", 5001, errno.ECONNREFUSED, times=2)
        self.connect("::ffff:127.0.0.1", 5001, errno.ECONNREFUSED)
        self.assert_results("127.0.0.1:5001", refused=4, resets_received=4, durations=None)
        self.assert_results("[::1]:5001", refused=2, resets_received=2)

    def test_timeout(self):
        self.iptables("INPUT", "-p", "tcp", "--dport", "5002", "-j", "DROP")
        self.connect("127.0.0.1", 5002, errno.ETIMEDOUT, user_timeout_ms=500)
        self.assert_results("127.0.0.1:5002", timeout=1)

    def test_cancelled_by_the_program_that_connects(self):
        self.iptables("INPUT", "-p", "tcp", "--dport", "5003", "-j", "DROP")
        for _ in range(5):
            client = self.client()
            client.setblocking(False)
            self.assertEqual(client.connect_ex(("127.0.0.1", 5003)), errno.EINPROGRESS)
            client.close()
        self.assert_results("127.0.0.1:5003", cancelled=5)

    def test_unreachable_says_the_network(self):
        self.iptables("OUTPUT", "-p", "tcp", "--dport", "5004", "-j", "REJECT", "--reject-with", "icmp-host-unreachable")
        self.connect("127.0.0.1", 5004, errno.EHOSTUNREACH)
        self.assert_results("127.0.0.1:5004", unreachable=1, retransmits=1)

    def test_unreachable_without_a_syn(self):
        self.namespace.run(places.tool("ip"), "route", "add", "prohibit", "203.0.113.7")
        self.connect("203.0.113.1", 5005, errno.ENETUNREACH, times=50)
        self.connect("203.0.113.7", 5005, errno.EACCES, times=2)
        self.connect("2001:db8::1", 5005, errno.ENETUNREACH, times=3)
        self.connect("::ffff:203.0.113.2", 5005, errno.ENETUNREACH)
        self.assert_results("203.0.113.1:5005", unreachable=50)
        self.assert_results("203.0.113.7:5005", unreachable=2)
        self.assert_results("[2001:db8::1]:5005", unreachable=3)
        self.assert_results("203.0.113.2:5005", unreachable=1)

    def test_one_socket_fails_and_tries_again_and_waits(self):
        listener = self.listener("127.0.0.1", 5006)
        client = self.client()
        self.assertEqual(client.connect_ex(("203.0.113.1", 5006)), errno.ENETUNREACH)
        self.assertEqual(client.connect_ex(("203.0.113.3", 5006)), errno.ENETUNREACH)
        self.assertEqual(client.connect_ex(("127.0.0.1", 5006)), 0)
        listener.accept()[0].close()
        waits = self.client()
        self.assertEqual(waits.connect_ex(("203.0.113.4", 5006)), errno.ENETUNREACH)
        self.assert_results("203.0.113.1:5006", unreachable=1)
        self.assert_results("203.0.113.3:5006", unreachable=1)
        self.assert_results("203.0.113.4:5006", unreachable=1)  # the socket is still there
        waits.close()
        client.close()
        self.assert_results("127.0.0.1:5006", ok=1, durations=1)
        self.assert_results("203.0.113.4:5006", unreachable=1)

    def test_no_port_is_left(self):
        self.namespace.run(places.tool("sysctl"), "-q", "net.ipv4.ip_local_port_range=40000 40000")
        listener = self.listener("127.0.0.1", 5007)
        holder = self.client()
        holder.connect(listener.getsockname())
        self.connect("127.0.0.1", 5007, errno.EADDRNOTAVAIL, times=4)
        self.assert_results("127.0.0.1:5007", ok=1, other=4, connections=1, durations=1)

    def test_reset_while_both_ends_connect(self):
        with self.namespace.entered():
            peer = TunPeer(self.namespace, "10.213.9.1", "10.213.9.2")
        self.addCleanup(peer.close)
        client = self.client()
        client.setblocking(False)
        self.assertEqual(client.connect_ex((peer.address, 5008)), errno.EINPROGRESS)
        address, client_port, _, _ = peer.next_segment()
        peer.send(address, 5008, client_port, 1000, SYN)
        peer.next_segment()
        peer.send(address, 5008, client_port, 1001, RST)
        select.select([], [client], [], 5)
        self.assertEqual(client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), errno.ECONNRESET)
        self.assert_results(f"{peer.address}:5008", reset=1, resets_received=1)

    def test_connects_that_do_not_block_never_count_as_failed(self):
        other = NetworkNamespace()
        self.addCleanup(other.close)
        self.namespace.join(other, "10.213.10.1", "10.213.10.2")
        with other.entered():
            listener = super().listener("10.213.10.2", 5009)
        for _ in range(200):
            client = self.client()
            client.setblocking(False)
            self.assertIn(client.connect_ex(listener.getsockname()), (0, errno.EINPROGRESS))
            select.select([], [client], [], 5)
            self.assertEqual(client.connect_ex(listener.getsockname()), 0)
            client.close()
            listener.accept()[0].close()
        self.assert_results("10.213.10.2:5009", ok=200, durations=200)

    def test_a_socket_that_connects_to_itself(self):
        client = self.client()
        client.bind(("127.0.0.1", 5010))
        client.connect(("127.0.0.1", 5010))
        client.sendall(b"hello")
        self.assertEqual(client.recv(5), b"hello")
        self.assert_results("127.0.0.1:5010", ok=1, durations=1, connections=1, sent=5, received=5)
        client.close()
        self.assert_results("127.0.0.1:5010", ok=1)


if __name__ == "__main__":
    unittest.main()
