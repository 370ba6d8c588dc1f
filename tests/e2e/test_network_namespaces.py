# SPDX-License-Identifier: Apache-2.0
"""Every network namespace of the host is seen, also when several use the same address and port."""

import collections
import unittest

from support import clients, compare
from support.case import EndToEndCase
from support.netns import NetworkNamespace
from support.ports import free_port
from support.servers import GoServer, Nginx


NONE = collections.Counter()


class NetworkNamespacesTest(EndToEndCase):
    def namespace(self):
        namespace = NetworkNamespace()
        self.addCleanup(namespace.close)
        return namespace

    def test_four_servers_on_the_same_loopback_port_of_four_namespaces(self):
        port = free_port()
        namespaces = [self.namespace() for _ in range(4)]
        servers = [self.start_server(GoServer, wrapper=namespace.wrapper, port=port) for namespace in namespaces]
        agent = self.start_agent()
        for number, (namespace, server) in enumerate(zip(namespaces, servers), 1):
            clients.h2load(server.url(), 500 * number, 10, wrapper=namespace.wrapper)
            clients.curl(server.url("/missing", address="[::1]"), times=number, wrapper=namespace.wrapper)
        expected = sum((server.log_counts() for server in servers), start=collections.Counter())
        self.assertEqual(expected, {("GET", "200"): 5000, ("GET", "404"): 10})

        def problem():
            counted = self.rows_of_both_sides(agent, servers[0])
            return "".join(compare.differences(side, rows, expected, NONE) for side, rows in counted.items())
        compare.wait_until_equal(problem)

    def test_a_namespace_that_is_made_while_the_agent_runs(self):
        agent = self.start_agent()
        server_end, client_end = self.namespace(), self.namespace()
        server_end.join(client_end, "10.213.8.1", "10.213.8.2")
        server = self.start_server(Nginx, wrapper=server_end.wrapper, address="10.213.8.1")
        clients.h2load(server.url(), 2000, 20, wrapper=client_end.wrapper)
        clients.go_client(server.url("/missing"), 100, 5, keep_alive=False, wrapper=client_end.wrapper)
        self.assert_counts_equal_log(agent, server)
        addresses = agent.metrics().label_values("http_client_request_duration_seconds_count", "server_address",
                                                 server_port=str(server.port))
        self.assertEqual(addresses, {"10.213.8.1"})


if __name__ == "__main__":
    unittest.main()
