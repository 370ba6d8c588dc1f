# SPDX-License-Identifier: Apache-2.0
"""Real HTTP servers, each with a record of its own of what it answered.

All of them understand the same paths, so that one load fits all:
    /          200, 1 KiB            /missing   404
    /large     200, 100 KiB          /empty     204
    /post      200 after reading the request's body
Each listens on 127.0.0.1 and [::1] (or on `address`) and runs under an executable name of its own, which is its
service_name. `log_counts()` is the truth that limpet is held against: (method, status) → number of requests.
"""

import collections
import itertools
import os
import pathlib
import signal
import subprocess
import sys

from . import go_build, places
from .ports import free_port, wait_for_listener

SERVERS_DIR = pathlib.Path(__file__).resolve().parents[1] / "servers"
KIB = b"0123456789abcdef" * 64
_numbers = itertools.count()


class Server:
    """A child process with a port and a log of `method status` lines."""

    service_name = ""

    def __init__(self, directory, wrapper=(), address=None, port=None):
        self.directory = pathlib.Path(directory)
        self.wrapper = [str(part) for part in wrapper]
        self.address = address
        self.port = port or free_port()
        number = next(_numbers)
        self.log_path = self.directory / f"access-{number}.log"
        self.output_path = self.directory / f"output-{number}.log"
        self.process = None

    @property
    def addresses(self):
        return [self.address] if self.address else ["127.0.0.1", "[::1]"]

    def command(self):
        """The command line and what it needs beside the environment."""
        raise NotImplementedError

    def start(self):
        command, environment = self.command()
        with open(self.output_path, "wb") as output:
            self.process = subprocess.Popen(self.wrapper + [str(part) for part in command], stdin=subprocess.DEVNULL,
                                            stdout=output, stderr=output, env={**os.environ, **environment})
        for port in self.ports():
            wait_for_listener(port, self.process)
        return self

    def ports(self):
        return [self.port]

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)

    def url(self, path="/", address=None, port=None):
        return f"http://{address or self.addresses[0]}:{port or self.port}{path}"

    def log_counts(self):
        counts = collections.Counter()
        if self.log_path.exists():
            for line in self.log_path.read_text(errors="replace").splitlines():
                fields = line.split()
                if len(fields) >= 2:
                    counts[fields[0], fields[1]] += 1
        return counts

    def output(self):
        return self.output_path.read_text(errors="replace") if self.output_path.exists() else ""


def nginx_command(server, config):
    """What starts nginx under the server's service name, with this configuration."""
    path = server.directory / f"{server.service_name}.conf"
    path.write_text(config)
    return [places.private_executable("nginx", server.service_name), "-p", server.directory, "-e", "stderr", "-c", path], {}


class Nginx(Server):
    """nginx with two workers, /huge, and a second port that accepts only with data (`listen … deferred`)."""

    service_name = "e2e-nginx"
    HUGE_BYTES = 60_000_000  # of /huge: several times what the socket buffers between two ends hold

    def __init__(self, directory, **arguments):
        super().__init__(directory, **arguments)
        self.deferred_port = free_port()

    def ports(self):
        return [self.port, self.deferred_port]

    def command(self):
        document_root = self.directory / "www"
        document_root.mkdir(exist_ok=True)
        (document_root / "index.html").write_bytes(KIB)
        (document_root / "large").write_bytes(KIB * 100)
        with open(document_root / "huge", "wb") as huge:
            huge.truncate(self.HUGE_BYTES)
        listens = [f"listen {address}:{self.port} backlog=1024;" for address in self.addresses]
        listens += [f"listen {address}:{self.deferred_port} deferred backlog=1024;" for address in self.addresses]
        return nginx_command(self, _NGINX_CONFIG.format(directory=self.directory, log=self.log_path, root=document_root,
                                                        listens="\n        ".join(listens)))


NGINX_TEMPORARY_PATHS = """\
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
"""

_NGINX_CONFIG = """\
daemon off;
user root;
worker_processes 2;
pid {directory}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 16384; }}
http {{
    log_format counted '$request_method $status $server_port $body_bytes_sent $request_length $request_uri';
    access_log {log} counted;
""" + NGINX_TEMPORARY_PATHS + """\
    keepalive_requests 10000000;
    sendfile on;
    tcp_nopush on;
    etag off;
    server {{
        {listens}
        root {root};
        log_not_found off;
        location = /empty {{ return 204; }}
        location = /post {{ return 200 "read\\n"; }}
    }}
}}
"""


class GoServer(Server):
    """Go's net/http: see servers/go/main.go for its query parameters (sleep, size, chunks, pause, abort, status)."""

    service_name = "e2e-go-server"

    def command(self):
        listens = [part for address in self.addresses for part in ("-listen", f"{address}:{self.port}")]
        return [go_build.go_program(self.service_name), "-log", self.log_path] + listens, {}


class PythonServer(Server):
    """Python's http.server with threads; HTTP/1.1 keep-alive, or HTTP/1.0 with a connection for each request."""

    service_name = "e2e-python3"

    def __init__(self, directory, protocol="HTTP/1.1", **arguments):
        super().__init__(directory, **arguments)
        self.protocol = protocol

    def command(self):
        command = [places.private_executable(sys.executable, self.service_name), SERVERS_DIR / "http_server.py"]
        command += [self.log_path, self.port, self.protocol, *(address.strip("[]") for address in self.addresses)]
        return command, {"PYTHONHOME": sys.base_prefix}


class NodeServer(Server):
    """Node's http module."""

    service_name = "e2e-node"

    def command(self):
        command = [places.private_executable("node"), SERVERS_DIR / "http_server.js", self.log_path, self.port]
        return command + [address.strip("[]") for address in self.addresses], {}
