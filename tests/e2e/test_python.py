# SPDX-License-Identifier: Apache-2.0
"""Python's http.server: counts equal its log, with HTTP/1.1 and with HTTP/1.0, where the connection ends an answer."""

import unittest

from support import clients
from support.case import EndToEndCase
from support.exactness import ExactnessCases
from support.servers import PythonServer


class PythonTest(ExactnessCases, EndToEndCase):
    server_class = PythonServer
    h2load_requests = 5000
    go_requests = 1000


class PythonHttp10Test(EndToEndCase):
    def test_a_server_that_speaks_only_http_1_0_is_counted(self):
        server = self.start_server(PythonServer, protocol="HTTP/1.0")
        agent = self.start_agent()
        clients.go_client(server.url(), 500, 10)
        clients.go_client(server.url("/missing"), 100, 10)
        clients.curl(server.url("/large"), times=3)
        clients.curl(server.url("/"), "--http1.0", times=3)
        self.assert_counts_equal_log(agent, server)


if __name__ == "__main__":
    unittest.main()
