# SPDX-License-Identifier: Apache-2.0
"""What networks do to packets, and who else listens: no count changes."""

import socket
import subprocess
import time

from corpus_case import CorpusCase, case
from corpus_servers import CorpusNginx
from links import SERVER_ADDRESS, Cable
from support import clients, places
from support.exchange import REQUEST
from support.netns import NetworkNamespace
from support.servers import GoServer, Nginx

TCP_USER_TIMEOUT = 18


class BadLinkTest(CorpusCase):
    """Packets on a cable between two namespaces; the kernel's own counters say that they did go wrong."""

    def setUp(self):
        super().setUp()
        self.cable = Cable(self)

    def load(self):
        """Small answers, long ones, chunks and uploads; the number of requests made."""
        server = self.start_server(GoServer, wrapper=self.cable.server_end.wrapper, address=SERVER_ADDRESS)
        agent = self.start_agent()
        wrapper = self.cable.client_end.wrapper
        for path, requests in (("/", 2000), ("/large", 150), ("/?chunks=4&size=4000", 500)):
            result = clients.h2load(server.url(path), requests, 50, wrapper=wrapper)
            self.assertEqual((result.answered, result.failed), (requests, 0), result.output)
        result = clients.go_client(server.url("/post"), 100, 20, method="POST", body_bytes=30_000, wrapper=wrapper)
        self.assertEqual((result.answered, result.failed), (100, 0), result.output)
        self.assert_log_counts(server, {("GET", "200"): 2650, ("POST", "200"): 100})
        self.assert_counts_equal_log(agent, server)

    @case("network", "h2load, Go net/http; one packet in eight comes twice, each way", "Go net/http", "server's log")
    def test_duplicated_packets(self):
        self.cable.duplicate()
        self.load()
        self.assertGreater(self.cable.tcp_counter("TCPDSACKRecv") + self.cable.tcp_counter("TCPDSACKOldSent"), 100)

    @case("network", "h2load, Go net/http; one packet in eight is overtaken, each way", "Go net/http", "server's log")
    def test_reordered_packets(self):
        self.cable.reorder()
        self.load()
        self.assertGreater(self.cable.tcp_counter("TCPOFOQueue"), 20)

    @case("network", "Go net/http, a connection to each upload; one packet in eight is overtaken, each way", "Go net/http",
          "server's log")
    def test_first_packets_that_are_overtaken(self):
        self.cable.reorder()
        server = self.start_server(GoServer, wrapper=self.cable.server_end.wrapper, address=SERVER_ADDRESS)
        agent = self.start_agent()
        result = clients.go_client(server.url("/post"), 2000, 20, keep_alive=False, method="POST", body_bytes=30_000,
                                   wrapper=self.cable.client_end.wrapper)
        self.assertEqual((result.answered, result.failed), (2000, 0), result.output)
        self.assert_log_counts(server, {("POST", "200"): 2000})
        self.assert_counts_equal_log(agent, server)
        self.assertGreater(self.cable.tcp_counter("TCPOFOQueue"), 2000)

    @case("network", "h2load, Go net/http; packets are overtaken, come twice, or are lost (1 %), each way", "Go net/http",
          "server's log")
    def test_packets_reordered_duplicated_and_lost(self):
        self.cable.reorder()
        self.cable.duplicate()
        self.cable.lose(0.01)
        self.load()
        self.assertGreater(self.cable.tcp_counter("TCPOFOQueue"), 20)

    @case("aborts", "raw socket with a time-out of its own; the cable is cut while it waits", "nginx", "the script")
    def test_a_connection_that_times_out_counts_once(self):
        server = self.start_server(Nginx, wrapper=self.cable.server_end.wrapper, address=SERVER_ADDRESS)
        agent = self.start_agent()
        script = (f"import socket, sys\nfor _ in range(3):\n    s = socket.create_connection(('{SERVER_ADDRESS}', {server.port}))\n"
                  f"    s.setsockopt(socket.IPPROTO_TCP, {TCP_USER_TIMEOUT}, 300)\n"
                  "    print('connected', flush=True)\n    sys.stdin.readline()\n"
                  f"    s.sendall({REQUEST!r})\n    try:\n        s.recv(1)\n    except TimeoutError:\n        print('timed out', flush=True)\n")
        client = subprocess.Popen([*self.cable.client_end.wrapper, places.private_executable("python3"), "-c", script],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(client.kill)
        for _ in range(3):
            self.assertEqual(client.stdout.readline(), "connected\n")
            self.cable.server_end.drop_packets(1)
            client.stdin.write("\n")
            client.stdin.flush()
            self.assertEqual(client.stdout.readline(), "timed out\n")
            for chain in ("INPUT", "OUTPUT"):
                self.cable.server_end.run(places.tool("iptables"), "-F", chain)
        client.wait(10)
        rows = self.rows_of_both_sides(agent, server)
        self.assertEqual((rows["client"].answered, rows["client"].failed), ({}, {("GET", "", "timeout"): 3}))
        self.remember({("GET", "", "timeout"): 3}, rows)


class SteeredTest(CorpusCase):
    @case("network", "h2load; packets are received on every CPU in turn (receive packet steering)", "Go net/http",
          "server's log")
    def test_receive_packet_steering(self):
        namespace = NetworkNamespace()
        self.addCleanup(namespace.close)
        # a sysfs shows the devices of the namespace that it was mounted in: /sys has the host's
        namespace.run(places.tool("unshare"), "--mount", "/bin/sh", "-ec",
                      "mount -t sysfs inside /sys; for q in /sys/class/net/lo/queues/rx-*; do echo ffff > $q/rps_cpus || "
                      "printf %x $(((1 << $(nproc)) - 1)) > $q/rps_cpus; done")
        server = self.start_server(GoServer, wrapper=namespace.wrapper, address="127.0.0.1")
        agent = self.start_agent()
        result = clients.h2load(server.url(), 20_000, 50, wrapper=namespace.wrapper)
        self.assertEqual((result.answered, result.failed), (20_000, 0), result.output)
        result = clients.go_client(server.url("/post"), 1000, 20, keep_alive=False, method="POST", body_bytes=5000,
                                   wrapper=namespace.wrapper)
        self.assertEqual((result.answered, result.failed), (1000, 0), result.output)
        self.assert_counts_equal_log(agent, server)


class ListenersTest(CorpusCase):
    @case("network", "h2load, while raw and packet sockets get a copy of every packet", "nginx", "access log")
    def test_raw_sockets_that_listen_in(self):
        server = self.start_server(CorpusNginx)
        agent = self.start_agent()
        listeners = [socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) for _ in range(3)]
        listeners.append(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)))
        for listener in listeners:
            self.addCleanup(listener.close)
        clients.h2load(server.url(address="127.0.0.1"), 3000, 20)
        clients.go_client(server.url(address="127.0.0.1"), 500, 10, keep_alive=False)
        for listener in listeners:
            self.assertTrue(listener.recv(65535, socket.MSG_DONTWAIT), "the listener heard nothing")
        self.assert_log_counts(server, {("GET", "200"): 3500})
        time.sleep(0.2)
        self.assert_counts_equal_log(agent, server)
