# SPDX-License-Identifier: Apache-2.0
"""Every query of the dashboards and rules, on a Prometheus that scrapes an agent with all probes under real traffic."""

import json
import math
import re
import subprocess
import threading
import unittest

from support import cgroups, clients, dns, places
from support.case import EndToEndCase
from support.exchange import REQUEST
from support.netns import NetworkNamespace
from support.ports import free_port
from support.prometheus import Prometheus
from support.servers import GoServer

PACKAGING = places.SOURCE_DIR / "packaging"
RULES = PACKAGING / "prometheus" / "limpet.rules.yml"
PROBES = [path.stem for path in sorted(places.plugin_dir().glob("*.so"))]
CONFIG = '[limits]\nmemory = "1GiB"\n' + "".join(f"[plugins.{probe}]\nenabled = true\n" for probe in PROBES).replace(
    "[plugins.dns]\n", "[plugins.dns]\ntimeout = '500ms'\n")
TRAFFIC_SECONDS = 8
VARIABLES = {"$__rate_interval": "20s", "$instance": ".*", "$container_id": ".*", "$service_name": ".*"}
SPIN = "while :; do :; done"


def dashboards():
    """name → dashboard, of the agent and of the probes that are built."""
    found = {path.stem.removeprefix("limpet-"): json.loads(path.read_text())
             for path in sorted((PACKAGING / "grafana").glob("*.json"))}
    return {name: found[name] for name in found if name in [*PROBES, "agent"]}


def filled_in(text):
    for name, value in VARIABLES.items():
        text = text.replace(name, value)
    return text


class DashboardsTest(EndToEndCase):
    def setUp(self):
        super().setUp()
        self.namespace = NetworkNamespace()
        self.addCleanup(self.namespace.close)
        group = cgroups.QuotaCgroup(quota_ms=20, period_ms=100)
        self.addCleanup(group.close)
        self.server = self.start_server(GoServer)
        self.start_server(dns.Unbound, wrapper=self.namespace.wrapper)
        self.agent = self.start_agent(config=CONFIG)
        self.prometheus = Prometheus(self.directory, self.agent.port, RULES).start()
        self.addCleanup(self.prometheus.stop)
        spinning = subprocess.Popen([*group.wrapper, "/bin/sh", "-c", SPIN])
        self.addCleanup(spinning.wait)
        self.addCleanup(spinning.kill)
        self.make_traffic()

    def make_traffic(self):
        """Good and bad of everything, over some seconds."""
        load = threading.Thread(target=clients.wrk, args=(self.server.url(),),
                                kwargs={"seconds": TRAFFIC_SECONDS, "connections": 4, "threads": 1})
        load.start()
        open_one = clients.connect(self.server.port)  # gauges of open connections are there while there are some
        self.addCleanup(open_one.close)
        open_one.sendall(REQUEST)
        clients.read_response(open_one)
        closed = free_port()
        while load.is_alive():
            clients.curl(self.server.url("/?status=503"))
            for failing in (self.server.url("/?abort=1"), f"http://127.0.0.1:{closed}/"):
                subprocess.run([places.tool("curl"), "-s", "-o", "/dev/null", failing], check=False, timeout=20)
            for question in (f"n1.{dns.ZONE}", f"missing.{dns.ZONE}", "quiet.silent.test", f"large.{dns.ZONE}"):
                dns.dig("@127.0.0.1", "+tries=1", "+time=1", "+bufsize=512", question, "TXT", wrapper=self.namespace.wrapper)
        load.join()

    def test_every_query_has_an_answer_and_every_scrape_is_good(self):
        self.check_scrapes()
        self.check_dashboards()
        self.check_rules()
        self.check_exposition()

    def check_scrapes(self):
        for target in self.prometheus.ask("targets")["activeTargets"]:
            self.assertEqual((target["health"], target["lastError"]), ("up", ""))
        self.assertEqual(set(self.prometheus.values("min_over_time(up[1m])")), {1.0})

    def check_dashboards(self):
        self.assertEqual(set(dashboards()), {*PROBES, "agent"}, "a probe has no dashboard")
        for name, dashboard in dashboards().items():
            for panel in dashboard["panels"]:
                for target in panel["targets"]:
                    with self.subTest(dashboard=name, panel=panel["title"], query=target["expr"]):
                        values = self.prometheus.values(filled_in(target["expr"]))
                        self.assertTrue([value for value in values if not math.isnan(value)])
            for variable in dashboard["templating"]["list"][1:]:
                with self.subTest(dashboard=name, variable=variable["name"]):
                    selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]).groups()
                    self.assertTrue(self.prometheus.ask(f"label/{label}/values", **{"match[]": filled_in(selector)}))

    def check_rules(self):
        own = "http", "dns", "container_cpu", *(probe for probe in PROBES)
        for group in self.prometheus.ask("rules")["groups"]:
            for rule in group["rules"]:
                with self.subTest(rule=rule["name"]):
                    self.assertEqual((rule["health"], rule.get("lastError", "")), ("ok", ""))
                    if rule["type"] == "recording" and rule["name"].split(":")[1].startswith(own):
                        self.assertTrue(self.prometheus.values(rule["name"]))

    def check_exposition(self):
        """promtool has nothing to say, and docs/metrics.md has every name."""
        _, _, text = self.agent.get("/metrics")
        checked = subprocess.run([places.tool("promtool"), "check", "metrics"], input=text, capture_output=True, text=True,
                                 timeout=20, check=False)
        self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""))
        documented = set(re.findall(r"\w+", (places.SOURCE_DIR / "docs" / "metrics.md").read_text()))
        self.assertFalse(set(self.agent.metrics().types) - documented, "not in docs/metrics.md")


if __name__ == "__main__":
    unittest.main()
