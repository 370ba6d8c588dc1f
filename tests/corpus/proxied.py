# SPDX-License-Identifier: Apache-2.0
"""nginx as a proxy before two scripted upstreams, and random requests to it whose every attempt is written down.

What an upstream is to do stands in the target: /<location>/<first upstream's way>/<second upstream's way>/<number>. Each end writes
down what it did or saw: the upstreams what they were asked and how it ended at their end and at nginx's, the clients what they got.
"""

import collections
import dataclasses
import random
import threading
import time

from support import clients
from support.compare import Rows
from support.ports import free_port
from support.scripted_server import RequestReader, ScriptedServer, reset
from support.servers import NGINX_TEMPORARY_PATHS, Server, nginx_command

READ_TIMEOUT_SECONDS = 1  # of nginx, for an upstream
LOCATIONS = ("buffered", "streamed", "plain", "caught")


class ProxyNginx(Server):
    """Locations: `buffered` and `streamed` keep connections to upstreams, `plain` speaks HTTP/1.0 to them, `caught` answers errors
    with a page of its own."""

    service_name = "e2e-corpus-proxy"

    def __init__(self, directory, upstream_ports, **arguments):
        super().__init__(directory, **arguments)
        self.upstream_ports = upstream_ports

    def attempts(self):
        """How many requests nginx has made to upstreams. Where both have failed, it adds a status for the one that it has not."""
        lines = [line.split('"')[1].replace(" : ", ", ").split(", ") for line in self.log_path.read_text().splitlines()]
        return sum(min(len(statuses), len(self.upstream_ports)) for statuses in lines)

    def command(self):
        servers = "\n        ".join(f"server 127.0.0.1:{port} max_fails=0;" for port in self.upstream_ports)
        return nginx_command(self, _CONFIG.format(directory=self.directory, log=self.log_path, port=self.port, servers=servers,
                                                  timeout=READ_TIMEOUT_SECONDS))


_CONFIG = """\
daemon off;
user root;
worker_processes 2;
pid {directory}/proxy-nginx.pid;
error_log stderr alert;
events {{ worker_connections 4096; }}
http {{
    log_format counted '$request_method $status $request_uri "$upstream_status"';
    access_log {log} counted;
""" + NGINX_TEMPORARY_PATHS + """\
    keepalive_requests 10000000;
    upstream scripted {{
        {servers}
        keepalive 16;
    }}
    proxy_read_timeout {timeout}s;
    proxy_next_upstream error timeout http_503;
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        location /buffered/ {{ proxy_pass http://scripted; }}
        location /streamed/ {{ proxy_pass http://scripted; proxy_buffering off; }}
        location /plain/ {{ proxy_pass http://scripted; proxy_http_version 1.0; proxy_set_header Connection close; }}
        location /caught/ {{
            proxy_pass http://scripted;
            proxy_intercept_errors on;
            error_page 404 502 503 504 =200 @sorry;
        }}
        location @sorry {{ return 200 "sorry\\n"; }}
    }}
}}
"""


@dataclasses.dataclass(frozen=True)
class Way:
    """How an upstream answers: pieces, when it rests between them, how the connection ends. `failed`: error_type at both ends."""

    status: str = "200"
    head: bytes = b"Content-Length: %d\r\n"
    chunked: bool = False
    share: float = 1  # of the answer that is sent
    rest_seconds: float = 0  # in the answer's middle
    end: object = None  # None: the connection is kept
    failed: str = ""


def close(connection):
    connection.close()


WAYS = {
    "whole": Way(),
    "chunked": Way(chunked=True),
    "until_close": Way(head=b"", end=close),
    "last": Way(head=b"Content-Length: %d\r\nConnection: close\r\n", end=close),
    "missing": Way("404"),
    "busy": Way("503"),
    "broken": Way("500"),
    "empty": Way("204", head=b""),
    "closes": Way(share=0, end=close, failed="truncated"),
    "resets": Way(share=0, end=reset, failed="reset"),
    "closes_in_body": Way(share=0.5, end=close, failed="truncated"),
    "resets_in_body": Way(share=0.5, end=reset, failed="reset"),
    "closes_in_chunks": Way(chunked=True, share=0.5, end=close, failed="truncated"),
    "late": Way(share=0, rest_seconds=1.6 * READ_TIMEOUT_SECONDS, end=close),
    "late_in_body": Way(share=0.5, rest_seconds=1.6 * READ_TIMEOUT_SECONDS, end=close),
}
BODILESS = ("whole", "missing", "busy", "broken", "empty", "last")  # the ways that a HEAD is asked with
READ_TO_THE_END = ("whole", "chunked", "until_close", "last", "empty")  # by nginx, however long
PAUSE_SECONDS = 0.01  # the other end has acknowledged, so that a reset loses nothing


def answer_of(way, method, size):
    """(head, body) as bytes."""
    body = b"x" * size if way.head or way.chunked or way.end else b""
    length = b"Transfer-Encoding: chunked\r\n" if way.chunked else way.head % size if b"%d" in way.head else way.head
    head = f"HTTP/1.1 {way.status} Scripted\r\n".encode() + length + b"\r\n"
    if method == "HEAD":
        return head, b""
    if way.chunked:
        middle = size // 2
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:middle], body[middle:]) if part) + b"0\r\n\r\n"
    return head, body


