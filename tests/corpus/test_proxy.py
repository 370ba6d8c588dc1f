# SPDX-License-Identifier: Apache-2.0
"""The PROXY protocol's header before a connection's first request: passed over, in both versions."""

import socket
import struct

from corpus_case import CorpusCase, case
from corpus_servers import CorpusNginx
from support import clients
from support.exchange import REQUEST, Exchange, every_byte, make_exchanges, serve_exchanges

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
ADDRESSES = socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.2") + struct.pack("!HH", 40000, 80)
PADDING = b"\x04" + struct.pack("!H", 600) + b"\0" * 600  # a field of type NOOP (proxy-protocol.txt, 2.2.7)


def version_2(command, family, body):
    return SIGNATURE + bytes([0x20 | command, family]) + struct.pack("!H", len(body)) + body


HEADERS = {
    "version 1": b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 80\r\n",
    "version 1, IPv6": b"PROXY TCP6 2001:db8::1 2001:db8::2 40000 80\r\n",
    "version 1, unknown": b"PROXY UNKNOWN\r\n",
    "version 2": version_2(1, 0x11, ADDRESSES),
    "version 2, local": version_2(0, 0, b""),
    "version 2, with a field of 600 bytes": version_2(1, 0x11, ADDRESSES + PADDING),
}


class ProxyProtocolTest(CorpusCase):
    def setUp(self):
        super().setUp()
        self.server = self.start_server(CorpusNginx)
        self.agent = self.start_agent()

    @case("proxy", "curl `--haproxy-protocol` (version 1)", "nginx, `listen … proxy_protocol`", "access log")
    def test_version_1_from_curl(self):
        url = self.server.url(address="127.0.0.1", port=self.server.proxy_port)
        clients.curl(url, "--haproxy-protocol", times=10)
        clients.curl(url + "missing", "--haproxy-protocol", "--head", times=3)
        self.assert_log_counts(self.server, {("GET", "200"): 10, ("HEAD", "404"): 3})
        self.assert_counts_equal_log(self.agent, self.server)

    @case("proxy", "raw socket: versions 1 and 2, IPv4, IPv6, unknown, local, long", "nginx, `listen … proxy_protocol`",
          "access log")
    def test_headers_of_every_kind_before_the_first_of_three_requests(self):
        for header in HEADERS.values():
            with clients.connect(self.server.proxy_port) as connection:
                connection.sendall(header)
                for _ in range(3):
                    connection.sendall(REQUEST)
                    clients.read_response(connection)
        self.assert_log_counts(self.server, {("GET", "200"): 3 * len(HEADERS)})
        self.assert_counts_equal_log(self.agent, self.server)

    @case("proxy", "raw socket: each header in single bytes", "scripted: nginx refuses headers in pieces", "the script")
    def test_headers_in_single_bytes(self):
        exchanges = [Exchange(name, request=(*every_byte(header), REQUEST)) for name, header in HEADERS.items()
                     if len(header) < 100]
        for exchange in exchanges:
            server = self.start_scripted_server(serve_exchanges([exchange, Exchange("another one")]))
            before = self.scripted_rows(self.agent, server.port)
            make_exchanges(server.port, [exchange, Exchange("another one")])
            self.assert_scripted_counts(self.agent, server.port, {("GET", "200"): 2}, before=before)
