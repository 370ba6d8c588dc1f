# SPDX-License-Identifier: Apache-2.0
"""Whose traffic it is: service_name, container_id, and the agent itself, which is nobody's workload."""

import pathlib
import unittest

from support import cgroups, clients, compare
from support.case import EndToEndCase
from support.servers import GoServer, Nginx, NodeServer


class WorkloadsTest(EndToEndCase):
    def test_servers_are_told_apart_by_service_name(self):
        servers = [self.start_server(server_class) for server_class in (Nginx, GoServer, NodeServer)]
        agent = self.start_agent()
        for number, server in enumerate(servers, 1):
            clients.h2load(server.url(), 100 * number, 5)
        for server in servers:
            self.assert_counts_equal_log(agent, server)

    def test_clients_are_told_apart_by_service_name(self):
        server = self.start_server(Nginx)
        agent = self.start_agent()
        clients.h2load(server.url(), 300, 5)
        clients.go_client(server.url(), 200, 5)
        clients.curl(server.url(), times=3)

        def problem():
            exposition = agent.metrics()
            counted = {name: exposition.total("http_client_request_duration_seconds_count", service_name=name,
                                              server_port=str(server.port), server_address="127.0.0.1")
                       for name in ("h2load", "e2e-go-client", "curl")}
            return "" if counted == {"h2load": 300, "e2e-go-client": 200, "curl": 3} else str(counted)
        compare.wait_until_equal(problem)

    def test_every_series_of_a_workload_names_container_and_service(self):
        server = self.start_server(Nginx)
        agent = self.start_agent()
        clients.h2load(server.url(), 100, 5)
        self.assert_counts_equal_log(agent, server)
        for sample in agent.metrics().samples:
            if sample.name.startswith("http_"):
                self.assertTrue(sample.label("service_name"), sample)
                self.assertTrue(sample.label("container_id").startswith("/"), sample)

    def test_a_process_in_a_cgroup_of_its_own_has_its_path_as_container_id(self):
        group = cgroups.CgroupOfOwn()
        self.addCleanup(group.close)
        server = self.start_server(Nginx, wrapper=group.wrapper)
        agent = self.start_agent()
        clients.h2load(server.url(), 100, 5)
        self.assert_counts_equal_log(agent, server)
        self.assertEqual(agent.metrics().label_values("http_server_request_duration_seconds_count", "container_id",
                                                      service_name=server.service_name), {group.path})

    def test_a_server_started_after_the_agent_has_its_container_id_as_well(self):
        group = cgroups.CgroupOfOwn()
        self.addCleanup(group.close)
        agent = self.start_agent()
        server = self.start_server(GoServer, wrapper=group.wrapper)
        clients.h2load(server.url(), 100, 5)
        self.assert_counts_equal_log(agent, server)
        self.assertEqual(agent.metrics().label_values("http_server_request_duration_seconds_count", "container_id",
                                                      service_name=server.service_name), {group.path})

    def test_a_process_that_was_moved_counts_for_the_cgroup_that_it_is_in_not_for_its_sockets(self):
        group = cgroups.CgroupOfOwn()
        self.addCleanup(group.close)
        server = self.start_server(GoServer)
        group.move(server.process.pid)
        agent = self.start_agent()
        clients.h2load(server.url(), 100, 5)
        self.assert_counts_equal_log(agent, server)
        self.assertEqual(agent.metrics().label_values("http_server_request_duration_seconds_count", "container_id",
                                                      service_name=server.service_name), {group.path})

    def test_a_process_that_is_moved_while_the_agent_runs_counts_for_its_new_cgroup(self):
        agent = self.start_agent()
        for server_class in (Nginx, GoServer):  # Go's listener is an MPTCP socket
            with self.subTest(server_class.__name__):
                group = cgroups.CgroupOfOwn()
                self.addCleanup(group.close)
                server = self.start_server(server_class)
                clients.h2load(server.url(), 50, 5)
                group.move(server.process.pid)
                self.assert_next_requests_count_for(group, agent, server)
                self.assert_counts_equal_log(agent, server)

    def assert_next_requests_count_for(self, group, agent, server):
        """Once the agent has followed the move, which takes it a second, all requests count for the new cgroup."""
        def counted():
            return agent.metrics().total("http_server_request_duration_seconds_count", container_id=group.path,
                                         service_name=server.service_name)

        def first_problem():
            clients.curl(server.url())
            return "" if counted() else "requests count for the old cgroup"
        compare.wait_until_equal(first_problem)
        before = counted()
        clients.h2load(server.url(), 100, 5)
        compare.wait_until_equal(lambda: "" if counted() - before == 100 else f"{counted() - before} of 100 requests")

    def test_the_agents_own_server_and_its_scrapers_are_in_no_series(self):
        server = self.start_server(Nginx)
        agent = self.start_agent()
        clients.curl(server.url())
        for _ in range(20):
            for path in ("/metrics", "/healthz", "/", "/nothing-here"):
                agent.get(path)
            clients.curl(f"http://127.0.0.1:{agent.port}/metrics")
        self.assert_counts_equal_log(agent, server)
        executable = pathlib.Path(f"/proc/{agent.process.pid}/exe").resolve().name
        for sample in agent.metrics().samples:
            if sample.name.startswith("http_"):
                self.assertNotEqual(sample.label("service_name"), executable, sample)
                self.assertNotEqual(sample.label("server_port"), str(agent.port), sample)


if __name__ == "__main__":
    unittest.main()
