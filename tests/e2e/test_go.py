# SPDX-License-Identifier: Apache-2.0
"""Go's net/http: counts equal its log; answers that are streamed, slow or of any status."""

import unittest

from support import clients
from support.case import EndToEndCase
from support.exactness import ExactnessCases
from support.servers import GoServer


class GoTest(ExactnessCases, EndToEndCase):
    server_class = GoServer

    def test_chunked_answers_are_counted_once(self):
        result = clients.h2load(self.server.url("/?chunks=3&size=2000"), 3000, 30)
        self.assertEqual((result.answered, result.failed), (3000, 0), result.output)
        self.assert_counts_equal_log(self.agent, self.server)

    def test_sleeping_handlers_with_100_connections_are_counted(self):
        result = clients.h2load(self.server.url("/?sleep=5ms"), 20_000, 100)
        self.assertEqual((result.answered, result.failed), (20_000, 0), result.output)
        self.assert_counts_equal_log(self.agent, self.server)

    def test_each_status_code_is_a_series_of_its_own(self):
        for status in (200, 201, 301, 400, 403, 418, 500, 503, 599):
            clients.go_client(self.server.url(f"/missing-not?status={status}"), 3)
        self.assert_counts_equal_log(self.agent, self.server)

    def test_each_method_is_a_series_of_its_own(self):
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"):
            body_bytes = 300 if method in ("POST", "PUT", "PATCH") else 0
            clients.go_client(self.server.url("/post"), 20, 2, method=method, body_bytes=body_bytes)
        self.assert_counts_equal_log(self.agent, self.server)

    def test_uploads_of_a_megabyte_are_counted(self):
        clients.go_client(self.server.url("/post"), 50, 5, method="POST", body_bytes=1_000_000)
        self.assert_counts_equal_log(self.agent, self.server)


if __name__ == "__main__":
    unittest.main()
