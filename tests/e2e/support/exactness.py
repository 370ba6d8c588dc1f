# SPDX-License-Identifier: Apache-2.0
"""The loads that every real server is measured with: generators, and each kind of request that curl can make."""

import collections

from . import clients


class ExactnessCases:
    """Mixed into an EndToEndCase that names its `server_class`.

    Every test holds limpet against the server's log, and the log against the client, so that a broken log cannot hide
    a broken count.
    """

    server_class = None
    h2load_requests = 20000
    go_requests = 2000

    def setUp(self):
        super().setUp()
        self.server = self.start_server(self.server_class)
        self.agent = self.start_agent()

    def test_every_request_of_h2load_over_100_connections_is_counted(self):
        result = clients.h2load(self.server.url(), self.h2load_requests, 100)
        self.assertEqual((result.answered, result.failed), (self.h2load_requests, 0), result.output)
        self.assert_counts_equal_log(self.agent, self.server)
        self.assertEqual(sum(self.server.log_counts().values()), self.h2load_requests)

    def test_wrk_at_saturation_is_counted_and_what_it_cuts_off_has_an_error_type(self):
        result = clients.wrk(self.server.url(), connections=100, seconds=3)
        self.assertGreater(result.answered, 100, result.output)
        self.assert_counts_equal_log(self.agent, self.server, cut_off=100)

    def test_go_client_with_keep_alive_is_counted(self):
        result = clients.go_client(self.server.url(), self.go_requests, 20)
        self.assertEqual((result.answered, result.failed), (self.go_requests, 0), result.output)
        self.assert_counts_equal_log(self.agent, self.server)

    def test_go_client_with_a_connection_for_each_request_is_counted(self):
        result = clients.go_client(self.server.url(), self.go_requests // 2, 20, keep_alive=False)
        self.assertEqual((result.answered, result.failed), (self.go_requests // 2, 0), result.output)
        self.assert_counts_equal_log(self.agent, self.server)

    def test_every_kind_of_request_of_curl_is_counted_by_method_and_status(self):
        server = self.server
        seen = collections.Counter()
        for method, times, url, options in (
                ("GET", 10, server.url("/"), ()),
                ("GET", 5, server.url("/missing"), ()),
                ("GET", 3, server.url("/empty"), ()),
                ("GET", 3, server.url("/large"), ()),
                ("GET", 3, server.url("/"), ("--http1.0",)),
                ("GET", 3, server.url("/", address="[::1]"), ()),
                ("GET", 1, server.url("/large", address="[::1]"), ()),
                ("HEAD", 4, server.url("/"), ("--head",)),
                ("HEAD", 2, server.url("/missing"), ("--head",)),
                ("POST", 3, server.url("/post"), ("--data-binary", "x" * 5000)),
                ("POST", 2, server.url("/post", address="[::1]"), ("--data-binary", "")),
                ("POST", 1, server.url("/post"), ("--data-binary", "y" * 100_000)),
        ):
            with self.subTest(method=method, url=url, options=options[:1]):
                for status, count in clients.curl(url, *options, times=times).items():
                    seen[method, status] += count
        self.assertEqual(seen, server.log_counts())
        self.assert_counts_equal_log(self.agent, server)
