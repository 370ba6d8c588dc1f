# SPDX-License-Identifier: Apache-2.0
"""The dns probe beside unbound: lookups by response code are what dnsperf reports, at both ends."""

import collections
import unittest

from support import compare, dns
from support.case import EndToEndCase
from support.netns import NetworkNamespace

CONFIG = "[plugins.dns]\nenabled = true\n"
CLIENT = "e2e-dnsperf"


class DnsCase(EndToEndCase):
    def setUp(self):
        super().setUp()
        self.namespace = NetworkNamespace()
        self.addCleanup(self.namespace.close)
        self.wrapper = self.namespace.wrapper

    def start_unbound(self):
        return self.start_server(dns.Unbound, wrapper=self.wrapper)

    def assert_codes(self, agent, expected, client=CLIENT, server=None):
        """Both ends have counted these answers, or only the named ones."""
        expected = {side: +collections.Counter(codes) for side, codes in expected.items()}

        def problem():
            metrics = agent.metrics()
            counted = {"client": dns.codes(metrics, "client", service_name=client),
                       "server": dns.codes(metrics, "server", service_name=server or dns.Unbound.service_name)}
            wrong = {side: counted[side] for side in expected if counted[side] != expected[side]}
            return f"counted {wrong}, expected {expected}" if wrong else ""
        compare.wait_until_equal(problem, seconds=5)


class DnsperfTest(DnsCase):
    QUESTIONS = [(f"n{number % 200}.{dns.ZONE}" if number % 10 else f"missing{number}.{dns.ZONE}", kind)
                 for number in range(10_000) for kind in ("A", "AAAA")]
    QUESTIONS += [("refused.test", "TXT")] * 500

    def check(self, *options):
        self.start_unbound()
        agent = self.start_agent(config=CONFIG)
        report = dns.dnsperf(self.directory, self.QUESTIONS, *options, wrapper=self.wrapper)
        self.assertEqual(report.completed, len(self.QUESTIONS), report.output)
        self.assertEqual(len(report.codes), 3, report.output)
        self.assert_codes(agent, {"client": report.codes, "server": report.codes})
        return agent

    def test_udp(self):
        self.check("-c", 8, "-q", 100, "-Q", 20_000)

    def test_tcp(self):
        self.check("-m", "tcp", "-c", 8, "-q", 100, "-Q", 20_000)


if __name__ == "__main__":
    unittest.main()
