# SPDX-License-Identifier: Apache-2.0
"""The corpus's own real servers, for what those of the end-to-end tests do not do. The same contract: a log of `method
status` lines, `log_counts()`, an executable name of its own."""

import collections
import pathlib
import subprocess
import sys

from support import places
from support.ports import free_port
from support.servers import KIB, NGINX_TEMPORARY_PATHS, Server, nginx_command

SERVERS_DIR = pathlib.Path(__file__).resolve().parent / "servers"
KNOWN_METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}


class CorpusNginx(Server):
    """nginx with a port for each thing: plain, PROXY protocol, HTTP/2 without TLS, and two workers with a listener each.

    /early refuses uploads of more than 1 KiB while they are still coming; /page is a file, sent by sendfile.
    """

    service_name = "e2e-corpus-nginx"

    def __init__(self, directory, **arguments):
        super().__init__(directory, **arguments)
        self.proxy_port, self.http2_port, self.reuse_port = free_port(), free_port(), free_port()

    def ports(self):
        return [self.port, self.proxy_port, self.http2_port, self.reuse_port]

    def log_counts(self):
        """Methods that limpet does not know by name are called as it calls them."""
        counts = collections.Counter()
        for (method, status), count in super().log_counts().items():
            counts[method if method in KNOWN_METHODS else "_OTHER", status] += count
        return counts

    def http1_counts(self):
        """The log without what came over HTTP/2."""
        lines = self.log_path.read_text().splitlines() if self.log_path.exists() else []
        return collections.Counter(tuple(line.split()[:2]) for line in lines if line.split()[2] != str(self.http2_port))

    def command(self):
        root = self.directory / "corpus-www"
        root.mkdir(exist_ok=True)
        (root / "page").write_bytes(KIB * 64)
        return nginx_command(self, _NGINX_CONFIG.format(directory=self.directory, log=self.log_path, root=root, server=self))


_NGINX_CONFIG = """\
daemon off;
user root;
worker_processes 2;
pid {directory}/corpus-nginx.pid;
error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
    log_format counted '$request_method $status $server_port $content_length $body_bytes_sent';
    access_log {log} counted;
""" + NGINX_TEMPORARY_PATHS + """\
    keepalive_requests 10000000;
    large_client_header_buffers 8 128k;
    sendfile on;
    etag off;
    server {{
        listen 127.0.0.1:{server.port} backlog=1024;
        listen [::1]:{server.port} backlog=1024;
        listen 127.0.0.1:{server.proxy_port} proxy_protocol;
        listen 127.0.0.1:{server.http2_port} http2;
        listen 127.0.0.1:{server.reuse_port} reuseport backlog=1024;
        root {root};
        location = / {{ return 200 "hello\\n"; }}
        location = /empty {{ return 204; }}
        location = /early {{ client_max_body_size 1k; return 200 "read\\n"; }}
    }}
}}
"""


class OddServer(Server):
    """servers/odd_server.py: how it accepts and how it sends is told by `mode`."""

    service_name = "e2e-corpus-python"

    def __init__(self, directory, mode, **arguments):
        super().__init__(directory, **arguments)
        self.mode = mode

    def command(self):
        program = places.private_executable(sys.executable, self.service_name)
        return [program, SERVERS_DIR / "odd_server.py", self.log_path, self.port, self.mode], {
            "PYTHONHOME": sys.base_prefix}


class UpgradeServer(Server):
    """servers/upgrade_server.js: Node's http module with CONNECT, upgrades, trailers, server-sent events, interim answers."""

    service_name = "e2e-corpus-node"

    def command(self):
        program = places.private_executable("node", self.service_name)
        return [program, SERVERS_DIR / "upgrade_server.js", self.log_path, self.port], {}


class UringServer(Server):
    """servers/uring_server.c: accepts, receives and sends by io_uring alone."""

    service_name = "e2e-corpus-uring"

    def command(self):
        source = SERVERS_DIR / "uring_server.c"
        program = places.cache_dir() / self.service_name
        if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
            subprocess.run([places.tool("cc"), "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, source, "-luring"],
                           check=True, timeout=60)
        return [program, self.log_path, str(self.port)], {}
