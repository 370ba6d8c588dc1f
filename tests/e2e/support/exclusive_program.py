# SPDX-License-Identifier: Apache-2.0
"""Somebody else's exclusive program on the cgroup root: attached without BPF_F_ALLOW_MULTI, by a raw bpf().

It lets every packet pass. It stays attached until detach(), even when this process is killed.
"""

import ctypes
import os
import platform
import struct

from .cgroups import cgroup2_root

_BPF_PROG_LOAD, _BPF_PROG_ATTACH, _BPF_PROG_DETACH = 5, 8, 9
_BPF_PROG_TYPE_CGROUP_SKB = 8
_BPF_CGROUP_INET_EGRESS = 1
_SYSCALL_NUMBERS = {"x86_64": 321, "aarch64": 280}
_PASS = struct.pack("<BBhi", 0xB7, 0, 0, 1) + struct.pack("<BBhi", 0x95, 0, 0, 0)  # r0 = 1; exit


def _bpf(command, attributes):
    libc = ctypes.CDLL(None, use_errno=True)
    attributes = attributes.ljust(144, b"\0")
    result = libc.syscall(ctypes.c_long(_SYSCALL_NUMBERS[platform.machine()]), ctypes.c_int(command),
                          ctypes.c_char_p(attributes), ctypes.c_uint(len(attributes)))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"bpf command {command}: {os.strerror(number)}")
    return result


class ExclusiveProgram:
    def __init__(self):
        instructions = ctypes.create_string_buffer(_PASS, len(_PASS))
        license_text = ctypes.create_string_buffer(b"GPL")
        self.cgroup = os.open(cgroup2_root(), os.O_RDONLY | os.O_DIRECTORY)
        self.program = _bpf(_BPF_PROG_LOAD, struct.pack(
            "<IIQQIIQII16sII", _BPF_PROG_TYPE_CGROUP_SKB, len(_PASS) // 8, ctypes.addressof(instructions),
            ctypes.addressof(license_text), 0, 0, 0, 0, 0, b"e2e_exclusive", 0, _BPF_CGROUP_INET_EGRESS))
        _bpf(_BPF_PROG_ATTACH, struct.pack("<IIII", self.cgroup, self.program, _BPF_CGROUP_INET_EGRESS, 0))

    def detach(self):
        _bpf(_BPF_PROG_DETACH, struct.pack("<IIII", self.cgroup, self.program, _BPF_CGROUP_INET_EGRESS, 0))
        os.close(self.program)
        os.close(self.cgroup)
