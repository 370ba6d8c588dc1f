# SPDX-License-Identifier: Apache-2.0
"""What the kernel says of a process and of a cgroup: /proc/<pid>/schedstat, stat and status, and cpu.stat."""

import dataclasses
import os
import pathlib
import re
import signal
import time

TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass(frozen=True)
class CpuUse:
    """Of all threads of some processes; seconds."""

    run: float = 0
    delay: float = 0
    user: float = 0
    system: float = 0
    voluntary: int = 0
    involuntary: int = 0

    def __add__(self, other):
        return CpuUse(*(mine + its for mine, its in zip(dataclasses.astuple(self), dataclasses.astuple(other))))

    def __sub__(self, earlier):
        return CpuUse(*(now - then for now, then in zip(dataclasses.astuple(self), dataclasses.astuple(earlier))))


def cpu_use(pids):
    """The CpuUse of these processes; user and system in steps of a tick. Zombies count too."""
    total = CpuUse()
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += CpuUse(user=int(fields[11]) * TICK_SECONDS, system=int(fields[12]) * TICK_SECONDS)
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            run_ns, delay_ns, _ = map(int, (task / "schedstat").read_text().split())
            switches = dict(re.findall(r"(\w+)_ctxt_switches:\s+(\d+)", (task / "status").read_text()))
            total += CpuUse(run=run_ns / 1e9, delay=delay_ns / 1e9, voluntary=int(switches["voluntary"]),
                            involuntary=int(switches["nonvoluntary"]))
    return total


def freeze(processes):
    """Stops them (SIGSTOP) and waits until none of their threads runs any more: their figures stand still."""
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    for process in processes:
        for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir():
            while (task / "stat").read_text().rpartition(")")[2].split()[0] != "T":
                time.sleep(0.001)


def thaw(processes):
    for process in processes:
        process.send_signal(signal.SIGCONT)


def cpu_stat(cgroup):
    """{name: number} of a cgroup's cpu.stat, v1 or v2."""
    return {name: int(number) for name, number in
            (line.split() for line in (pathlib.Path(cgroup) / "cpu.stat").read_text().splitlines())}
