#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What packaging/ says about metrics: dashboards are what their source makes, and every metric in them is documented."""

import json
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "packaging" / "grafana"))
sys.dont_write_bytecode = True
import dashboards  # noqa: E402

RULES = ROOT / "packaging" / "prometheus" / "limpet.rules.yml"
METRIC = re.compile(r"(?<![:\w])(?:http|tcp|dns|container_cpu|limpet|process)_\w+(?=[{\[])")


def documented():
    """Names in docs/metrics.md."""
    return set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", (ROOT / "docs" / "metrics.md").read_text()))


def base(metric):
    return re.sub(r"_(bucket|sum|count)$", "", metric)


class PackagingTest(unittest.TestCase):
    def test_the_json_is_what_dashboards_py_writes(self):
        for name in dashboards.DASHBOARDS:
            self.assertEqual(dashboards.path_of(name).read_text(), dashboards.text_of(name),
                             "run packaging/grafana/dashboards.py")
        self.assertEqual({path.name for path in dashboards.HERE.glob("*.json")},
                         {f"limpet-{name}.json" for name in dashboards.DASHBOARDS})

    def test_panels_have_ids_titles_and_room_of_their_own(self):
        for name in dashboards.DASHBOARDS:
            panels = json.loads(dashboards.path_of(name).read_text())["panels"]
            for key in ("id", "title"):
                self.assertEqual(len({panel[key] for panel in panels}), len(panels), f"{name}: {key}")
            taken = set()
            for panel in panels:
                place = panel["gridPos"]
                cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                         for y in range(place["y"], place["y"] + place["h"])}
                self.assertFalse(cells & taken, f"{name}: {panel['title']}")
                self.assertLessEqual(place["x"] + place["w"], dashboards.COLUMNS)
                taken |= cells

    def test_every_metric_is_documented(self):
        texts = {RULES.name: RULES.read_text()}
        texts |= {name: " ".join(query for panel in panels for query, _ in panel["queries"])
                  for name, (_, _, panels) in dashboards.DASHBOARDS.items()}
        known = documented()
        for name, text in texts.items():
            found = set(METRIC.findall(text))
            self.assertGreater(len(found), 2, name)
            self.assertFalse({metric for metric in found if not {metric, base(metric)} & known}, f"{name}: not in docs/metrics.md")

    def test_every_alert_and_recording_has_an_example(self):
        examples = (ROOT / "tests" / "packaging" / "rules_test.yml").read_text()
        for alert in re.findall(r"- alert: (\w+)", RULES.read_text()):
            self.assertIn(f"alertname: {alert}\n", examples)


if __name__ == "__main__":
    unittest.main()
