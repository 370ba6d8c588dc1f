# SPDX-License-Identifier: Apache-2.0
"""DNS clients of every kind: libc's resolver, Go's, dig; TCP after truncation; servers that do not answer."""

import collections
import os
import socket
import sys
import threading
import time
import unittest

from support import compare, dns, go_build, places
from support.scripted_server import own_service_names
from test_dns import CONFIG, DnsCase

TIMEOUT = f"{CONFIG}timeout = \"500ms\"\n"


class Responder:
    """A server in this process: answers each datagram with what `answer(query)` returns; None: not at all."""

    def __init__(self, namespace, answer, address="127.0.0.1", port=53):
        self.socket = dns.datagram_socket(address, namespace)
        self.socket.bind((address, port))
        self.socket.settimeout(0.1)
        self.answer = answer
        self.received = 0
        self.stopped = False
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self):
        while not self.stopped:
            try:
                message, peer = self.socket.recvfrom(4096)
            except TimeoutError:
                continue
            self.received += 1
            answer = self.answer(message)
            if answer is not None:
                self.socket.sendto(answer, peer)

    def stop(self):
        self.stopped = True
        self.thread.join()
        self.socket.close()


class ClientsTest(DnsCase):
    def start(self, config=CONFIG):
        self.start_unbound()
        return self.start_agent(config=config)

    def lookups(self, agent, client):
        """(name, type, code or error) → count."""
        return collections.Counter({(sample.label("dns_question_name"), sample.label("dns_question_type"),
                                     sample.label("dns_response_code") or sample.label("error_type")): int(sample.value)
                                    for sample in agent.metrics().select("dns_lookup_duration_seconds_count",
                                                                         service_name=client) if sample.value})

    def assert_lookups(self, agent, client, expected):
        def problem():
            counted = self.lookups(agent, client)
            return f"counted {counted}, expected {expected}" if counted != expected else ""
        compare.wait_until_equal(problem, seconds=5)

    def test_dig_over_ipv4_and_ipv6_and_tcp(self):
        agent = self.start()
        for server in ("@127.0.0.1", "@::1"):
            for protocol in ("+notcp", "+tcp"):
                output = dns.dig(server, protocol, f"N7.{dns.ZONE.upper()}", "AAAA", f"missing.{dns.ZONE}", "MX",
                                 wrapper=self.wrapper)
                self.assertEqual(output.count("status: "), 2, output)
        self.assert_lookups(agent, "e2e-dig", {(f"n7.{dns.ZONE}", "AAAA", "NOERROR"): 4,
                                               (f"missing.{dns.ZONE}", "MX", "NXDOMAIN"): 4})

    def test_a_name_of_253_characters(self):
        agent = self.start()
        output = dns.dig("@127.0.0.1", dns.longest_name(), wrapper=self.wrapper)
        self.assertIn("192.0.2.251", output)
        self.assert_lookups(agent, "e2e-dig", {(dns.longest_name().rstrip("."), "A", "NOERROR"): 1})

    def test_tcp_after_a_truncated_answer(self):
        agent = self.start()
        output = dns.dig("@127.0.0.1", "+bufsize=512", f"large.{dns.ZONE}", "TXT", wrapper=self.wrapper)
        self.assertIn("Truncated, retrying in TCP mode", output)
        self.assert_lookups(agent, "e2e-dig", {(f"large.{dns.ZONE}", "TXT", "NOERROR"): 2})
        metrics = agent.metrics()
        for name in ("e2e-dig", dns.Unbound.service_name):
            self.assertEqual(metrics.total("dns_truncated_responses_total", service_name=name), 1, name)

    def resolve_with_python(self, names):
        """libc's getaddrinfo, which reads /etc/resolv.conf: one with our server, in a mount namespace of its own."""
        config = os.path.join(self.directory, "resolv.conf")
        with open(config, "w") as file:
            file.write("nameserver 127.0.0.1\noptions timeout:1 attempts:2\n")
        program = places.private_executable(sys.executable, "e2e-resolver")
        script = "import socket, sys\nfor name in sys.argv[1:]:\n  try: print(socket.getaddrinfo(name, 80)[0][4][0])\n" \
                 "  except OSError as error: print(error)\n"
        return [*self.wrapper, "unshare", "--mount", "sh", "-c",
                f'mount --bind {config} /etc/resolv.conf && PYTHONHOME={sys.base_prefix} exec "$@"', "sh",
                str(program), "-c", script, *names]

    def test_getaddrinfo(self):
        agent = self.start()
        output = dns.run(self.resolve_with_python([f"n{number}.{dns.ZONE}." for number in range(20)]))
        self.assertEqual(len(output.split()), 20, output)
        expected = {(f"n{number}.{dns.ZONE}", kind, "NOERROR"): 1 for number in range(20) for kind in ("A", "AAAA")}
        self.assert_lookups(agent, "e2e-resolver", expected)

    def test_other_probes_learn_the_names_behind_addresses(self):
        self.start_unbound()
        agent = self.start_agent(config=f'{CONFIG}[plugins.names]\npath = "{places.test_plugin("names")}"\nenabled = true\n')
        self.assertEqual(agent.metrics().select("names_known"), [])
        for name in (f"N3.{dns.ZONE.upper()}", f"n77.{dns.ZONE}", f"missing.{dns.ZONE}"):
            dns.dig("@127.0.0.1", name, wrapper=self.wrapper)
        known = {sample.label("address"): sample.label("name") for sample in agent.metrics().select("names_known")}
        self.assertEqual(known, {"192.0.2.4": f"n3.{dns.ZONE}", "192.0.2.78": f"n77.{dns.ZONE}"})

    def test_go(self):
        agent = self.start()
        program = go_build.go_program("e2e-go-resolver")
        output = dns.run([program, "127.0.0.1:53", *(f"n{number}.{dns.ZONE}." for number in range(20))], self.wrapper)
        self.assertEqual(output.count("192.0.2."), 20, output)
        expected = {(f"n{number}.{dns.ZONE}", kind, "NOERROR"): 1 for number in range(20) for kind in ("A", "AAAA")}
        self.assert_lookups(agent, "e2e-go-resolver", expected)

    def test_a_server_that_drops_queries(self):
        agent = self.start(TIMEOUT)
        for number in range(3):
            dns.dig("@127.0.0.1", "+tries=1", "+time=1", f"n{number}.silent.test", wrapper=self.wrapper)
        self.assert_lookups(agent, "e2e-dig", {(f"n{number}.silent.test", "A", "timeout"): 1 for number in range(3)})
        self.assertEqual(agent.metrics().histogram("dns_lookup_duration_seconds", service_name="e2e-dig").sum, 1.5)

    def test_nobody_listens(self):
        agent = self.start_agent(config=TIMEOUT)
        dns.dig("@127.0.0.1", "+tries=1", "+time=1", "a.test", wrapper=self.wrapper)
        self.assert_lookups(agent, "e2e-dig", {("a.test", "A", "timeout"): 1})

    def test_retries(self):
        responder = Responder(self.namespace, lambda message: None)
        self.addCleanup(responder.stop)
        agent = self.start_agent(config=CONFIG)
        dns.run(self.resolve_with_python([f"n0.{dns.ZONE}."]))
        self.assertEqual(responder.received, 4)  # A and AAAA, twice each
        self.assertEqual(agent.metrics().total("dns_lookup_retries_total", service_name="e2e-resolver"), 2)
        deadline = time.monotonic() + 8
        expected = {(f"n0.{dns.ZONE}", kind, "timeout"): 1 for kind in ("A", "AAAA")}
        while self.lookups(agent, "e2e-resolver") != expected and time.monotonic() < deadline:
            time.sleep(0.2)
        self.assert_lookups(agent, "e2e-resolver", expected)

    def test_connected_and_unconnected_sockets(self):
        self.start_unbound()
        agent = self.start_agent(config=CONFIG)
        connected, unconnected, both = (dns.datagram_socket(address, self.namespace)
                                        for address in ("127.0.0.1", "127.0.0.1", "::1"))
        for number in range(50):
            connected.connect(("127.0.0.1", 53))
            connected.send(dns.query(number))
            connected.recv(512)
            unconnected.sendto(dns.query(number), ("127.0.0.1", 53))
            unconnected.recv(512)
            both.sendto(dns.query(number), ("::1", 53))
            both.recv(512)
        for one in (connected, unconnected, both):
            one.close()
        self.assert_lookups(agent, own_service_names(), {(f"n0.{dns.ZONE}", "A", "NOERROR"): 150})
        self.assert_codes(agent, {"client": {"NOERROR": 150}, "server": {"NOERROR": 150}}, client=own_service_names())

    def test_sockets_older_than_the_agent(self):
        self.start_unbound()
        older = dns.datagram_socket("127.0.0.1", self.namespace)
        older.connect(("127.0.0.1", 53))
        older.send(dns.query(1))
        older.recv(512)
        agent = self.start_agent(config=CONFIG)
        for number in range(10):
            older.send(dns.query(number))
            older.recv(512)
        older.close()
        self.assert_codes(agent, {"client": {"NOERROR": 10}, "server": {"NOERROR": 10}}, client=own_service_names())

    def test_malformed_messages(self):
        good = dns.query(7)
        bad = [b"", b"\0", good[:11], good[:12], good[:-1], good[:12] + b"\xc0\x0c\0\1\0\1", good[:12] + b"\x40" + good[13:],
               good[:12] + b"\x3f" * 300, good[:2] + b"\x78" + good[3:]]
        responder = Responder(self.namespace, lambda message: message[:2] + b"\x81\x80" + message[4:]
                              if message == good else None)
        self.addCleanup(responder.stop)
        agent = self.start_agent(config=CONFIG)
        client = dns.datagram_socket("127.0.0.1", self.namespace)
        client.settimeout(5)
        for message in [*bad, good]:
            client.sendto(message, ("127.0.0.1", 53))
        self.assertEqual(client.recv(512)[:2], good[:2])
        client.close()
        self.assert_lookups(agent, own_service_names(), {(f"n0.{dns.ZONE}", "A", "NOERROR"): 1})
        self.assertEqual(agent.metrics().total("dns_malformed_messages_total"), 2 * len(bad))  # sent and received

    def test_mdns_is_let_alone(self):
        agent = self.start_agent(config=f"{TIMEOUT}ports = [53, 5353]\n")
        client = dns.datagram_socket("127.0.0.1", self.namespace)
        client.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        for _ in range(100):
            client.sendto(dns.query(0, "printer.local", 12, flags=0), ("224.0.0.251", 5353))
        client.close()
        time.sleep(1.5)
        self.assertEqual(self.lookups(agent, own_service_names()), {})
        self.assertEqual(agent.metrics().total("dns_malformed_messages_total"), 0)

    def test_names_over_the_limit_are_other(self):
        self.start_unbound()
        agent = self.start_agent(config=f"{CONFIG}names_per_workload = 3\n")
        dns.dnsperf(self.directory, [(f"n{number}.{dns.ZONE}", "A") for number in range(10)], wrapper=self.wrapper)
        self.assert_codes(agent, {"client": {"NOERROR": 10}, "server": {"NOERROR": 10}})
        names = collections.Counter()
        for (name, _, _), count in self.lookups(agent, "e2e-dnsperf").items():
            names[name] += count
        self.assertEqual(names["other"], 7, names)
        self.assertEqual(len(names), 4, names)


