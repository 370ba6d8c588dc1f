# SPDX-License-Identifier: Apache-2.0
"""A series table that is too small: what has no row of its own is counted under `other`, and nothing is lost."""

import unittest

from support import clients, compare
from support.case import EndToEndCase
from support.servers import GoServer

COUNTS = {200: 40, 201: 30, 202: 20, 404: 7, 500: 5, 503: 3}
TOTAL = sum(COUNTS.values())


class SeriesLimitTest(EndToEndCase):
    def load(self, rows):
        """An agent with tables of that many rows, one of them for the rest, after a load of six label combinations."""
        server = self.start_server(GoServer)
        agent = self.start_agent(config=f"[plugins.http]\nenabled = true\nseries = {rows}\n")
        for status, times in COUNTS.items():
            answer = clients.go_client(server.url(f"/?status={status}"), times)
            self.assertEqual(answer.answered, times, answer.output)
        return server, agent

    def counts(self, agent, side, metric="request_duration_seconds"):
        """{status code or "other": count} of all series of one side."""
        return {sample.label("http_response_status_code"): sample.value
                for sample in agent.metrics().select(f"http_{side}_{metric}_count") if sample.value}

    def test_the_first_keep_their_rows_and_the_rest_is_other(self):
        _, agent = self.load(4)
        expected = {"200": 40, "201": 30, "202": 20, "other": 15}

        def problem():
            counted = {side: self.counts(agent, side) for side in ("server", "client")}
            return "" if counted == {"server": expected, "client": expected} else str(counted)
        compare.wait_until_equal(problem)
        self.assertEqual(self.counts(agent, "server", "time_to_first_byte_seconds"), expected)

    def test_the_row_of_the_rest_says_other_in_every_label(self):
        _, agent = self.load(2)

        def problem():
            counted = {side: self.counts(agent, side) for side in ("server", "client")}
            expected = {"200": 40, "other": TOTAL - 40}
            return "" if counted == {"server": expected, "client": expected} else str(counted)
        compare.wait_until_equal(problem)
        for side in ("server", "client"):
            rest, = agent.metrics().select(f"http_{side}_request_duration_seconds_count", service_name="other")
            for label, value in rest.labels:
                self.assertEqual(value, "other", (label, rest))

    def test_the_overflow_is_told(self):
        _, agent = self.load(2)
        metrics = agent.metrics()
        # one row beside the rest in each of two tables, and two samples of gauges
        self.assertEqual(metrics.total("limpet_series_limit", plugin="http"), 4)
        self.assertEqual(metrics.total("limpet_series", plugin="http"), 4)
        self.assertGreaterEqual(metrics.total("limpet_series_overflow_total", plugin="http"), 10)
        self.assertEqual(agent.get("/healthz")[0], 200)


if __name__ == "__main__":
    unittest.main()
