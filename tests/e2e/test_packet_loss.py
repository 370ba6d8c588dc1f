# SPDX-License-Identifier: Apache-2.0
"""Links that lose 3 % of the packets both ways: retransmitted, duplicate and late segments change no count."""

import unittest

from support import clients
from support.case import EndToEndCase
from support.netns import NetworkNamespace
from support.servers import GoServer, Nginx

LOSS = 0.03


class LossCase(EndToEndCase):
    """Every answer has come in the end, packets were lost in each namespace, and counts are the log's."""

    def check_in(self, namespaces, agent, server, result, requests):
        self.assertEqual((result.answered, result.failed), (requests, 0), result.output)
        for namespace in namespaces:
            self.assertGreater(namespace.dropped_packets(), 20)
        self.assert_counts_equal_log(agent, server)


class PacketLossTest(LossCase):
    """Server and client in namespaces of their own at the two ends of a lossy cable; the agent sees both."""

    def setUp(self):
        super().setUp()
        self.server_end, self.client_end = self.namespace(), self.namespace()
        self.server_end.join(self.client_end, "10.213.7.1", "10.213.7.2")
        self.server_end.drop_packets(LOSS)
        self.client_end.drop_packets(LOSS)

    def namespace(self):
        namespace = NetworkNamespace()
        self.addCleanup(namespace.close)
        return namespace

    def start(self, server_class):
        server = self.start_server(server_class, wrapper=self.server_end.wrapper, address="10.213.7.1")
        return server, self.start_agent()

    def check(self, agent, server, result, requests):
        self.check_in((self.server_end, self.client_end), agent, server, result, requests)

    def test_keep_alive_requests_to_nginx(self):
        server, agent = self.start(Nginx)
        result = clients.h2load(server.url(), 6000, 100, wrapper=self.client_end.wrapper)
        self.check(agent, server, result, 6000)

    def test_answers_of_many_segments_from_nginx(self):
        server, agent = self.start(Nginx)
        result = clients.h2load(server.url("/large"), 600, 60, wrapper=self.client_end.wrapper)
        self.check(agent, server, result, 600)

    def test_short_connections_to_a_deferred_listener_of_nginx(self):
        server, agent = self.start(Nginx)
        url = server.url(port=server.deferred_port)
        result = clients.go_client(url, 600, 100, keep_alive=False, wrapper=self.client_end.wrapper)
        self.check(agent, server, result, 600)

    def test_short_connections_to_go(self):
        server, agent = self.start(GoServer)
        result = clients.go_client(server.url(), 600, 100, keep_alive=False, wrapper=self.client_end.wrapper)
        self.check(agent, server, result, 600)

    def test_chunked_answers_from_go(self):
        server, agent = self.start(GoServer)
        result = clients.h2load(server.url("/?chunks=3&size=3000"), 2000, 100, wrapper=self.client_end.wrapper)
        self.check(agent, server, result, 2000)

    def test_uploads_to_go(self):
        server, agent = self.start(GoServer)
        result = clients.go_client(server.url("/post"), 500, 50, method="POST", body_bytes=40_000,
                                   wrapper=self.client_end.wrapper)
        self.check(agent, server, result, 500)


class LossyLoopbackTest(LossCase):
    """What is sent is dealt with for its receiver too, and a part of it is lost on its way there."""

    def setUp(self):
        super().setUp()
        self.lossy = NetworkNamespace()
        self.addCleanup(self.lossy.close)
        self.lossy.drop_packets(LOSS)

    def start(self, server_class):
        return self.start_server(server_class, wrapper=self.lossy.wrapper, address="127.0.0.1"), self.start_agent()

    def check(self, agent, server, result, requests):
        self.check_in((self.lossy,), agent, server, result, requests)

    def test_requests_over_a_lossy_loopback(self):
        server, agent = self.start(GoServer)
        result = clients.h2load(server.url(), 6000, 100, wrapper=self.lossy.wrapper)
        self.check(agent, server, result, 6000)

    def test_answers_of_many_segments_over_a_lossy_loopback(self):
        server, agent = self.start(Nginx)
        result = clients.h2load(server.url("/large"), 1000, 60, wrapper=self.lossy.wrapper)
        self.check(agent, server, result, 1000)

    def test_uploads_over_a_lossy_loopback(self):
        server, agent = self.start(GoServer)
        result = clients.go_client(server.url("/post"), 1000, 50, method="POST", body_bytes=40_000,
                                   wrapper=self.lossy.wrapper)
        self.check(agent, server, result, 1000)


if __name__ == "__main__":
    unittest.main()