class TranslatedPortTest(DnsCase):
    """A resolver as Docker's: 127.0.0.11:53 is another port behind NAT, in the client's own network namespace."""

    PORT = 41153

    def setUp(self):
        super().setUp()
        iptables = places.tool("iptables")
        for protocol in ("udp", "tcp"):
            self.namespace.run(iptables, "-t", "nat", "-A", "OUTPUT", "-d", "127.0.0.11", "-p", protocol, "--dport", 53,
                               "-j", "DNAT", "--to-destination", f"127.0.0.11:{self.PORT}")
            self.namespace.run(iptables, "-t", "nat", "-A", "POSTROUTING", "-s", "127.0.0.11", "-p", protocol, "--sport",
                               self.PORT, "-j", "SNAT", "--to-source", ":53")
        self.responder = Responder(self.namespace, lambda message: message[:2] + b"\x81\x80" + message[4:], "127.0.0.11",
                                   self.PORT)
        self.addCleanup(self.responder.stop)

    def check(self, send):
        agent = self.start_agent(config=CONFIG)
        self.ask(send)
        self.assert_codes(agent, {"client": {"NOERROR": 20}, "server": {"NOERROR": 20}}, client=own_service_names(),
                          server=own_service_names())

    def ask(self, send, times=20):
        one = dns.datagram_socket("127.0.0.1", self.namespace)
        one.settimeout(5)
        for number in range(times):
            send(one, dns.query(number))
            self.assertEqual(one.recvfrom(512)[1], ("127.0.0.11", 53))
        one.close()

    def test_connected_sockets(self):
        def client(one, query):
            one.connect(("127.0.0.11", 53))
            one.send(query)
        self.check(client)

    def test_unconnected_sockets(self):
        self.check(lambda one, query: one.sendto(query, ("127.0.0.11", 53)))


if __name__ == "__main__":
    unittest.main()
