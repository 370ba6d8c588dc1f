# SPDX-License-Identifier: Apache-2.0
"""TCP connections from beginning to end: counts, bytes and gauges, held against what the test itself sent and opened."""

import multiprocessing
import pathlib
import re
import socket
import threading
import unittest

from support import clients, compare, places
from support.netns import NetworkNamespace
from support.tcp_case import TcpCase, close_with_reset, figures

SHORT_CONNECTIONS = 100_000
LOOPS = 2
PORTS_OF_A_LOOP = 4  # a closed connection keeps its pair of ports for a minute


def serve(listener, connections):
    for _ in range(connections):
        connection, _ = listener.accept()
        connection.sendall(connection.recv(64) * 2)
        connection.close()


def connect_in_a_loop(listeners, connections):
    """Each in turn: a connection with 10 bytes there and 20 back, which the server closes first."""
    for listener in listeners:
        server = threading.Thread(target=serve, args=(listener, connections))
        server.start()
        for _ in range(connections):
            with socket.create_connection(listener.getsockname()) as client:
                client.sendall(b"0123456789")
                clients.read_exactly(client, 20)
                if client.recv(1):
                    raise AssertionError("more than was sent")
        server.join()


class ShortConnectionsTest(TcpCase):
    def test_100000_short_connections_in_two_loops_at_once_are_counted_exactly(self):
        listeners = [self.listener() for _ in range(LOOPS * PORTS_OF_A_LOOP)]
        agent = self.start_tcp_agent()
        each = SHORT_CONNECTIONS // len(listeners)
        loops = [multiprocessing.get_context("fork").Process(
            target=connect_in_a_loop, args=(listeners[number::LOOPS], each)) for number in range(LOOPS)]
        for loop in loops:
            loop.start()
        while any(loop.is_alive() for loop in loops):
            agent.metrics()  # iterators look at sockets that come and go
            loops[0].join(0.2)
        self.assertEqual([loop.exitcode for loop in loops], [0] * LOOPS)
        for listener in listeners:
            address = "127.0.0.1:%d" % listener.getsockname()[1]
            self.assert_figures(agent, {"destination": address},
                                {"ok": each, "durations": each, "connections": 0, "sent": each * 10,
                                 "received": each * 20, "resets_sent": 0, "resets_received": 0, "rtt": None})
            self.assert_figures(agent, {"listen_address": address},
                                {"accepts": each, "connections": 0, "sent": each * 20, "received": each * 10,
                                 "retransmits": 0, "drops": 0, "listens": 1, "rtt": None})
        self.assertEqual(agent.metrics().total("limpet_series_overflow_total", plugin="tcp"), 0)


