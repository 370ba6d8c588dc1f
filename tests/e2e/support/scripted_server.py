# SPDX-License-Identifier: Apache-2.0
"""A server inside the test that answers byte for byte as its script says: for traffic that no real server would send.

Requests and responses are written down by the test itself, so the truth is the test's own list.
"""

import os
import pathlib
import re
import socket
import struct
import sys
import threading

from .ports import free_port


def own_service_names():
    """The names that this process may have as a workload: its executable's file, or what it was started as."""
    return {pathlib.Path(os.path.realpath(sys.executable)).name, pathlib.Path("/proc/self/comm").read_text().strip()}


def reset(connection):
    """Closes a connection with RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class RequestReader:
    """Takes requests off a connection one at a time, however they are cut or joined on the wire."""

    def __init__(self, connection):
        self.connection = connection
        self.buffer = b""

    def _fill(self):
        piece = self.connection.recv(65536)
        self.buffer += piece
        return bool(piece)

    def head(self):
        """The next request's head with its blank line; b"" when the client is done."""
        while b"\r\n\r\n" not in self.buffer:
            if not self._fill():
                return b""
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        return head + b"\r\n\r\n"

    def body(self, head):
        """The body that belongs to `head`: by Content-Length or chunked without trailers."""
        if re.search(rb"(?i)^transfer-encoding: *chunked", head, re.MULTILINE):
            return self._until(b"0\r\n\r\n")
        length = re.search(rb"(?im)^content-length: *(\d+)", head)
        return self._take(int(length[1])) if length else b""

    def _until(self, end):
        while end not in self.buffer:
            if not self._fill():
                return b""
        body, _, self.buffer = self.buffer.partition(end)
        return body

    def _take(self, size):
        while len(self.buffer) < size:
            if not self._fill():
                return b""
        body, self.buffer = self.buffer[:size], self.buffer[size:]
        return body


class ScriptedServer:
    """Runs `script(connection, RequestReader)` in a thread for each connection, then closes it."""

    def __init__(self, script, address="127.0.0.1"):
        self.script = script
        self.port = free_port()
        self.errors = []
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.listener = socket.create_server((address, self.port), family=family, backlog=1024)
        self.threads = []
        self.acceptor = threading.Thread(target=self._accept, daemon=True)
        self.acceptor.start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.settimeout(20)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _serve(self, connection):
        try:
            self.script(connection, RequestReader(connection))
        except (ConnectionError, TimeoutError):
            pass  # a client that goes away is part of many tests
        except Exception as error:  # shown by stop()
            self.errors.append(error)
        finally:
            connection.close()

    def stop(self):
        """Ends accepting and waits for the scripts; a script's own mistake fails the test."""
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for thread in [self.acceptor, *self.threads]:
            thread.join(5)
        if self.errors:
            raise AssertionError(f"the scripted server failed: {self.errors}")
