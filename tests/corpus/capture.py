# SPDX-License-Identifier: Apache-2.0
"""A packet capture by tcpdump, and when the messages of a connection began and ended in it. Standard library only."""

import collections
import dataclasses
import re
import signal
import struct
import subprocess

from support import places

SNAP_BYTES = 2048
_ETHERNET_BYTES = 14


@dataclasses.dataclass(frozen=True)
class Packet:
    """A TCP segment with payload. `payload`: its beginning; `length`: of all of it."""

    ns: int
    source: int
    destination: int
    payload: bytes
    length: int
    sequence: int


@dataclasses.dataclass
class Exchange:
    """When a request began, and when its answer's first and last byte passed, in nanoseconds."""

    request_ns: int
    first_ns: int
    last_ns: int

    @property
    def duration(self):
        return (self.last_ns - self.request_ns) / 1e9

    @property
    def first_byte(self):
        return (self.first_ns - self.request_ns) / 1e9


class Capture:
    """tcpdump on the loopback device, for the traffic of one port; IPv4."""

    def __init__(self, directory, port):
        self.path = f"{directory}/capture-{port}.pcap"
        self.port = port
        self.process = subprocess.Popen(
            [places.tool("tcpdump"), "-i", "lo", "-n", "-U", "-Z", "root", "--immediate-mode", "-B", "65536", "-s", str(SNAP_BYTES),
             "--time-stamp-precision=nano", "-w", self.path, "tcp", "port", str(port)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        while line and "listening on" not in line:
            line = self.process.stderr.readline()
        if not line:
            raise AssertionError("tcpdump did not start")

    def stop(self):
        """Ends tcpdump. It must have missed nothing."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        _, said = self.process.communicate(timeout=10)
        if "\n0 packets dropped by kernel" not in said:
            raise AssertionError(f"tcpdump missed packets: {said}")

    def exchanges(self):
        """{status code: [Exchange]} by the answers' status codes, in the order in which the answers began.

        Requests and answers must each begin with a packet of their own, but for requests that are pipelined.
        """
        found = collections.defaultdict(list)
        streams = collections.defaultdict(lambda: ([], []))  # client's port → its packets, the server's
        for packet in first_copies(packets(self.path)):
            is_answer = packet.source == self.port
            streams[packet.destination if is_answer else packet.source][is_answer].append(packet)
        for asked, answered in streams.values():
            starts = [packet.ns for packet in asked for _ in range(packet.payload.count(b" HTTP/1.1\r\n"))]
            answers = []
            for packet in answered:
                status = re.match(rb"HTTP/1\.1 (\d{3})", packet.payload)
                if status:
                    answers.append((int(status[1]), Exchange(starts[len(answers)], packet.ns, packet.ns)))
                answers[-1][1].last_ns = packet.ns
            for status, exchange in answers:
                found[status].append(exchange)
        return found


def first_copies(all_packets):
    """The packets without those that repeat what has passed before."""
    ends = {}
    for packet in all_packets:
        way, end = (packet.source, packet.destination), packet.sequence + packet.length
        if way not in ends or (end - ends[way]) & 0x80000000 == 0 and end != ends[way]:
            ends[way] = end
            yield packet


def packets(path):
    """The segments with payload of a capture file with nanoseconds (pcap, magic a1b23c4d), Ethernet and IPv4."""
    with open(path, "rb") as file:
        content = file.read()
    if struct.unpack_from("<I", content)[0] != 0xA1B23C4D:
        raise AssertionError(f"{path} is not a capture with nanoseconds")
    at = 24
    while at + 16 <= len(content):
        seconds, nanoseconds, captured, _ = struct.unpack_from("<IIII", content, at)
        packet = _segment(content[at + 16:at + 16 + captured], seconds * 1_000_000_000 + nanoseconds)
        at += 16 + captured
        if packet.length:
            yield packet


def _segment(frame, ns):
    ip = frame[_ETHERNET_BYTES:]
    tcp = ip[(ip[0] & 15) * 4:]
    headers = (ip[0] & 15) * 4 + (tcp[12] >> 4) * 4
    source, destination, sequence = struct.unpack_from("!HHI", tcp)
    return Packet(ns, source, destination, ip[headers:], struct.unpack_from("!H", ip, 2)[0] - headers, sequence)
