# SPDX-License-Identifier: Apache-2.0
"""DNS servers and clients, each in a network namespace of the tests' own, where port 53 is free."""

import collections
import ctypes
import dataclasses
import itertools
import pathlib
import re
import signal
import socket
import subprocess
import time

from . import places

ZONE = "limpet.test"
WAIT_SECONDS = 10
_CLONE_NEWNET = 0x40000000
_numbers = itertools.count()


class Unbound:
    """unbound, which answers from its own data: names n0 … n199 and long names have addresses, others do not exist."""

    service_name = "e2e-unbound"
    NAMES = 200

    def __init__(self, directory, wrapper=()):
        self.wrapper = [str(part) for part in wrapper]
        self.path = pathlib.Path(directory) / f"unbound-{next(_numbers)}.conf"
        self.output_path = self.path.with_suffix(".log")
        self.process = None

    def start(self):
        data = [f'local-data: "n{number}.{ZONE}. 60 IN A 192.0.2.{number % 250 + 1}"' for number in range(self.NAMES)]
        data += [f'local-data: "n{number}.{ZONE}. 60 IN AAAA 2001:db8::{number + 1:x}"' for number in range(self.NAMES)]
        data += [f'local-data: "large.{ZONE}. 60 IN TXT {chr(39)}{"x" * 200} {number}{chr(39)}"' for number in range(30)]
        data += [f'local-data: "{longest_name()} 60 IN A 192.0.2.251"']
        self.path.write_text(_UNBOUND_CONFIG.format(zone=ZONE, data="\n  ".join(data)))
        with open(self.output_path, "wb") as output:
            self.process = subprocess.Popen(
                [*self.wrapper, str(places.private_executable("unbound")), "-d", "-p", "-c", str(self.path)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self._wait()
        return self

    def _wait(self):
        deadline = time.monotonic() + WAIT_SECONDS
        while subprocess.run([*self.wrapper, places.tool("dig"), "+tries=1", "+time=1", "+short", "@127.0.0.1",
                              f"n0.{ZONE}"], capture_output=True, check=False, timeout=20).stdout != b"192.0.2.1\n":
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError(f"unbound does not answer:\n{self.output()}")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(WAIT_SECONDS)

    def output(self):
        return self.output_path.read_text(errors="replace") if self.output_path.exists() else ""


_UNBOUND_CONFIG = """\
server:
  directory: "/"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  num-threads: 2
  interface: 127.0.0.1
  interface: ::1
  access-control: 127.0.0.0/8 allow
  access-control: ::1 allow
  so-rcvbuf: 2m
  minimal-responses: yes
  local-zone: "{zone}." static
  local-zone: "refused.test." always_refuse
  local-zone: "silent.test." always_deny
  local-zone: "." always_nxdomain
  {data}
"""


def longest_name():
    """253 characters: four labels, as long as a name may be."""
    return ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * (253 - 3 * 64 - len(ZONE) - 1)]) + f".{ZONE}."


@dataclasses.dataclass
class PerfReport:
    sent: int
    completed: int
    lost: int
    codes: collections.Counter  # response code → answers
    output: str


def dnsperf(directory, questions, *options, wrapper=(), server="127.0.0.1", timeout=60):
    """dnsperf asks these (name, type) pairs once each, unless the options say otherwise."""
    path = pathlib.Path(directory) / f"questions-{next(_numbers)}"
    path.write_text("".join(f"{name} {kind}\n" for name, kind in questions))
    command = [*wrapper, str(places.private_executable("dnsperf")), "-s", server, "-d", str(path), *map(str, options)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
    counts = {word.lower(): int(number) for word, number in
              re.findall(r"Queries (sent|completed|lost): +(\d+)", done.stdout)}
    codes = collections.Counter()
    for code, number in re.findall(r"([A-Z]+) (\d+) \(", re.search(r"Response codes: +(.*)", done.stdout)[1]):
        codes[code] += int(number)
    return PerfReport(counts["sent"], counts["completed"], counts["lost"], codes, done.stdout)


def run(command, wrapper=(), timeout=60):
    """The output of a program that may fail."""
    return subprocess.run([*wrapper, *map(str, command)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=timeout, check=False).stdout


def dig(*arguments, wrapper=()):
    return run([places.private_executable("dig"), *arguments], wrapper)


def codes(exposition, side, **labels):
    """Response code (or "timeout") → count of one side, over the series with these labels."""
    metric = {"client": "dns_lookup_duration_seconds", "server": "dns_server_request_duration_seconds"}[side]
    found = collections.Counter()
    for sample in exposition.select(f"{metric}_count", **labels):
        if sample.value:
            found[sample.label("dns_response_code") or sample.label("error_type")] += int(sample.value)
    return found


def query(number, name=f"n0.{ZONE}", kind=1, flags=0x0100, questions=1):
    """A query as bytes."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split(".") if label) + b"\0"
    head = b"".join(word.to_bytes(2, "big") for word in (number, flags, questions, 0, 0, 0))
    return head + (labels + kind.to_bytes(2, "big") + b"\0\1") * questions


def datagram_socket(address, namespace):
    """A UDP socket of this process in a network namespace, which it stays in."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net") as here, open(f"/run/netns/{namespace.name}") as there:
        if libc.setns(there.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        try:
            return socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        finally:
            libc.setns(here.fileno(), _CLONE_NEWNET)
