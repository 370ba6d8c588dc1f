# SPDX-License-Identifier: Apache-2.0
"""/metrics as Prometheus reads it: promtool's opinion, the metrics of the contract, histograms that add up."""

import subprocess
import threading
import unittest

from support import clients, places
from support.case import EndToEndCase
from support.servers import GoServer

HTTP_METRICS = {f"http_{side}_{metric}": kind for side in ("server", "client") for metric, kind in (
    ("request_duration_seconds", "histogram"), ("time_to_first_byte_seconds", "histogram"),
    ("active_requests", "gauge"))}
CORE_METRICS = {
    "limpet_build_info": "gauge", "limpet_plugin_info": "gauge", "limpet_plugin_state": "gauge",
    "limpet_program_runs_total": "counter", "limpet_kernel_memory_bytes": "gauge", "limpet_events_total": "counter",
    "limpet_series": "gauge", "limpet_series_limit": "gauge", "limpet_series_overflow_total": "counter",
    "limpet_connections_evicted_total": "counter", "limpet_unseen_total": "counter",
    "limpet_scrape_duration_seconds": "gauge", "process_cpu_seconds_total": "counter", "process_resident_memory_bytes": "gauge",
    "process_start_time_seconds": "gauge", "process_open_fds": "gauge",
}
SERVER_LABELS = {"container_id", "service_name", "http_route", "http_request_method", "http_response_status_code"}
DEFAULT_BOUNDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1,
                  2.5, 5, 7.5, 10, float("inf")]


class ExpositionTest(EndToEndCase):
    def setUp(self):
        super().setUp()
        self.server = self.start_server(GoServer)
        self.agent = self.start_agent()
        clients.h2load(self.server.url("/?sleep=1ms"), 500, 10)
        clients.curl(self.server.url("/missing"), times=3)
        self.assert_counts_equal_log(self.agent, self.server)

    def test_promtool_has_nothing_to_say(self):
        _, _, text = self.agent.get("/metrics")
        checked = subprocess.run([places.tool("promtool"), "check", "metrics"], input=text, capture_output=True,
                                 text=True, timeout=20)
        self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""))

    def test_every_metric_of_the_contract_is_there_with_its_kind_and_a_help_text(self):
        metrics = self.agent.metrics()
        for name, kind in {**HTTP_METRICS, **CORE_METRICS}.items():
            with self.subTest(name):
                self.assertEqual(metrics.types.get(name), kind)
                self.assertTrue(metrics.helps.get(name))

    def test_content_type_is_the_text_format(self):
        _, headers, _ = self.agent.get("/metrics")
        self.assertRegex(headers["Content-Type"], r"^text/plain(; *version=0\.0\.4)?")

    def test_labels_are_those_of_the_contract(self):
        metrics = self.agent.metrics()
        for side, own, expected in (
                ("server", {"service_name": self.server.service_name}, SERVER_LABELS),
                ("client", {"server_port": str(self.server.port)}, SERVER_LABELS | {"server_address", "server_port"})):
            samples = metrics.select(f"http_{side}_request_duration_seconds_count", **own)
            self.assertTrue(samples, side)
            for sample in samples:
                self.assertEqual({name for name, _ in sample.labels}, expected)

    def test_the_default_bounds_are_opentelemetrys_and_five_below(self):
        histogram = self.agent.metrics().histogram("http_server_request_duration_seconds",
                                                   service_name=self.server.service_name)
        self.assertEqual(sorted(histogram.buckets), DEFAULT_BOUNDS)

    def test_buckets_are_cumulative_and_end_in_the_count(self):
        metrics = self.agent.metrics()
        for name in HTTP_METRICS:
            if metrics.types[name] != "histogram":
                continue
            for sample in metrics.select(name + "_count"):
                histogram = metrics.histogram(name, **dict(sample.labels))
                counts = [count for _, count in sorted(histogram.buckets.items())]
                self.assertEqual(counts, sorted(counts), sample)
                self.assertEqual(counts[-1], sample.value, sample)

    def test_a_scrape_tells_how_long_the_one_before_took(self):
        seconds = [self.agent.metrics().total("limpet_scrape_duration_seconds") for _ in range(6)][1:]
        for each in seconds:
            self.assertGreater(each, 0)
            self.assertLess(each, 0.05)

    def test_counters_never_fall_while_a_load_runs(self):
        load = threading.Thread(target=clients.wrk, args=(self.server.url(),), kwargs={"seconds": 2})
        load.start()
        self.addCleanup(load.join)
        last = {}
        for _ in range(50):
            metrics = self.agent.metrics()
            for sample in metrics.samples:
                kind = metrics.types[metrics.family(sample.name)]
                if kind in ("counter", "histogram"):
                    key = sample.name, sample.labels
                    self.assertGreaterEqual(sample.value, last.get(key, 0), key)
                    last[key] = sample.value


if __name__ == "__main__":
    unittest.main()
