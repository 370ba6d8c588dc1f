# SPDX-License-Identifier: Apache-2.0
"""Connections that stop being HTTP/1: the request that changes them counts once, and what follows is left alone and told."""

import subprocess

from corpus_case import CorpusCase, case
from corpus_servers import CorpusNginx, UpgradeServer
from support import clients, places
from support.exchange import ANSWER, REQUEST
from support.ports import free_port, wait_for_listener

UPGRADE = b"GET /echo HTTP/1.1\r\nHost: e2e\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"


class HandedOffTest(CorpusCase):
    @case("handed_off", "curl `--proxytunnel`", "Node, event `connect`, before nginx", "logs of both servers")
    def test_a_tunnel_by_connect(self):
        behind, server = self.start_server(CorpusNginx), self.start_server(UpgradeServer, address="127.0.0.1")
        agent = self.start_agent()
        clients.curl(behind.url(address="127.0.0.1"), "--noproxy", "", "--proxy", server.url(), "--proxytunnel", times=5)
        self.assertEqual((server.log_counts(), behind.log_counts()),
                         ({("CONNECT", "200"): 5}, {("GET", "200"): 5}))
        self.assert_counts_equal_log(agent, server)
        self.assertEqual(self.unseen(agent, "handed_off"), 10)
        # inside the tunnel curl's requests are not followed; between Node and nginx they stand plain on the wire
        self.assert_counts_equal_log(agent, behind)

    @case("handed_off", "raw socket", "Node, event `upgrade`, echoes requests and answers", "server's log")
    def test_an_upgrade_whose_bytes_look_like_http(self):
        server = self.start_server(UpgradeServer, address="127.0.0.1")
        agent = self.start_agent()
        for _ in range(5):
            with clients.connect(server.port) as connection:
                connection.sendall(UPGRADE)
                clients.read_head(connection)
                for echoed in (REQUEST, ANSWER, REQUEST * 5):
                    connection.sendall(echoed)
                    self.assertEqual(clients.read_exactly(connection, len(echoed)), echoed)
        self.assert_log_counts(server, {("GET", "101"): 5})
        self.assert_counts_equal_log(agent, server)
        self.assertEqual(self.unseen(agent, "handed_off"), 10)

    @case("handed_off", "h2load over HTTP/2 without TLS", "nginx, `listen … http2`", "h2load's summary, access log")
    def test_http_2_with_prior_knowledge(self):
        server = self.start_server(CorpusNginx)
        agent = self.start_agent()
        url = server.url(address="127.0.0.1", port=server.http2_port)
        done = subprocess.run([places.tool("h2load"), "-n", "200", "-c", "10", url], capture_output=True, text=True,
                              timeout=60, check=True)
        self.assertIn("200 2xx", done.stdout)
        self.assert_log_counts(server, {("GET", "200"): 200})
        self.assert_counts_equal_log(agent, server, since={("GET", "200"): 200})
        self.assertEqual(self.unseen(agent, "handed_off"), 20)

    @case("handed_off", "curl over TLS", "openssl s_server", "curl's status codes")
    def test_tls_is_told_and_not_counted(self):
        port = free_port()
        key, certificate = f"{self.directory}/key.pem", f"{self.directory}/certificate.pem"
        subprocess.run([places.tool("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out",
                        certificate, "-days", "1", "-subj", "/CN=localhost"], check=True, capture_output=True, timeout=60)
        server = subprocess.Popen([places.tool("openssl"), "s_server", "-accept", str(port), "-key", key, "-cert",
                                   certificate, "-www", "-quiet"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(server.wait)
        self.addCleanup(server.terminate)
        wait_for_listener(port, server)
        agent = self.start_agent()
        seen = clients.curl(f"https://127.0.0.1:{port}/", "--insecure", times=3)
        self.assertEqual(seen, {"200": 3})
        self.assert_scripted_counts(agent, port, {})
        self.assertEqual(self.unseen(agent, "encrypted"), 6)
