# SPDX-License-Identifier: Apache-2.0
"""The tests' own measures, held against each other without the agent: logs against clients, the parser against text."""

import collections
import tempfile
import unittest

from support import clients, compare
from support.exchange import Exchange, cut, every_byte, make_exchanges, serve_exchanges
from support.netns import NetworkNamespace
from support.prometheus_text import Exposition
from support.scripted_server import ScriptedServer
from support.servers import GoServer, Nginx, NodeServer, PythonServer

TEXT = """\
# HELP a_seconds How long.
# TYPE a_seconds histogram
a_seconds_bucket{m="G\\"E\\\\T",le="0.1"} 1
a_seconds_bucket{m="G\\"E\\\\T",le="+Inf"} 3
a_seconds_sum{m="G\\"E\\\\T"} 1.5
a_seconds_count{m="G\\"E\\\\T"} 3
# HELP b_total Plain.
# TYPE b_total counter
b_total 7
"""


class PrometheusTextTest(unittest.TestCase):
    def test_histograms_labels_and_escapes_are_read(self):
        exposition = Exposition(TEXT)
        histogram = exposition.histogram("a_seconds", m='G"E\\T')
        self.assertEqual((histogram.count, histogram.sum, histogram.buckets), (3, 1.5, {0.1: 1, float("inf"): 3}))
        self.assertEqual(exposition.total("b_total"), 7)
        self.assertEqual(exposition.label_values("a_seconds_count", "m"), {'G"E\\T'})

    def test_mistakes_are_refused(self):
        typed = "# TYPE a gauge\n"
        for text in ("untyped 1\n", typed + "a 1\na 2\n", typed + "a{b=c} 1\n", typed + "a{} x\n", typed + typed):
            with self.subTest(text), self.assertRaises(ValueError):
                Exposition(text)


class CompareTest(unittest.TestCase):
    def test_a_difference_is_shown_with_both_numbers(self):
        counted = compare.Rows(collections.Counter({("GET", "200"): 9}), collections.Counter({("GET", "", "reset"): 1}))
        text = compare.differences("server", counted, collections.Counter({("GET", "200"): 10}), collections.Counter())
        self.assertRegex(text, r"GET 200 +10 +9 +-1")
        self.assertRegex(text, r"GET  reset +0 +1 +\+1")

    def test_cut_off_requests_must_add_up(self):
        log = collections.Counter({("GET", "200"): 1000})
        for answered, failed, allowed in ((1000, 0, True), (995, 5, True), (1000, 5, True), (995, 0, False),
                                          (1001, 0, False), (900, 100, False), (1000, 11, False)):
            counted = compare.Rows(collections.Counter({("GET", "200"): answered}),
                                   collections.Counter({("GET", "", "reset"): failed}))
            with self.subTest(answered=answered, failed=failed):
                self.assertEqual(compare.cut_off_differences("s", counted, log, 10) == "", allowed)


class LogsTest(unittest.TestCase):
    """Every server's log against every client's own count."""

    def start(self, server_class, **arguments):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        server = server_class(directory.name, **arguments)
        self.addCleanup(server.stop)
        return server.start()

    def test_logs_hold_what_the_clients_were_answered(self):
        for server_class in (Nginx, GoServer, PythonServer, NodeServer):
            with self.subTest(server_class.__name__):
                server = self.start(server_class)
                load = clients.h2load(server.url(), 1000, 20)
                self.assertEqual((load.answered, load.failed), (1000, 0), load.output)
                short = clients.go_client(server.url("/missing"), 200, 10, keep_alive=False)
                self.assertEqual((short.answered, short.failed), (200, 0), short.output)
                seen = {("HEAD", "200"): clients.curl(server.url(), "--head", times=2)["200"],
                        ("GET", "204"): clients.curl(server.url("/empty", address="[::1]"))["204"],
                        ("POST", "200"): clients.curl(server.url("/post"), "--data", "x" * 3000)["200"]}
                self.assertEqual(seen, {("HEAD", "200"): 2, ("GET", "204"): 1, ("POST", "200"): 1})
                self.assertEqual(server.log_counts(), {**seen, ("GET", "200"): 1000, ("GET", "404"): 200})

    def test_wrk_cuts_off_at_most_one_request_of_each_connection(self):
        server = self.start(Nginx)
        load = clients.wrk(server.url(), connections=50, seconds=1)
        self.assertEqual(load.failed, 0, load.output)
        self.assertLessEqual(abs(sum(server.log_counts().values()) - load.answered), 100)

    def test_scripted_exchanges_reach_the_other_end_byte_for_byte(self):
        exchanges = [Exchange("whole"), Exchange("cut", request=cut(Exchange("").request[0], 3, 9)),
                     Exchange("bytes", answer=every_byte(Exchange("").answer[0])), Exchange("last", closes=True)]
        server = ScriptedServer(serve_exchanges(exchanges))
        make_exchanges(server.port, exchanges)
        server.stop()

    def test_lossy_namespaces_drop_packets_and_lose_no_request(self):
        namespace = NetworkNamespace()
        self.addCleanup(namespace.close)
        namespace.drop_packets(0.03)
        server = self.start(Nginx, wrapper=namespace.wrapper, address="127.0.0.1")
        load = clients.h2load(server.url(), 3000, 50, wrapper=namespace.wrapper)
        self.assertEqual((load.answered, load.failed), (3000, 0), load.output)
        self.assertEqual(server.log_counts(), {("GET", "200"): 3000})
        self.assertGreater(namespace.dropped_packets(), 20)


if __name__ == "__main__":
    unittest.main()
