# SPDX-License-Identifier: Apache-2.0
"""Free ports below the ephemeral range, so that no outgoing connection takes one before its server does."""

import random
import socket
import time

_handed_out = set()


def free_port():
    """A port that is free on every IPv4 and IPv6 address, never handed out twice by this process."""
    for _ in range(1000):
        port = random.randrange(20000, 30000)
        if port not in _handed_out and _is_free(port):
            _handed_out.add(port)
            return port
    raise AssertionError("no free port between 20000 and 30000")


def _is_free(port):
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
        try:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            probe.bind(("::", port))
            return True
        except OSError:
            return False


def wait_for_listener(port, process=None, address="127.0.0.1", seconds=10):
    """Waits until something listens, without connecting: a connection would be one more that the agent sees."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process is not None and process.poll() is not None:
            raise AssertionError(f"the server for port {port} ended with exit code {process.returncode}")
        if is_listening(port, process.pid if process else "self"):
            return
        time.sleep(0.01)
    raise AssertionError(f"nothing listens on {address}:{port} after {seconds} s")


def is_listening(port, pid="self"):
    """Whether a socket in the network namespace of `pid` listens on this port."""
    for table in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{table}") as sockets:
            next(sockets)
            for line in sockets:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port:
                    return True
    return False
