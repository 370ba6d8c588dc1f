# SPDX-License-Identifier: Apache-2.0
"""The base of all end-to-end tests: a directory, an agent, servers, and what to print when a test fails.

Only one suite at a time may run on a host, since agents see the whole host's traffic; a lock file sees to it.
"""

import collections
import contextlib
import fcntl
import os
import sys
import tempfile
import unittest

from . import compare
from .agent import Agent
from .scripted_server import ScriptedServer, own_service_names

LOCK_PATH = "/run/lock/limpet-e2e.lock"
_lock = None


def take_host_lock():
    """Waits until no other suite runs on this host. Held until the process ends."""
    global _lock
    if _lock is None:
        os.makedirs(os.path.dirname(LOCK_PATH), exist_ok=True)
        _lock = open(LOCK_PATH, "w")
        fcntl.flock(_lock, fcntl.LOCK_EX)


class EndToEndCase(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise AssertionError("end-to-end tests load BPF programs: run them as root")
        take_host_lock()

    def setUp(self):
        self.agents = []
        self.servers = []
        directory = tempfile.TemporaryDirectory(prefix="limpet-e2e-")
        self.addCleanup(directory.cleanup)
        os.chmod(directory.name, 0o755)
        self.directory = directory.name
        self.shown_on_failure = []

    def run(self, result=None):
        """Prints the logs of agents and servers behind a failure."""
        self.shown_on_failure = []
        troubles_before = len(result.failures) + len(result.errors) if result else 0
        done = super().run(result)
        if result and len(result.failures) + len(result.errors) > troubles_before:
            for text in self.shown_on_failure:
                print(f"--- {self.id()}: {text}", file=sys.stderr)
        return done

    def start_agent(self, **arguments):
        """A healthy agent; stopped by SIGTERM when the test ends, which must give exit code 0."""
        agent = self.launch_agent(**arguments)
        agent.wait_until_healthy()
        return agent

    def launch_agent(self, **arguments):
        """An agent that may be meant to fail: started, not waited for."""
        agent = Agent(self.directory, **arguments)
        self.agents.append(agent)
        self.addCleanup(self._stop_agent, agent)
        return agent.start()

    def _stop_agent(self, agent):
        with contextlib.suppress(OSError):
            if agent.process and agent.process.poll() is None:
                self.shown_on_failure.append(f"the agent's last http series:\n{_http_lines(agent)}")
        try:
            agent.stop()
        finally:
            self.shown_on_failure.append(f"log of the agent on port {agent.port}:\n{agent.log()}")

    def start_server(self, server_class, **arguments):
        server = server_class(self.directory, **arguments)
        self.addCleanup(self._stop_server, server)
        return server.start()

    def _stop_server(self, server):
        server.stop()
        self.shown_on_failure.append(f"output of {server.service_name}:\n{server.output()[-2000:]}")

    def start_scripted_server(self, script, **arguments):
        server = ScriptedServer(script, **arguments)
        self.addCleanup(server.stop)
        return server

    def assert_log_counts(self, server, expected):
        """The server's log says this: counts by (method, status), or how many requests in all. A server may write its
        last line after its answer has arrived."""
        def problem():
            logged = server.log_counts()
            if isinstance(expected, int):
                logged = sum(logged.values())
            return "" if logged == expected else f"the log: {logged}, expected: {expected}"
        compare.wait_until_equal(problem)

    def assert_counts_equal_log(self, agent, server, failed=None, cut_off=0, since=None):
        """Per method and status, both sides of limpet equal the server's log.

        `failed`: (method, status, error_type) → count that must be there besides. `cut_off`: the load ended in the
        middle of up to that many requests. `since`: an agent that was started later than the log sees only what came
        after this earlier log_counts().
        """
        def problem_of(side, counted, expected):
            if cut_off:
                return compare.cut_off_differences(f"{side} side", counted, expected, cut_off)
            return compare.differences(f"{side} side", counted, expected, collections.Counter(failed or {}))

        def problem():
            expected = server.log_counts()
            expected.subtract(since or {})
            counted = self.rows_of_both_sides(agent, server)
            return "\n".join(filter(None, (problem_of(side, rows, +expected) for side, rows in counted.items())))
        compare.wait_until_equal(problem)

    def rows_of_both_sides(self, agent, server):
        """{side: Rows} of the traffic of one server of support.servers."""
        return compare.both_sides(agent.metrics(), {server.service_name}, server.ports())

    def scripted_rows(self, agent, port):
        """{side: Rows} of the traffic between this test process and its scripted server on `port`."""
        return compare.both_sides(agent.metrics(), own_service_names(), [port])

    def assert_scripted_counts(self, agent, port, answered, failed=None, before=None):
        """Both sides have risen by exactly this since `before` (the result of scripted_rows())."""
        before = before or {"server": compare.NOTHING, "client": compare.NOTHING}

        def problem():
            now = self.scripted_rows(agent, port)
            return "\n".join(filter(None, (
                compare.differences(f"{side} side", now[side] - before[side], collections.Counter(answered),
                                    collections.Counter(failed or {})) for side in ("server", "client"))))
        compare.wait_until_equal(problem)


def _http_lines(agent):
    _, _, text = agent.get("/metrics")
    return "\n".join(line for line in text.splitlines()
                     if line.startswith(("http_", "limpet_unseen", "limpet_plugin_state", "limpet_connections_evicted"))
                     and "_bucket{" not in line)
