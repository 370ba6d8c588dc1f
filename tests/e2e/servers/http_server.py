# SPDX-License-Identifier: Apache-2.0
"""http.server with a log of "method status" lines. Arguments: log file, port, protocol version, addresses.

The log is written by BaseHTTPRequestHandler.log_request, which send_response calls before the answer is sent.
"""

import http.server
import os
import socket
import sys
import threading

KIB = b"0123456789abcdef" * 64
LOG = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = sys.argv[3]
    wbufsize = -1  # one write for head and body, as WSGI servers do

    def log_request(self, code="-", size="-"):
        if int(code) >= 200:
            os.write(LOG, f"{self.command} {int(code)} {self.path}\n".encode())

    def log_message(self, *arguments):
        pass

    def answer(self, status, body):
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status != 204:
            self.wfile.write(body)
        self.wfile.flush()

    def do_GET(self):
        status = {"/missing": 404, "/empty": 204}.get(self.path, 200)
        self.answer(status, KIB * 100 if self.path == "/large" else KIB)

    do_HEAD = do_GET

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(200, b"read\n")


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True

    def __init__(self, address, port):
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, port), Handler)

    def server_bind(self):
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        super().server_bind()

    def handle_error(self, request, client_address):
        pass  # connections that a load generator cuts off


for address in sys.argv[4:]:
    threading.Thread(target=Server(address, int(sys.argv[2])).serve_forever).start()
