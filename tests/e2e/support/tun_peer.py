# SPDX-License-Identifier: Apache-2.0
"""A host of the test's own making behind a TUN device: it answers a SYN with whatever segments a test wants."""

import fcntl
import os
import socket
import struct

from . import places

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 1, 0x1000
SYN, RST = 2, 4


def _checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


class TunPeer:
    """Lives at `address` of a namespace that is at `host`; made by a thread inside the namespace."""

    def __init__(self, namespace, host, address):
        self.address = address
        self.file = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(self.file, TUNSETIFF, struct.pack("16sH22x", b"to-peer", IFF_TUN | IFF_NO_PI))
        namespace.run(places.tool("ip"), "address", "add", host, "peer", address, "dev", "to-peer")
        namespace.run(places.tool("ip"), "link", "set", "to-peer", "up")

    def next_segment(self):
        """(IP source, source port, destination port, sequence number) of the next TCP segment over IPv4."""
        while True:
            packet = os.read(self.file, 65536)
            if packet[0] >> 4 == 4 and packet[9] == socket.IPPROTO_TCP:
                ports_and_sequence = struct.unpack_from("!HHI", packet, (packet[0] & 15) * 4)
                return socket.inet_ntoa(packet[12:16]), *ports_and_sequence

    def send(self, to, source_port, destination_port, sequence, flags):
        addresses = socket.inet_aton(self.address) + socket.inet_aton(to)
        tcp = struct.pack("!HHIIBBHHH", source_port, destination_port, sequence, 0, 5 << 4, flags, 65535, 0, 0)
        pseudo = addresses + struct.pack("!HH", socket.IPPROTO_TCP, len(tcp))
        tcp = tcp[:16] + struct.pack("!H", _checksum(pseudo + tcp)) + tcp[18:]
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, socket.IPPROTO_TCP, 0) + addresses
        os.write(self.file, ip[:10] + struct.pack("!H", _checksum(ip)) + ip[12:] + tcp)

    def close(self):
        os.close(self.file)
