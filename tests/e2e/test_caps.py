# SPDX-License-Identifier: Apache-2.0
"""Limits that are kept by the size of things: series of all probes together, kernel memory, the agent's own memory."""

import re
import unittest

from support import clients, compare
from support.bad_start import BAD_CONFIG, RefusalCases
from support.case import EndToEndCase
from support.servers import GoServer

PROBES = "".join(f"[plugins.{name}]\nenabled = true\n" for name in ("http", "cpu", "dns", "tcp"))
ROWS = 60


class CapsTest(RefusalCases, EndToEndCase):
    def ratio(self, metrics, limit):
        return metrics.total("limpet_limit_ratio", limit=limit)

    def reload_with(self, agent, config, line):
        """A SIGHUP with this config; returns once the log has a line that it had not."""
        agent.write_config(config)
        before = len(re.findall(line, agent.log()))
        agent.reload()
        compare.wait_until_equal(lambda: "" if len(re.findall(line, agent.log())) > before else f"no {line}", seconds=10)

    def test_the_tables_of_all_probes_share_the_limit_and_what_is_beyond_counts_as_other(self):
        server = self.start_server(GoServer)
        agent = self.start_agent(config=f"[limits]\nseries = {ROWS}\n{PROBES}")
        statuses = range(200, 240)
        for status in statuses:
            clients.go_client(server.url(f"/?status={status}"), 2)

        def problem():
            metrics = agent.metrics()
            counted = metrics.total("http_server_request_duration_seconds_count")
            return "" if counted == 2 * len(statuses) else f"{counted} requests"
        compare.wait_until_equal(problem)
        metrics = agent.metrics()
        self.assertLessEqual(metrics.total("limpet_series_limit"), ROWS)
        self.assertGreater(metrics.total("limpet_series_limit"), ROWS * 0.8)
        self.assertLessEqual(metrics.total("limpet_series"), ROWS)
        self.assertAlmostEqual(self.ratio(metrics, "series"), metrics.total("limpet_series") / ROWS)
        other = metrics.total("http_server_request_duration_seconds_count", http_response_status_code="other")
        own = len(metrics.select("http_server_request_duration_seconds_count")) - 1
        self.assertEqual(other, 2 * (len(statuses) - own))
        self.assertGreater(own, 4)

    def test_a_share_of_its_own_and_one_that_is_lifted_by_a_reload(self):
        agent = self.start_agent(config=f"[limits]\nseries = 5000\n[plugins.http.limits]\nseries = 10\n{PROBES}")
        metrics = agent.metrics()
        self.assertLessEqual(metrics.total("limpet_series_limit", plugin="http"), 10)
        tcp = metrics.total("limpet_series_limit", plugin="tcp")
        self.assertGreater(tcp, 1000)
        self.reload_with(agent, PROBES, "configuration read again: 0 started, 1 changed")
        metrics = agent.metrics()
        self.assertGreater(metrics.total("limpet_series_limit", plugin="http"), 1000)
        self.assertEqual(metrics.total("limpet_series_limit", plugin="tcp"), tcp)
        self.assertFalse(metrics.select("limpet_limit_ratio"))

    def test_a_probe_that_does_not_fit_into_kernel_memory_is_not_loaded_and_the_others_are(self):
        agent = self.launch_agent(config=PROBES + '[plugins.http.limits]\nkernel_memory = "1MiB"\n')
        agent.wait_until_health_is(503)
        status = agent.get("/healthz")[2]
        self.assertRegex(status, r"http: failed: takes \d{7} bytes of kernel memory .*plugins\.http\.limits\.kernel_memory "
                                 r"allows 1MiB\. Set it to [\d.]+MiB or more")
        self.assertEqual(status.count("\n"), 1, status)
        metrics = agent.metrics()
        self.assertEqual(metrics.total("limpet_kernel_memory_bytes", plugin="http"), 0)
        taken = int(metrics.total("limpet_kernel_memory_bytes"))
        all_but_http = f'[limits]\nkernel_memory = "{taken + 200_000}B"\n{PROBES}'
        self.reload_with(agent, all_but_http, "configuration read again")
        self.assertIn("limits.kernel_memory is ", agent.get("/healthz")[2])
        self.assertLess(self.ratio(agent.metrics(), "kernel_memory"), 1)
        self.reload_with(agent, f'[limits]\nkernel_memory = "{taken + 20_000_000}B"\n{PROBES}', "configuration read again")
        self.assertEqual(agent.get("/healthz")[0], 200)
        metrics = agent.metrics()
        self.assertGreater(metrics.total("limpet_kernel_memory_bytes", plugin="http"), 1 << 20)
        used = metrics.total("limpet_kernel_memory_bytes")
        self.assertAlmostEqual(self.ratio(metrics, "kernel_memory"), used / (taken + 20_000_000))

    def test_memory_above_its_limit_is_logged_and_shown(self):
        agent = self.start_agent(config='[limits]\nmemory = "2MiB"\n' + PROBES)
        compare.wait_until_equal(lambda: "" if "limits.memory is 2MiB" in agent.log() else "no line", seconds=10)
        metrics = agent.metrics()
        self.assertGreater(self.ratio(metrics, "memory"), 1)

        def problem():  # it looks every five seconds
            said, real = self.ratio(agent.metrics(), "memory") * (2 << 20), agent.resident_bytes()
            return "" if abs(said - real) < 2 << 20 else f"{said} bytes of {real}"
        compare.wait_until_equal(problem, seconds=12)
        self.assertRegex(agent.get("/")[2], r"<td>memory</td><td[^>]*>[\d.]+MiB</td><td[^>]*>2MiB</td>"
                                            r'<td class="failed">not kept</td>')
        self.assertEqual(agent.get("/healthz")[0], 200)
        self.reload_with(agent, '[limits]\nmemory = "1GiB"\n' + PROBES, "is within limits.memory again")
        self.assertLess(self.ratio(agent.metrics(), "memory"), 0.1)

    def test_limits_that_cannot_be_kept_are_refused_with_the_floor(self):
        place = r"limpet-\d+\.toml:5:"
        self.assert_refuses(BAD_CONFIG, place + "10", "limits.series: 5 cannot hold one row for each of the 10 series tables",
                            "use 10 or more", config=f"[limits]\nseries = 5\n{PROBES}")
        self.assert_refuses(BAD_CONFIG, place + "17", r"limits.kernel_memory: 1MiB is less than the [\d.]+MiB", "use more",
                            config=f'[limits]\nkernel_memory = "1MiB"\n{PROBES}')
        self.assert_refuses(BAD_CONFIG, place + "10", "plugins.http.limits.series: 1 cannot hold one row",
                            config=f"[plugins.http.limits]\nseries = 1\n{PROBES}")


if __name__ == "__main__":
    unittest.main()
