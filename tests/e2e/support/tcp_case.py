# SPDX-License-Identifier: Apache-2.0
"""What the tcp probe says of one destination or one listen address, by short names, held against what a test knows."""

import contextlib
import socket

from . import compare
from .case import EndToEndCase
from .ports import free_port

CONFIG = "[plugins.tcp]\nenabled = true\n"
NAMES = {
    "tcp_connections": "connections",
    "tcp_sent_bytes_total": "sent",
    "tcp_received_bytes_total": "received",
    "tcp_retransmitted_segments_total": "retransmits",
    "tcp_accepts_total": "accepts",
    "tcp_connect_duration_seconds_count": "durations",
    "tcp_connect_duration_seconds_sum": "duration_sum",
    "tcp_listen_info": "listens",
    "tcp_listen_queue_length": "queue",
    "tcp_listen_queue_limit": "queue_limit",
    "tcp_listen_drops_total": "drops",
    "tcp_rtt_seconds": "rtt",
}


def figures(exposition, **labels):
    """{short name: value} of the series with these labels, over all workloads but for means."""
    found = {}
    for sample in exposition.samples:
        if any(sample.label(name) != value for name, value in labels.items()):
            continue
        name = NAMES.get(sample.name)
        if sample.name == "tcp_connects_total":
            name = sample.label("result")
        elif sample.name == "tcp_resets_total":
            name = f"resets_{sample.label('direction')}"
        if name:
            found[name] = found.get(name, 0) + sample.value
    return found


class TcpCase(EndToEndCase):
    def start_tcp_agent(self, **arguments):
        return self.start_agent(config=CONFIG, **arguments)

    def listener(self, address="127.0.0.1", port=None, backlog=1024, **options):
        """A listening socket that is closed when the test ends."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listener = socket.create_server((address, port or free_port()), family=family, backlog=backlog, **options)
        self.addCleanup(listener.close)
        return listener

    def connection(self, listener, address="127.0.0.1"):
        """Both ends of an open connection: (client's, server's)."""
        client = socket.create_connection((address, listener.getsockname()[1]), timeout=10)
        self.addCleanup(client.close)
        server, _ = listener.accept()
        self.addCleanup(server.close)
        return client, server

    def assert_figures(self, agent, where, expected, seconds=compare.SETTLE_SECONDS):
        """The figures at `where` (labels) become these; ones that are expected to be None are not there at all."""
        def problem():
            seen = figures(agent.metrics(), **where)
            seen = {name: seen.get(name) for name in expected}
            return "" if seen == expected else f"{where}: {seen} instead of {expected}"
        compare.wait_until_equal(problem, seconds)


def close_with_reset(connection):
    """Closes with RST instead of FIN."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()