class Record:
    """Counts by (method, status) and (method, status, error_type), from many threads."""

    def __init__(self):
        self._counts = collections.Counter()
        self._lock = threading.Lock()

    def add(self, *key):
        with self._lock:
            self._counts[key] += 1

    def rows(self):
        with self._lock:
            return Rows(*(collections.Counter({key: count for key, count in self._counts.items() if len(key) == size})
                          for size in (2, 3)))


class Upstream(ScriptedServer):
    """Follows the part of the target that is its own. `seen`: as its end saw it; `proxy_saw`: as nginx did."""

    def __init__(self, number, seen, proxy_saw):
        self.number, self.seen, self.proxy_saw = number, seen, proxy_saw
        super().__init__(self._follow)

    def _follow(self, connection, reader):
        while head := reader.head():
            method, target, _ = head.decode().split("\r\n", 1)[0].split(" ")
            reader.body(head)
            parts = target.split("/")
            way = WAYS[parts[2 + self.number]]
            self._write_down(way, method)
            self._answer(connection, way, method, int(parts[4]))
            if way.end:
                way.end(connection)
                return

    def _write_down(self, way, method):
        status = way.status if way.share else ""
        if way.failed:
            self.seen.add(method, status, way.failed)
            self.proxy_saw.add(method, status, way.failed)
        elif way.rest_seconds:
            self.seen.add(method, way.status)
            self.proxy_saw.add(method, status, "reset")
        else:
            self.seen.add(method, way.status)
            self.proxy_saw.add(method, way.status)

    def _answer(self, connection, way, method, size):
        head, body = answer_of(way, method, size)
        cut = len(head) + int(len(body) * way.share) if way.share else 0
        answer = head + body
        if cut:
            connection.sendall(answer[:cut])
        if way.rest_seconds:
            time.sleep(way.rest_seconds)
            connection.sendall(answer[cut:])
        if way.end:
            time.sleep(PAUSE_SECONDS)


class RandomClient:
    """One thread's requests, by a seed; over as few connections as the answers allow. `seen`: as its end saw it; `proxy_saw`: as
    nginx did. Where both upstreams would be late, it does not wait."""

    def __init__(self, port, seed, seen, proxy_saw, ways):
        self.port, self.seen, self.proxy_saw, self.ways = port, seen, proxy_saw, ways
        self.random = random.Random(seed)
        self.connection = None

    def make(self, requests):
        for _ in range(requests):
            self.make_one()

    def drop(self, end=close):
        if self.connection:
            end(self.connection)
        self.connection = None

    def make_one(self):
        location, ways = self.random.choice(LOCATIONS), self.random.choices(list(self.ways), list(self.ways.values()), k=2)
        method = self.random.choice(("GET", "GET", "POST", "HEAD") if set(ways) <= set(BODILESS) else ("GET", "GET", "POST"))
        version = self.random.choice(("1.1", "1.1", "1.1", "1.0"))
        sizes = (1, 100, 5_000, 70_000) if set(ways) <= set(READ_TO_THE_END) else (1, 100, 5_000)
        target = f"/{location}/{ways[0]}/{ways[1]}/{self.random.choice(sizes)}"
        body = b"y" * self.random.choice((0, 10, 30_000)) if method == "POST" else b""
        length = f"Content-Length: {len(body)}\r\n" if method == "POST" else ""
        if not self.connection:
            self.connection = clients.connect(self.port)
        self.connection.sendall(f"{method} {target} HTTP/{version}\r\nHost: corpus\r\n{length}\r\n".encode() + body)
        if ways == ["late", "late"]:
            self._leave(method)
        else:
            self._read(method)

    def _leave(self, method):
        time.sleep(PAUSE_SECONDS * 5)
        end, error = self.random.choice(((close, "truncated"), (reset, "reset")))
        self.seen.add(method, "", "reset")
        self.proxy_saw.add(method, "", error)
        self.drop(end)

    def _read(self, method):
        reader = RequestReader(self.connection)
        head = reader.head().decode()
        status = head.split(" ", 2)[1]
        lower = head.lower()
        is_closed = "connection: close" in lower or "keep-alive" not in lower and head.startswith("HTTP/1.0")
        ended = has_ended(reader, lower, method, status)
        for record in (self.seen, self.proxy_saw):
            record.add(*((method, status) if ended else (method, status, "truncated")))
        if is_closed or not ended or "content-length" not in lower and "chunked" not in lower:
            self.drop()


def has_ended(reader, head, method, status):
    """Reads an answer's body. False when it broke off."""
    if method == "HEAD" or status in ("204", "304"):
        return True
    if "chunked" in head:
        return reader.body(b"transfer-encoding: chunked") != b""
    if "content-length" in head:
        size = int(head.split("content-length:")[1].split("\r\n")[0])
        return size == 0 or len(reader.body(b"content-length: %d" % size)) == size
    while reader.connection.recv(65536):
        pass
    return True
