# SPDX-License-Identifier: Apache-2.0
"""The experiments of bench/, as short as they can be: they run, every request is answered and counted, costs are above an
empty program's. Figures are another matter, for a quiet machine."""

import pathlib
import re
import subprocess
import sys
import unittest

from support import places
from support.case import EndToEndCase

sys.path.insert(0, str(places.SOURCE_DIR / "bench"))
import agents  # noqa: E402
import experiments  # noqa: E402
import loads  # noqa: E402


class LabTest(EndToEndCase):
    def setUp(self):
        super().setUp()
        self.bench_directory = pathlib.Path(self.directory)
        self.limpet = agents.Limpet(self.bench_directory, {"http": {}})

    def test_the_reference_load_beside_nobody_limpet_and_a_peer(self):
        agents.PEER_WARM_UP_SECONDS = 0.1
        subjects = [agents.Nobody(), self.limpet, agents.Peer("idler", "sleep 100")]
        runs = experiments.latency(self.bench_directory, subjects, 1, 1)
        self.assertEqual(set(runs), {"none", "limpet", "idler"})
        for name, (run,) in runs.items():
            self.assertEqual((run["unanswered"], run["lost"]), (0, 0), name)
            self.assertGreater(run["p0.5"], 5000, name)  # the server sleeps for 5 ms
            self.assertGreater(run["server_cpu_us"], 1, name)
            self.assertGreater(run["client_cpu_us"], 1, name)
            self.assertEqual(run["resident_bytes"] > 0, name != "none", name)

    def test_every_step_can_be_switched_on(self):
        names = experiments.steps()
        self.assertIn("http, 8 idle probes", names)
        for name in ("tap, no probe's traffic", "http, 8 idle probes"):
            limpet = agents.Limpet(self.bench_directory, names[name], name)
            with loads.go_server(self.bench_directory) as server, limpet.running():
                cost = experiments.cost_of(limpet, loads.constant(server, 1, rate=1000))
                self.assertGreater(cost["ratio"], 1, name)
                self.assertGreater(cost["pairs"], 1, name)

    def test_all_probes_are_scraped_under_load(self):
        whole = experiments.everything(self.bench_directory, 2)
        self.assertEqual(whole["lost"], 0)
        self.assertLess(whole["kernel_memory_bytes"], 16e6)
        self.assertLess(whole["resident_bytes"], 20e6)

    def test_the_way_into_hooks_is_measured(self):
        output = subprocess.run([places.build_dir() / "bench/hook_cost"], check=True, capture_output=True, text=True).stdout
        rows = re.findall(r"^(cgroup_skb|tp_btf) +([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+)$", output, re.M)
        self.assertEqual([row[0] for row in rows], ["cgroup_skb", "tp_btf"], output)
        self.assertGreater(min(float(figure) for row in rows for figure in row[1:]), 0, output)


if __name__ == "__main__":
    unittest.main()
