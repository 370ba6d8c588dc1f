# SPDX-License-Identifier: Apache-2.0
"""nginx as a proxy: server and client at once, with upstreams that break off, are late, and stand in for each other."""

import threading
import time

from corpus_case import CorpusCase, case
from proxied import READ_TIMEOUT_SECONDS, ProxyNginx, RandomClient, Record, Upstream
from support import compare
from support.scripted_server import own_service_names

CLIENTS = 30
WEIGHTS = {"whole": 30, "chunked": 10, "until_close": 6, "last": 6, "missing": 6, "busy": 6, "broken": 3, "empty": 6, "closes": 4,
           "resets": 4, "closes_in_body": 3, "resets_in_body": 3, "closes_in_chunks": 3, "late": 1, "late_in_body": 0.3}

CLIENT = "Python: random requests over 30 connections"
UPSTREAMS = "nginx, buffering or not, keep-alive or HTTP/1.0, pages for errors; two scripted upstreams: closes, resets, 503, too late"

ENDS = ("upstreams", "proxy as client", "proxy as server", "clients")


def number_of(rows):
    return sum(rows.answered.values()) + sum(rows.failed.values())


class ProxyTest(CorpusCase):
    def setUp(self):
        super().setUp()
        self.records = {end: Record() for end in ENDS}
        self.upstreams = [Upstream(number, self.records["upstreams"], self.records["proxy as client"]) for number in range(2)]
        for upstream in self.upstreams:
            self.addCleanup(upstream.stop)
        self.proxy = self.start_server(ProxyNginx, upstream_ports=[upstream.port for upstream in self.upstreams],
                                       address="127.0.0.1")
        self.clients = [self.client(seed, WEIGHTS) for seed in range(CLIENTS)]
        for client in self.clients:
            self.addCleanup(client.drop)

    def client(self, seed, weights):
        return RandomClient(self.proxy.port, seed, self.records["clients"], self.records["proxy as server"], weights)

    def begin_load(self, requests):
        """Every client makes so many requests; its connection stays."""
        threads = [threading.Thread(target=client.make, args=(requests,)) for client in self.clients]
        for thread in threads:
            thread.start()
        return threads

    def end_load(self, threads):
        """Waits for it, and for upstreams that are late."""
        for thread in threads:
            thread.join()
        time.sleep(READ_TIMEOUT_SECONDS)

    def truth(self):
        return {end: record.rows() for end, record in self.records.items()}

    def counted(self, agent):
        metrics = agent.metrics()
        inner = compare.both_sides(metrics, own_service_names(), self.proxy.upstream_ports)
        outer = compare.both_sides(metrics, {self.proxy.service_name}, [self.proxy.port])
        return dict(zip(ENDS, (inner["server"], inner["client"], outer["server"], outer["client"])))

    def assert_exact(self, agent, since=None):
        """At all four ends, since `since`: what truth() and counted() were then."""
        def problem():
            truth, counted = self.truth(), self.counted(agent)
            if since:
                truth, counted = ({end: now[end] - then[end] for end in now} for now, then in zip((truth, counted), since))
            return "\n".join(filter(None, (compare.differences(end, counted[end], truth[end].answered, truth[end].failed)
                                           for end in truth)))
        try:
            compare.wait_until_equal(problem)
        finally:
            self.remember_both(self.truth(), self.counted(agent), since)
        self.assertEqual(self.proxy.attempts(), number_of(self.truth()["proxy as client"]))
        self.assertEqual(sum(self.proxy.log_counts().values()), number_of(self.truth()["clients"]))

    def remember_both(self, truth, counted, since):
        """For the table: what the servers of both connections, upstream and proxy, say, and both ends by limpet."""
        if since:
            truth, counted = ({end: now[end] - then[end] for end in now} for now, then in zip((truth, counted), since))
        for server, client in (ENDS[:2], ENDS[2:]):
            record = truth[server]
            self.remember({**record.answered, **record.failed}, {"server": counted[server], "client": counted[client]})

    @case("proxied", CLIENT, UPSTREAMS, "the script, access log")
    def test_upstreams_that_break_off_are_late_and_stand_in_for_each_other(self):
        agent = self.start_agent()
        self.end_load(self.begin_load(150))
        self.assert_exact(agent)

    @case("proxied", CLIENT, UPSTREAMS + "; agents stop and are killed under it", "the script, access log")
    def test_agents_restarted_under_load_count_exactly_behind_it(self):
        agent, load = self.start_agent(), self.begin_load(120)
        for stop in ("stop", "kill"):
            time.sleep(0.7)
            getattr(agent, stop)()
            started = self.truth()
            agent = self.start_agent()
        self.end_load(load)
        time.sleep(compare.SETTLE_SECONDS)
        for end, rows in self.counted(agent).items():
            self.assertLessEqual(number_of(rows), number_of(self.truth()[end] - started[end]) + CLIENTS, end)
        since = self.truth(), self.counted(agent)
        self.end_load(self.begin_load(30))
        self.assert_exact(agent, since)

    @case("proxied", CLIENT + ", older than the agent", UPSTREAMS + "; agents stop and are killed between two loads",
          "the script, access log")
    def test_connections_of_both_sides_older_than_the_agent(self):
        agent = self.start_agent()
        self.end_load(self.begin_load(20))
        for stop in ("stop", "kill"):
            getattr(agent, stop)()
            since = self.truth()
            agent = self.start_agent()
            self.end_load(self.begin_load(30))
            self.assert_exact(agent, (since, dict.fromkeys(ENDS, compare.NOTHING)))
