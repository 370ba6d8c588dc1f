# SPDX-License-Identifier: Apache-2.0
"""A Prometheus server that scrapes an agent, and what its HTTP API answers."""

import json
import pathlib
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

from . import places
from .ports import free_port

CONFIG = """\
global: {{scrape_interval: 500ms, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: limpet
    static_configs: [{{targets: ["127.0.0.1:{target}"]}}]
"""


class Prometheus:
    def __init__(self, directory, target_port, rules):
        self.port = free_port()
        self.directory = pathlib.Path(directory) / "prometheus"
        self.directory.mkdir()
        self.log_path = self.directory / "log"
        (self.directory / "prometheus.yml").write_text(CONFIG.format(rules=rules, target=target_port))
        self.process = None

    def start(self):
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [places.tool("prometheus"), f"--config.file={self.directory}/prometheus.yml", "--log.level=warn",
                 f"--storage.tsdb.path={self.directory}/data", f"--web.listen-address=127.0.0.1:{self.port}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while not self._is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"Prometheus does not start:\n{self.log_path.read_text()}")
            time.sleep(0.05)
        return self

    def _is_ready(self):
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5).status == 200
        except OSError:
            return False

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)

    def ask(self, path, **parameters):
        """The data of an answer of its API; AssertionError with its own words when it refuses."""
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/{path}?{query}", timeout=20) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path} {parameters}: {error.read().decode()}") from error

    def values(self, query):
        """The numbers that an instant query has for answer."""
        return [float(series["value"][1]) for series in self.ask("query", query=query)["result"]]