class LongConnectionsTest(TcpCase):
    def setUp(self):
        super().setUp()
        self.one = self.listener()
        self.address = "127.0.0.1:%d" % self.one.getsockname()[1]

    def check_both(self, agent, sent, received, connections):
        self.assert_figures(agent, {"destination": self.address},
                            {"sent": sent, "received": received, "connections": connections})
        self.assert_figures(agent, {"listen_address": self.address},
                            {"sent": received, "received": sent, "connections": connections})

    def test_bytes_advance_while_a_connection_is_open(self):
        agent = self.start_tcp_agent()
        client, server = self.connection(self.one)
        sent = 0
        for answers, size in enumerate((1, 1000, 100_000), 1):
            client.sendall(b"x" * size)
            clients.read_exactly(server, size)
            server.sendall(b"y")
            clients.read_exactly(client, 1)
            sent += size
            self.check_both(agent, sent, answers, 1)
        client.close()
        server.close()
        self.check_both(agent, 101_001, 3, 0)

    def test_the_end_of_each_direction_is_no_byte(self):
        agent = self.start_tcp_agent()
        client, server = self.connection(self.one)
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        clients.read_exactly(server, 8)
        self.assertEqual(server.recv(1), b"")
        self.check_both(agent, 8, 0, 1)
        server.sendall(b"answer")
        clients.read_exactly(client, 6)
        self.check_both(agent, 8, 6, 1)
        server.close()
        self.assertEqual(client.recv(1), b"")
        client.close()
        self.check_both(agent, 8, 6, 0)

    def test_connections_older_than_the_agent_are_in_the_gauges_and_count_from_then_on(self):
        older = [self.connection(self.one) for _ in range(30)]
        for client, server in older:
            client.sendall(b"before")
            clients.read_exactly(server, 6)
        older[0][0].shutdown(socket.SHUT_WR)
        self.assertEqual(older[0][1].recv(1), b"")
        agent = self.start_tcp_agent()
        self.assertEqual(figures(agent.metrics(), destination=self.address)["connections"], 30)
        self.check_both(agent, 0, 0, 30)
        for client, server in older[1:]:
            client.sendall(b"after")
            clients.read_exactly(server, 5)
        self.check_both(agent, 29 * 5, 0, 30)
        self.assert_figures(agent, {"listen_address": self.address}, {"accepts": 0})
        self.assert_figures(agent, {"destination": self.address}, {"ok": 0, "durations": None})
        for client, server in older:
            client.close()
            server.close()
        self.check_both(agent, 29 * 5, 0, 0)

    def test_resets_both_ways(self):
        agent = self.start_tcp_agent()
        for _ in range(3):
            client, server = self.connection(self.one)
            close_with_reset(client)
            with self.assertRaises(ConnectionResetError):
                server.recv(1)
            server.close()
        for _ in range(2):
            client, server = self.connection(self.one)
            close_with_reset(server)
            with self.assertRaises(ConnectionResetError):
                client.recv(1)
            client.close()
        self.assert_figures(agent, {"destination": self.address},
                            {"ok": 5, "resets_sent": 3, "resets_received": 2, "connections": 0})
        self.assert_figures(agent, {"listen_address": self.address},
                            {"accepts": 5, "resets_sent": 2, "resets_received": 3, "connections": 0})

    def test_a_socket_that_connects_again_after_a_disconnect_counts_anew(self):
        agent = self.start_tcp_agent()
        client = socket.socket()
        self.addCleanup(client.close)
        for _ in range(3):
            client.connect(self.one.getsockname())
            server, _ = self.one.accept()
            client.sendall(b"hello")
            clients.read_exactly(server, 5)
            disconnect(client)
            server.close()
        self.check_both(agent, 15, 0, 0)
        self.assert_figures(agent, {"destination": self.address}, {"ok": 3, "durations": 3})


class LossyConnectionsTest(TcpCase):
    """Held against what `ss` says of the same sockets."""

    PORT = 5030

    def setUp(self):
        super().setUp()
        self.namespace = NetworkNamespace()
        self.addCleanup(self.namespace.close)

    def by_ss(self, end):
        """Sums over the open connections at this end ("dport": clients): payload acknowledged, received, segments sent
        again; and the mean RTT in seconds."""
        lines = self.namespace.run(places.tool("ss"), "-Htinm", "state", "established", f"{end} = :{self.PORT}")

        def total(pattern):
            return sum(float(found) for found in re.findall(pattern, lines))
        sockets = len(re.findall(r" rtt:", lines))
        return {"connections": sockets, "sent": total(r"bytes_acked:(\d+)") - (sockets if end == "dport" else 0),
                "received": total(r"bytes_received:(\d+)"), "retransmits": total(r"retrans:\d+/(\d+)"),
                "rtt": round(total(r" rtt:([\d.]+)/") / 1000 / sockets, 6)}

    def exchange(self, pairs):
        for client, server in pairs:
            reader = threading.Thread(target=clients.read_exactly, args=(server, 300_000))
            reader.start()
            client.sendall(b"x" * 300_000)
            reader.join()
            server.sendall(b"y" * 70_000)
            clients.read_exactly(client, 70_000)

    def assert_equals_ss(self, agent, where, end):
        def problem():
            truth = self.by_ss(end)
            seen = figures(agent.metrics(), **where)
            if truth != self.by_ss(end):
                return "still moving"
            seen = {name: round(seen[name], 6) for name in truth}
            near = abs(seen["rtt"] - truth["rtt"]) < 2e-6
            return "" if near and {**seen, "rtt": 0} == {**truth, "rtt": 0} else f"{seen} instead of {truth}"
        compare.wait_until_equal(problem, 10)

    def test_open_connections_equal_what_ss_says(self):
        with self.namespace.entered():
            listener = self.listener("127.0.0.1", self.PORT)
        self.namespace.drop_packets(0.02)
        agent = self.start_tcp_agent()
        with self.namespace.entered():
            pairs = [self.connection(listener) for _ in range(4)]
        rounds = 0
        while not (rounds and self.by_ss("dport")["retransmits"]):
            self.exchange(pairs)
            rounds += 1
        destination, listen_address = {"destination": f"127.0.0.1:{self.PORT}"}, {"listen_address": f"127.0.0.1:{self.PORT}"}
        self.assert_equals_ss(agent, destination, "dport")
        self.assert_equals_ss(agent, listen_address, "sport")
        self.assert_figures(agent, destination, {"sent": rounds * 4 * 300_000, "received": rounds * 4 * 70_000})
        self.assert_figures(agent, listen_address, {"sent": rounds * 4 * 70_000, "received": rounds * 4 * 300_000})


