# SPDX-License-Identifier: Apache-2.0
"""Who is measured: nobody, limpet with a configuration, or another agent that the command line names."""

import contextlib
import os
import pathlib
import re
import shlex
import signal
import time
import urllib.error
import urllib.request

from machine import AGENT_CPU, BUILD, answers, cpu_ns, die, free_port, resident_bytes, running, wait_until

PEER_WARM_UP_SECONDS = 5


class Nobody:
    """The machine without any agent: what the others are held against."""

    name = "none"
    pid = None

    @contextlib.contextmanager
    def running(self):
        yield self


class Peer(Nobody):
    """Another agent, as `name=command` says. What it observes is its own business; here its cost is measured."""

    def __init__(self, name, command):
        self.name, self.command = name, shlex.split(command)

    @contextlib.contextmanager
    def running(self):
        with running(*self.command, cpu=AGENT_CPU) as process:
            time.sleep(PEER_WARM_UP_SECONDS)
            if process.poll() is not None:
                die(f"the peer {self.name} ended with {process.returncode}: {shlex.join(self.command)}")
            self.pid = process.pid
            yield self


class Limpet(Nobody):
    """limpet with these [plugins.…] tables: {plugin: {key: TOML text}}."""

    def __init__(self, directory, plugins, name="limpet"):
        self.name, self.port = name, free_port()
        self.config = pathlib.Path(directory) / f"{re.sub(r'[^a-z0-9]+', '-', name)}-{self.port}.toml"
        tables = "".join(f"[plugins.{plugin}]\nenabled = true\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())
                         for plugin, keys in plugins.items())
        self.text = f'[agent]\nlisten = "127.0.0.1:{self.port}"\ncpus = [{AGENT_CPU}]\n{tables}'
        self.config.write_text(self.text)
        self.start_seconds = None

    @contextlib.contextmanager
    def running(self):
        begin = time.monotonic()
        with running(BUILD / "limpet", "run", "--config", self.config) as process:
            wait_until(lambda: answers(self.port) or process.poll() is not None, "limpet")
            self.metrics()
            self.start_seconds = time.monotonic() - begin
            self.page("/healthz")
            self.pid = process.pid
            yield self

    def page(self, path):
        """An agent whose probe does not run would be cheap: /healthz must say 200."""
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10).read().decode()
        except urllib.error.HTTPError as error:
            die(f"{self.config}: {path}: {error.read().decode()}")
        except OSError as error:
            die(f"limpet does not run with {self.config}: {error}")

    def metrics(self):
        return self.page("/metrics")

    def total(self, name, label=""):
        return self.total_in(self.metrics(), name, label)

    @staticmethod
    def total_in(page, name, label=""):
        """Over the series with this label, written as in the text format."""
        return sum(float(line.rsplit(" ", 1)[1]) for line in page.splitlines()
                   if re.match(name + r"[{ ]", line) and label in line)

    def limit_kernel_cpu(self, share):
        """From now on, of one core."""
        self.config.write_text(f'{self.text}[limits]\nkernel_cpu = "{share * 100:.3f}%"\n')
        os.kill(self.pid, signal.SIGHUP)


class Usage:
    """CPU time and memory of an agent between two moments."""

    def __init__(self, agent):
        self.agent, self.begin = agent, time.monotonic()
        self.cpu_ns = cpu_ns(agent.pid) if agent.pid else 0

    def cpu_share(self):
        return (cpu_ns(self.agent.pid) - self.cpu_ns) / 1e9 / (time.monotonic() - self.begin) if self.agent.pid else 0.0

    def resident_bytes(self):
        return resident_bytes(self.agent.pid) if self.agent.pid else 0
