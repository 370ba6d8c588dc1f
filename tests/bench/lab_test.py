#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the lab makes of its figures: intervals, tables, the plot."""

import pathlib
import sys
import unittest
import xml.dom.minidom

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
sys.dont_write_bytecode = True
import experiments  # noqa: E402
import plot  # noqa: E402
import report  # noqa: E402


def reference(base_ms, lost=0):
    return {"p0.5": base_ms * 1e3, "p0.9": base_ms * 1.2e3, "p0.99": base_ms * 2e3, "p0.999": base_ms * 4e3, "server_cpu_us": 30,
            "client_cpu_us": 10, "agent_cpu": 0.002, "resident_bytes": 14e6, "unanswered": 0, "lost": lost, "generator_lag_p99_us": 20}


def cost(pairs):
    return {"ns": 100 * pairs, "pair_ns": 100, "pairs": pairs, "ratio": pairs}


def figures(load=0.1):
    machine = {"date": "2026-01-01", "cpu": "a CPU", "cpus": 2, "kernel": "6.1", "load": load}
    return {
        "machine": machine, "rounds": 2, "seconds": 1,
        "latency": {"none": [reference(5.0), reference(5.2)], "limpet": [reference(5.1), reference(5.5, 3)], "other": [reference(9), reference(9)]},
        "throughput": {"none": [1000, 2000], "limpet": [900, 2000], "other": [500, 1000]},
        "steps": {"http": [cost(5), cost(7)], "all <probes>": [cost(8), cost(8)]},
        "growth": {name: [cost(6), cost(6)] for name in [*map(str, experiments.GROWTH), "saturation"]},
        "everything": {"probes": ["cpu", "http"], "agent_cpu": 0.003, "resident_bytes": 15e6, "kernel_memory_bytes": 9e6, "lost": 0},
        "idle": {"agent_cpu": 0.0006, "kernel_cpu": 0.0007},
        "scrapes": {"series": 44000, "bytes": 8700000, "seconds": [0.031, 0.033]}, "starts": [0.3, 0.3], "stripped_bytes": 2e6,
    }


class LabTest(unittest.TestCase):
    def test_intervals_are_students(self):
        self.assertEqual(report.interval([3.0]), (3.0, 0.0))
        mean, half = report.interval([1.0, 2.0, 3.0])  # t = 4.303 for two degrees of freedom, s = 1
        self.assertEqual(mean, 2.0)
        self.assertAlmostEqual(half, 4.303 / 3 ** 0.5, places=2)

    def test_differences_are_taken_round_by_round(self):
        found = report.differences(figures()["latency"], "p0.5")
        self.assertEqual([round(value) for value in found["limpet"]], [100, 300])
        self.assertNotIn("none", found)

    def test_every_round_has_every_subject_and_begins_with_another(self):
        order = list(experiments.alternating(["a", "b", "c"], 4))
        for number in range(4):
            self.assertEqual({subject for n, subject in order if n == number}, {"a", "b", "c"})
        self.assertEqual([order[3 * number][1] for number in range(4)], ["a", "b", "c", "a"])

    def test_the_report_has_what_was_measured(self):
        text = report.markdown(figures())
        for expected in ("| throughput with limpet, of the bare server's | 0.950 ± 0.635 |", "| requests not counted | 3 | 0 |",
                         "cpu, http, scraped every 5 s: agent CPU | 0.30% |", "other − none", "| http | 600 ± ", "| 5,000 | 600"):
            self.assertIn(expected, text)
        self.assertNotIn("Not a quiet machine", text)
        self.assertIn("Not a quiet machine: load 3", report.markdown(figures(load=3)))
        for block in text.split("\n\n"):
            widths = {line.count("|") for line in block.splitlines() if line.startswith("|")}
            self.assertLessEqual(len(widths), 1, block)

    def test_the_plot_is_xml_with_every_name(self):
        drawn = xml.dom.minidom.parseString(plot.svg(figures()))
        texts = [node.firstChild.data for node in drawn.getElementsByTagName("text")]
        for expected in ("p99.9", "● other", "all <probes>", "saturation"):
            self.assertIn(expected, texts)
        self.assertEqual(len(drawn.getElementsByTagName("circle")), 3 * len(experiments.PERCENTILES))


if __name__ == "__main__":
    unittest.main()