class AddressesTest(TcpCase):
    def test_ipv6_and_mapped_ipv4_with_a_listener_for_both(self):
        both = self.listener("::", dualstack_ipv6=True)
        port = both.getsockname()[1]
        agent = self.start_tcp_agent()
        for address, times in (("::1", 1), ("127.0.0.1", 2), ("::ffff:127.0.0.1", 3)):
            for _ in range(times):
                self.connection(both, address)
        self.assert_figures(agent, {"destination": f"[::1]:{port}"}, {"ok": 1, "connections": 1})
        self.assert_figures(agent, {"destination": f"127.0.0.1:{port}"}, {"ok": 5, "connections": 5})
        self.assert_figures(agent, {"listen_address": f"[::]:{port}"}, {"accepts": 6, "connections": 6, "listens": 1})
        addresses = {sample.label("destination") or sample.label("listen_address") for sample in agent.metrics().samples
                     if sample.name.startswith("tcp_") and str(port) in str(sample.labels)}
        self.assertEqual(addresses, {f"[::1]:{port}", f"127.0.0.1:{port}", f"[::]:{port}"})

    def test_ports_of_clients_are_no_labels(self):
        listener = self.listener("0.0.0.0")
        port = listener.getsockname()[1]
        older = [self.connection(listener) for _ in range(5)]
        agent = self.start_tcp_agent()
        newer = [self.connection(listener) for _ in range(5)]
        self.assert_figures(agent, {"listen_address": f"0.0.0.0:{port}"}, {"connections": 10})
        self.assert_figures(agent, {"destination": f"127.0.0.1:{port}"}, {"connections": 10})
        text = agent.get("/metrics")[2]
        for client, _ in older + newer:
            self.assertNotIn(f":{client.getsockname()[1]}\"", text)

    def test_the_agent_and_its_scrapers_are_nobodys_work(self):
        agent = self.start_tcp_agent()
        executable = pathlib.Path(f"/proc/{agent.process.pid}/exe").resolve().name

        def of_the_agent():
            """A connect that came before the agent listened counts as refused: it was."""
            return [sample for sample in agent.metrics().samples if sample.name.startswith("tcp_")
                    and (sample.label("service_name") == executable
                         or f":{agent.port}" in sample.label("destination") + sample.label("listen_address"))]
        before = of_the_agent()
        for _ in range(5):
            agent.metrics()
            clients.curl(f"http://127.0.0.1:{agent.port}/metrics")
        self.assertEqual(of_the_agent(), before)
        self.assertEqual([sample for sample in before if sample.label("result") not in ("", "refused") and sample.value], [])


def disconnect(connection):
    """connect() with AF_UNSPEC, which Python has no call for."""
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.connect(connection.fileno(), bytes(16), 16):
        raise OSError(ctypes.get_errno(), "disconnect")


if __name__ == "__main__":
    unittest.main()
