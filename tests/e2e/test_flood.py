# SPDX-License-Identifier: Apache-2.0
"""Whoever sends what was never seen before costs others nothing: rows and memory have bounds, and every request is counted."""

import pathlib
import re
import sys
import threading
import time
import unittest

from support import clients, compare
from support.case import EndToEndCase
from support.flood import flood
from support.servers import GoServer, Nginx, PythonServer

ROWS = 100
CONFIG = f"[limits]\nseries = {ROWS}\n[plugins.http]\nenabled = true\n"
WARM_UP = 10_000
FLOOD = 100_000


class FloodTest(EndToEndCase):
    def kernel_bytes(self, agent):
        """What the kernel charges for the BPF objects of this process, now."""
        total = {}
        for entry in pathlib.Path(f"/proc/{agent.process.pid}/fdinfo").iterdir():
            fields = dict(re.findall(r"^(\w+):\s*(\d+)", entry.read_text(), re.M))
            if "memlock" in fields:
                total[fields.get("map_id"), fields.get("prog_id")] = int(fields["memlock"])
        return sum(total.values())

    def resident_bytes(self, agent):
        agent.metrics()  # the first scrape of new rows makes room for them
        time.sleep(0.2)
        return agent.resident_bytes()

    def count(self, metrics, side, **labels):
        return metrics.total(f"http_{side}_request_duration_seconds_count", **labels)

    def ask_quietly(self, server, until):
        while not until.is_set():
            clients.go_client(server.url(), 10)
            until.wait(0.2)

    def test_100_000_paths_and_hosts_fill_their_rows_and_nobody_elses(self):
        flooded, quiet = self.start_server(Nginx), self.start_server(GoServer)
        agent = self.start_agent(config=CONFIG)
        clients.go_client(quiet.url(), 10)
        compare.wait_until_equal(
            lambda: "" if self.count(agent.metrics(), "server", service_name=quiet.service_name) == 10 else "not yet")
        flood(flooded.port, 0, WARM_UP)
        kernel_before, resident_before = self.kernel_bytes(agent), self.resident_bytes(agent)

        until = threading.Event()
        beside = threading.Thread(target=self.ask_quietly, args=(quiet, until))
        beside.start()
        begin = time.monotonic()
        flood(flooded.port, WARM_UP, FLOOD)
        seconds = time.monotonic() - begin
        until.set()
        beside.join()

        self.assert_all_is_counted(agent, flooded, quiet)
        metrics = agent.metrics()
        self.assertLessEqual(metrics.total("limpet_series"), ROWS)
        self.assertGreater(metrics.total("limpet_series"), ROWS / 2)
        self.assertLessEqual(metrics.total("limpet_limit_ratio", limit="series"), 1)
        self.assertGreater(metrics.total("limpet_series_overflow_total"), 0)
        kernel, resident = self.kernel_bytes(agent), self.resident_bytes(agent)
        print(f"\n{FLOOD} requests in {seconds:.1f} s; kernel memory {kernel_before} → {kernel}, resident memory "
              f"{resident_before} → {resident}, {metrics.total('limpet_series'):.0f} rows of {ROWS}", file=sys.stderr)
        self.assertGreater(kernel, 1 << 20)
        self.assertEqual(kernel, kernel_before)
        self.assertLess(resident, resident_before + (1 << 20))
        self.assert_a_latecomer_has_rows(agent)

    def assert_a_latecomer_has_rows(self, agent):
        late = self.start_server(PythonServer)
        clients.go_client(late.url(), 10)
        compare.wait_until_equal(lambda: "" if self.count(agent.metrics(), "server", service_name=late.service_name) == 10 else
                                 "a workload that came after the flood has no rows")

    def assert_all_is_counted(self, agent, flooded, quiet):
        """Both logs, in all rows together; the quiet one's in rows of its own."""
        self.assert_log_counts(flooded, WARM_UP + FLOOD)

        def problem():
            metrics = agent.metrics()
            asked = sum(quiet.log_counts().values())
            expected = {"quiet": asked, "server": asked + WARM_UP + FLOOD, "client": asked + WARM_UP + FLOOD,
                        "quiet client": asked}
            counted = {"quiet": self.count(metrics, "server", service_name=quiet.service_name, http_route="/"),
                       "server": self.count(metrics, "server"), "client": self.count(metrics, "client"),
                       "quiet client": self.count(metrics, "client", server_port=str(quiet.port), http_route="/")}
            return "" if counted == expected else f"{counted}, expected {expected}"
        compare.wait_until_equal(problem)


if __name__ == "__main__":
    unittest.main()
