# SPDX-License-Identifier: Apache-2.0
"""Network namespaces of the tests' own, joined by veth pairs, with lossy links; removed on close and at exit."""

import atexit
import contextlib
import ctypes
import itertools
import os
import subprocess

from . import places

_numbers = itertools.count()


def _run(*command):
    command = [str(part) for part in command]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def _enter(namespace):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace.fileno(), 0):
        raise OSError(ctypes.get_errno(), "setns")


class NetworkNamespace:
    """A namespace with only its loopback up. `wrapper` put before a command runs it inside, under the same pid."""

    def __init__(self):
        self.name = f"limpet-e2e-{os.getpid()}-{next(_numbers)}"
        _run(places.tool("ip"), "netns", "add", self.name)
        atexit.register(self.close)
        self.run(places.tool("ip"), "link", "set", "lo", "up")

    @property
    def wrapper(self):
        return [places.tool("nsenter"), f"--net=/run/netns/{self.name}", "--"]

    def run(self, *command):
        return _run(*self.wrapper, *command)

    @contextlib.contextmanager
    def entered(self):
        """The calling thread is inside: sockets that it makes belong to this namespace."""
        with open("/proc/thread-self/ns/net", encoding="ascii") as home, open(f"/run/netns/{self.name}",
                                                                              encoding="ascii") as inside:
            _enter(inside)
            try:
                yield self
            finally:
                _enter(home)

    def drop_packets(self, probability):
        """Drops this share of the TCP packets that come in and that go out."""
        for chain in ("INPUT", "OUTPUT"):
            self.run(places.tool("iptables"), "-A", chain, "-p", "tcp", "-m", "statistic", "--mode", "random",
                     "--probability", probability, "-j", "DROP")

    def dropped_packets(self):
        """How many packets the rules of drop_packets() have taken away."""
        listing = self.run(places.tool("iptables"), "-nvxL")
        return sum(int(line.split()[0]) for line in listing.splitlines() if "DROP" in line and "statistic" in line)

    def join(self, other, own_address, other_address):
        """A veth pair between two namespaces, /24 addresses at its ends."""
        own_end, other_end = "to-other", "to-first"  # names are only seen inside, where they are alone
        self.run(places.tool("ip"), "link", "add", own_end, "type", "veth",
                 "peer", "name", other_end, "netns", other.name)
        for namespace, end, address in ((self, own_end, own_address), (other, other_end, other_address)):
            namespace.run(places.tool("ip"), "address", "add", f"{address}/24", "dev", end)
            namespace.run(places.tool("ip"), "link", "set", end, "up")

    def close(self):
        atexit.unregister(self.close)
        if os.path.exists(f"/run/netns/{self.name}"):
            _run(places.tool("ip"), "netns", "delete", self.name)
