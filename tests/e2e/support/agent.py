# SPDX-License-Identifier: Apache-2.0
"""The agent under test as a child process: a config file of its own, a free port, its log, its metrics."""

import http.client
import os
import pathlib
import signal
import subprocess
import time

from . import places
from .ports import free_port
from .prometheus_text import Exposition

START_SECONDS = 30  # emulated kernels are slow
STOP_SECONDS = 10


class Agent:
    """`limpet run` with a temporary config.

    `config` is TOML text behind the generated [agent] head; by default the http probe alone. `wrapper` is put before
    the command, to run it in other namespaces or as another user.
    """

    def __init__(self, directory, config="[plugins.http]\nenabled = true\n", agent_keys="", wrapper=(), port=None,
                 listen=None):
        self.directory = pathlib.Path(directory)
        self.port = port or free_port()
        self.listen = listen or f"127.0.0.1:{self.port}"
        self.config_path = self.directory / f"limpet-{self.port}.toml"
        self.log_path = self.directory / f"limpet-{self.port}-{time.monotonic_ns()}.log"
        self.wrapper = [str(part) for part in wrapper]
        self.process = None
        self.write_config(config, agent_keys)

    def write_config(self, config, agent_keys=""):
        self.config_path.write_text(f'[agent]\nlisten = "{self.listen}"\n{agent_keys}\n{config}')

    def start(self, output=None):
        """Starts the process; does not wait. `output`: a file for its stderr in place of the log that log() reads."""
        if not places.agent_binary().exists():
            raise AssertionError(f"the agent {places.agent_binary()} is missing: build it first (./dev build)")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                self.wrapper + [str(places.agent_binary()), "run", "--config", str(self.config_path)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=output or log)
        return self

    def wait_until_healthy(self, seconds=START_SECONDS):
        self.wait_until_health_is(200, seconds)
        return self

    def wait_until_health_is(self, status, seconds=START_SECONDS):
        """Waits until /healthz answers with this status; fails at once when the agent ends."""
        deadline = time.monotonic() + seconds
        last = "no answer"
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the agent ended with exit code {self.process.returncode}:\n{self.log()}")
            try:
                last = self.get("/healthz")
                if last[0] == status:
                    return
            except OSError as error:
                last = error
            time.sleep(0.01)
        raise AssertionError(f"/healthz did not answer {status} within {seconds} s, last: {last}\n{self.log()}")

    def get(self, path):
        """(status, headers, body text) of a GET on the agent's own port."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read().decode()
        finally:
            connection.close()

    def metrics(self):
        status, _, text = self.get("/metrics")
        if status != 200:
            raise AssertionError(f"/metrics answered {status}: {text}")
        return Exposition(text)

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def kill(self):
        """SIGKILL: the agent cannot clean up."""
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def wait(self, seconds=STOP_SECONDS):
        """The exit code; an agent that does not end is killed and fails the test."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the agent was still running after {seconds} s:\n{self.log()}") from None

    def stop(self):
        """SIGTERM; a running agent must end with exit code 0."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        code = self.wait()
        if code != 0:
            raise AssertionError(f"after SIGTERM the agent ended with exit code {code}:\n{self.log()}")

    def resident_bytes(self):
        with open(f"/proc/{self.process.pid}/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
