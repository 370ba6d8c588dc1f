# SPDX-License-Identifier: Apache-2.0
"""A cable between two network namespaces, and what can go wrong on it: packets twice, out of order, lost."""

import pathlib
import subprocess

from support import places
from support.netns import NetworkNamespace

SOURCE = pathlib.Path(__file__).resolve().parent / "links.bpf.c"
SERVER_ADDRESS, CLIENT_ADDRESS = "10.213.9.1", "10.213.9.2"


def programs():
    """The compiled links.bpf.c."""
    built = places.cache_dir() / "links.bpf.o"
    if not built.exists() or built.stat().st_mtime < SOURCE.stat().st_mtime:
        machine = subprocess.run([places.tool("cc"), "-print-multiarch"], capture_output=True, text=True, check=True)
        subprocess.run([places.tool("clang-19"), "-target", "bpf", "-O2", "-g", "-Wall", "-Werror",
                        "-I", f"/usr/include/{machine.stdout.strip()}", "-c", SOURCE, "-o", built], check=True, timeout=60)
    return built


class Cable:
    """Two namespaces, `server_end` and `client_end`; their devices send packets of an MTU at most, as real ones do."""

    def __init__(self, case):
        self.ends = [NetworkNamespace(), NetworkNamespace()]
        self.server_end, self.client_end = self.ends
        for end in self.ends:
            case.addCleanup(end.close)
        self.server_end.join(self.client_end, SERVER_ADDRESS, CLIENT_ADDRESS)
        self.devices = list(zip(self.ends, ("to-other", "to-first")))
        for end, device in self.devices:
            end.run(places.tool("ip"), "link", "set", device, "gso_max_segs", "1")

    def duplicate(self):
        for end, device in self.devices:
            end.run(places.tool("tc"), "qdisc", "add", "dev", device, "clsact")
            end.run(places.tool("tc"), "filter", "add", "dev", device, "egress", "bpf", "direct-action", "obj", programs(),
                    "sec", "tc/duplicate")

    def reorder(self):
        for end, device in self.devices:
            for command in (f"qdisc add dev {device} root handle 1: htb default 1",
                            f"class add dev {device} parent 1: classid 1:1 htb rate 10gbit",
                            f"class add dev {device} parent 1: classid 1:2 htb rate 20mbit burst 1600",
                            f"filter add dev {device} parent 1: bpf obj {programs()} sec tc/delay"):
                end.run(places.tool("tc"), *command.split())

    def lose(self, share):
        for end in self.ends:
            end.drop_packets(share)

    def tcp_counter(self, name):
        """A counter of TcpExt, added up over both ends."""
        total = 0
        for end in self.ends:
            names, values = [line.split() for line in end.run("/bin/cat", "/proc/net/netstat").splitlines()
                             if line.startswith("TcpExt:")]
            total += int(values[names.index(name)])
        return total
