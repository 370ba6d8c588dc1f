# SPDX-License-Identifier: Apache-2.0
"""Traffic that makes as many series as an agent may have: each method answered with each status, at both ends."""

import contextlib
import socket
import threading

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "BREW")
STATUSES = range(400, 456)


def _answer(listener):
    connection, _ = listener.accept()
    with connection:
        while request := connection.recv(4096):
            status = request.split(b"?", 1)[1][:3].decode()
            connection.sendall(f"HTTP/1.1 {status} S\r\nContent-Length: 0\r\n\r\n".encode())


def fill():
    """One keep-alive connection, a request after the other. Returns how many."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        server = threading.Thread(target=_answer, args=(listener,))
        server.start()
        with socket.create_connection(listener.getsockname()) as client:
            for status in STATUSES:
                for method in METHODS:
                    client.sendall(f"{method} /?{status} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                    client.recv(4096)
        server.join()
    return len(STATUSES) * len(METHODS)
