# SPDX-License-Identifier: Apache-2.0
"""Load generators and clients, each bounded in requests or in time, each with its own summary."""

import collections
import dataclasses
import re
import socket
import subprocess
import time

from . import go_build, places

LOAD_TIMEOUT_SECONDS = 120


@dataclasses.dataclass
class LoadResult:
    """What the client says: answers by status class or code, requests without an answer."""

    answered: int
    failed: int
    output: str


def _run(command, wrapper=(), timeout=LOAD_TIMEOUT_SECONDS):
    command = [str(part) for part in [*wrapper, *command]]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def h2load(url, requests, connections, wrapper=(), threads=1):
    """HTTP/1.1 with keep-alive; ends when every request is answered. `url`: one, or a list to take in turns."""
    urls = [url] if isinstance(url, str) else url
    output = _run([places.tool("h2load"), "--h1", "-n", requests, "-c", connections, "-t", threads, *urls], wrapper)
    answered = sum(int(count) for count in re.findall(r"(\d+) [2345]xx", output))
    failed = int(re.search(r"(\d+) failed, ", output)[1])
    return LoadResult(answered, failed, output)


def wrk(url, connections=100, seconds=3, threads=2, wrapper=()):
    """As fast as the server can, for a time; cuts off the last request of each connection."""
    output = _run([places.tool("wrk"), f"-c{connections}", f"-d{seconds}s", f"-t{threads}", url], wrapper)
    answered = int(re.search(r"(\d+) requests in", output)[1])
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    return LoadResult(answered, sum(map(int, errors.groups())) if errors else 0, output)


def start_constant_load(url, rate, connections, seconds):
    """So many requests a second, whatever they cost, for so long; each is answered. Returns the process."""
    return subprocess.Popen([places.build_dir() / "bench/constant_load", "--rate", str(rate), "--connections", str(connections),
                             "--seconds", str(seconds), url], stdout=subprocess.DEVNULL)


def curl(url, *options, wrapper=(), times=1):
    """`times` requests, each by a curl of its own. The status codes that curl saw, counted."""
    seen = collections.Counter()
    for _ in range(times):
        seen[_run([places.tool("curl"), "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "20",
                   "--noproxy", "*", *options, url], wrapper).strip()] += 1
    return seen


def go_client(url, requests, connections=1, keep_alive=True, method="GET", body_bytes=0, wrapper=()):
    """Go's net/http client."""
    program = go_build.go_program("e2e-go-client")
    output = _run([program, "-url", url, "-n", requests, "-c", connections, f"-keep-alive={str(keep_alive).lower()}",
                   "-method", method, "-body", body_bytes], wrapper)
    counts = dict(line.split() for line in output.splitlines())
    failed = int(counts.pop("error", 0))
    return LoadResult(sum(map(int, counts.values())), failed, output)


def connect(port, address="127.0.0.1"):
    """A TCP connection whose every send becomes a segment of its own."""
    connection = socket.create_connection((address, port), timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def read_exactly(connection, size):
    """`size` bytes, or an AssertionError when the peer closes before."""
    received = bytearray()
    while len(received) < size:
        piece = connection.recv(min(size - len(received), 1 << 20))
        if not piece:
            raise AssertionError(f"the connection closed after {len(received)} of {size} bytes")
        received += piece
    return bytes(received)


def read_head(connection):
    """A message's head with its blank line. Reads not a byte too many."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += read_exactly(connection, 1)
    return head


def read_response(connection, has_body=True):
    """One response with a Content-Length (or none at all): its head and body. Reads not a byte too many."""
    head = read_head(connection)
    length = re.search(rb"(?im)^content-length: *(\d+)", head)
    return head, read_exactly(connection, int(length[1])) if length and has_body else b""


def read_slowly(connection, body_bytes, pauses, pause_seconds):
    """Reads a response with a body of that size, resting between equal parts. The seconds that it took."""
    begin = time.monotonic()
    read_head(connection)
    for _ in range(pauses):
        time.sleep(pause_seconds)
        read_exactly(connection, body_bytes // pauses)
    read_exactly(connection, body_bytes % pauses)
    return time.monotonic() - begin
