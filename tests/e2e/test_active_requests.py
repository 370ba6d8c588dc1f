# SPDX-License-Identifier: Apache-2.0
"""http_*_active_requests: requests under way, now."""

import threading
import time
import unittest

from support import clients
from support.case import EndToEndCase
from support.servers import GoServer


class ActiveRequestsTest(EndToEndCase):
    def active(self, agent, side, name):
        """The gauge's value for the workload; a workload without a series has none under way."""
        return agent.metrics().total(f"http_{side}_active_requests", service_name=name)

    def wait_for(self, agent, side, name, expected, seconds=2):
        deadline = time.monotonic() + seconds
        while self.active(agent, side, name) != expected:
            if time.monotonic() > deadline:
                self.fail(f"http_{side}_active_requests of {name} is {self.active(agent, side, name)}, not {expected}")
            time.sleep(0.05)

    def test_the_gauge_rises_while_requests_are_under_way_and_returns_to_0(self):
        server = self.start_server(GoServer)
        agent = self.start_agent()
        load = threading.Thread(target=clients.go_client, args=(server.url("/?sleep=2s"), 20, 20))
        load.start()
        self.addCleanup(load.join)
        self.wait_for(agent, "server", server.service_name, 20)
        self.wait_for(agent, "client", "e2e-go-client", 20)
        load.join()
        self.wait_for(agent, "server", server.service_name, 0)
        self.wait_for(agent, "client", "e2e-go-client", 0)
        self.assert_counts_equal_log(agent, server)

    def test_a_body_under_way_is_active_until_its_last_byte(self):
        server = self.start_server(GoServer)
        agent = self.start_agent()
        load = threading.Thread(target=clients.go_client, args=(server.url("/?chunks=4&pause=1s"), 3, 3))
        load.start()
        self.addCleanup(load.join)
        time.sleep(0.8)
        self.wait_for(agent, "server", server.service_name, 3)
        load.join()
        self.wait_for(agent, "server", server.service_name, 0)

    def test_requests_that_are_aborted_leave_the_gauge_at_0(self):
        server = self.start_server(GoServer)
        agent = self.start_agent()
        for _ in range(5):
            with self.assertRaises(AssertionError):
                clients.curl(server.url("/?sleep=300ms"), "--max-time", "0.1")
        self.wait_for(agent, "server", server.service_name, 0)
        self.wait_for(agent, "client", "curl", 0)

    def test_saturation_leaves_the_gauge_at_0(self):
        server = self.start_server(GoServer)
        agent = self.start_agent()
        clients.wrk(server.url(), connections=100, seconds=1)
        self.wait_for(agent, "server", server.service_name, 0)
        self.wait_for(agent, "client", "wrk", 0)


if __name__ == "__main__":
    unittest.main()
