# SPDX-License-Identifier: Apache-2.0
"""However an answer leaves its server: by sendfile, splice, io_uring or without a copy."""

from corpus_case import CorpusCase, case
from corpus_servers import CorpusNginx, OddServer, UringServer
from support import clients


class SendingTest(CorpusCase):
    def check(self, server, requests=400, url=None):
        agent = self.start_agent()
        result = clients.h2load(url or server.url(), requests, 20)
        self.assertEqual((result.answered, result.failed), (requests, 0), result.output)
        self.assert_log_counts(server, {("GET", "200"): requests})
        self.assert_counts_equal_log(agent, server)

    @case("sending", "h2load, 20 connections", "nginx, `sendfile on`", "access log")
    def test_files_by_sendfile_from_nginx(self):
        server = self.start_server(CorpusNginx)
        self.check(server, 2000, server.url("/page", address="127.0.0.1"))

    @case("sending", "h2load, 20 connections", "Python, `sendfile(2)`", "server's log")
    def test_bodies_by_sendfile(self):
        self.check(self.start_server(OddServer, mode="sendfile", address="127.0.0.1"))

    @case("sending", "h2load, 20 connections", "Python, `splice(2)` through a pipe", "server's log")
    def test_bodies_by_splice(self):
        self.check(self.start_server(OddServer, mode="splice", address="127.0.0.1"))

    @case("sending", "h2load, 20 connections", "Python, `MSG_ZEROCOPY`", "server's log")
    def test_bodies_without_a_copy(self):
        self.check(self.start_server(OddServer, mode="zerocopy", address="127.0.0.1"))

    @case("sending", "h2load, 20 connections", "C, accepts, receives and sends by io_uring, every other answer by `SEND_ZC`",
          "server's log")
    def test_everything_by_io_uring(self):
        self.check(self.start_server(UringServer, address="127.0.0.1"), 5000)
