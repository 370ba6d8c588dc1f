# SPDX-License-Identifier: Apache-2.0
"""nginx: counts equal its access log, with sendfile, with `listen … deferred`, and as fast as it can go."""

import unittest

from support import clients
from support.case import EndToEndCase
from support.exactness import ExactnessCases
from support.servers import Nginx


class NginxTest(ExactnessCases, EndToEndCase):
    server_class = Nginx
    h2load_requests = 100_000

    def test_deferred_listener_loses_no_first_request_of_short_connections(self):
        url = self.server.url(port=self.server.deferred_port)
        result = clients.go_client(url, 1000, 20, keep_alive=False)
        self.assertEqual((result.answered, result.failed), (1000, 0), result.output)
        self.assert_counts_equal_log(self.agent, self.server)

    def test_deferred_listener_loses_no_first_request_over_ipv6(self):
        url = self.server.url(address="[::1]", port=self.server.deferred_port)
        clients.go_client(url, 200, 5, keep_alive=False)
        self.assert_counts_equal_log(self.agent, self.server)

    def test_deferred_listener_under_h2load_is_counted(self):
        result = clients.h2load(self.server.url(port=self.server.deferred_port), 20_000, 100)
        self.assertEqual((result.answered, result.failed), (20_000, 0), result.output)
        self.assert_counts_equal_log(self.agent, self.server)

    def test_large_files_by_sendfile_are_counted(self):
        result = clients.h2load(self.server.url("/large"), 5000, 50)
        self.assertEqual((result.answered, result.failed), (5000, 0), result.output)
        self.assert_counts_equal_log(self.agent, self.server)


if __name__ == "__main__":
    unittest.main()
