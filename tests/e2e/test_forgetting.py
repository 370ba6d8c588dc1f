# SPDX-License-Identifier: Apache-2.0
"""Containers that come and go: what belonged to those that are gone is given back, so that there is room for later ones."""

import os
import socket
import unittest

from support import cgroups, compare
from support.case import EndToEndCase
from support.servers import GoServer

MORE_THAN_THERE_ARE_NUMBERS = 1_100
AT_ONCE = 380
CONFIG = {"agent_keys": 'forget_after = "1s"', "config": "[plugins.http]\nenabled = true\nseries = 800\n"}


def request_from(group, port):
    """One request by a process of its own in that cgroup; the cgroup is removed once the process has ended."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            group.move(os.getpid())
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                answer = b""
                while piece := connection.recv(65536):
                    answer += piece
            status = 0 if answer.startswith(b"HTTP/1.1 200") else 2
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class ForgettingTest(EndToEndCase):
    def use_cgroups(self, count, port):
        """So many short-lived cgroups, one after the other, with one request each."""
        for _ in range(count):
            group = cgroups.CgroupOfOwn()
            try:
                self.assertEqual(request_from(group, port), 0)
            finally:
                group.close()

    def use_one_more(self, agent, port, requests=1):
        """One that lasts until its requests are counted under its own name; the name."""
        group = cgroups.CgroupOfOwn()
        try:
            for _ in range(requests):
                self.assertEqual(request_from(group, port), 0)
            compare.wait_until_equal(
                lambda: "" if self.requests_of(agent, group.path) == requests else f"{group.path} is missing")
        finally:
            group.close()
        return group.path

    def requests_of(self, agent, path):
        return agent.metrics().total("http_client_request_duration_seconds_count", container_id=path)

    def wait_until_forgotten(self, agent, path):
        def problem():
            series = [sample for sample in agent.metrics().samples if sample.label("container_id") == path]
            return f"{path} still has {len(series)} series" if series else ""
        compare.wait_until_equal(problem, seconds=15)

    def test_more_cgroups_than_there_are_numbers_and_the_late_ones_have_their_own_series(self):
        server = self.start_server(GoServer)
        agent = self.start_agent(**CONFIG)
        lasting = cgroups.CgroupOfOwn()
        self.addCleanup(lasting.close)
        self.assertEqual(request_from(lasting, server.port), 0)
        rounds = -(-MORE_THAN_THERE_ARE_NUMBERS // AT_ONCE)
        for _ in range(rounds):
            self.use_cgroups(AT_ONCE - 1, server.port)
            self.wait_until_forgotten(agent, self.use_one_more(agent, server.port))
        self.use_one_more(agent, server.port, requests=3)
        compare.wait_until_equal(  # what other programs of the host count in is forgotten a little later
            lambda: "" if agent.metrics().total("limpet_series", plugin="http") < 20 else "rows are kept", seconds=15)
        metrics = agent.metrics()
        self.assertEqual(self.requests_of(agent, lasting.path), 1)  # its cgroup is there: it stays
        self.assertEqual(metrics.total("limpet_series_overflow_total"), 0)
        self.assertEqual(metrics.total("http_client_request_duration_seconds_count", container_id="other"), 0)
        self.assertEqual(metrics.total("http_server_request_duration_seconds_count", service_name=server.service_name),
                         1 + rounds * AT_ONCE + 3)

    def test_an_idle_connection_of_a_cgroup_that_is_gone_counts_for_nobody_else(self):
        server = self.start_server(GoServer)
        agent = self.start_agent(**CONFIG)
        gone = cgroups.CgroupOfOwn()
        home = cgroups.cgroup2_root() / open("/proc/self/cgroup").read().rsplit("::", 1)[1].strip().lstrip("/")
        pid, asked = self.fork_client(gone, server.port)
        self.addCleanup(self.end, pid, asked)
        self.assertEqual(asked.recv(1), b"1")
        compare.wait_until_equal(lambda: "" if self.requests_of(agent, gone.path) == 1 else "not counted yet")
        for directory in gone.directories:  # back to where the test is; the socket stays
            (directory.parent / "cgroup.procs").write_text(str(pid))
        (home / "cgroup.procs").write_text(str(pid))
        gone.close()
        self.wait_until_forgotten(agent, gone.path)
        others = cgroups.CgroupOfOwn()
        self.addCleanup(others.close)
        self.assertEqual(request_from(others, server.port), 0)
        for _ in range(10):
            asked.sendall(b"?")
            self.assertEqual(asked.recv(1), b"1")
        compare.wait_until_equal(lambda: "" if self.requests_of(agent, others.path) == 1 else "not counted yet")
        self.assertEqual(self.requests_of(agent, gone.path), 0)
        self.assertEqual(agent.metrics().total("http_client_request_duration_seconds_count", container_id="other"), 0)

    def fork_client(self, group, port):
        """A client in `group` with one connection: sends one request at once, and another for each byte on the socket."""
        ours, theirs = socket.socketpair()
        ours.settimeout(10)
        pid = os.fork()
        if pid == 0:
            try:
                ours.close()
                group.move(os.getpid())
                with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                    while True:
                        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                        theirs.sendall(b"1" if connection.recv(65536).startswith(b"HTTP/1.1 200") else b"0")
                        if not theirs.recv(1):
                            break
            finally:
                os._exit(0)
        theirs.close()
        return pid, ours

    def end(self, pid, asked):
        asked.close()
        os.waitpid(pid, 0)


if __name__ == "__main__":
    unittest.main()
