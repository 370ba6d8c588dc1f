# SPDX-License-Identifier: Apache-2.0
"""Cgroups of the test's own: in the cgroup2 hierarchy and, where the host has one, in cgroup v1's memory hierarchy; and
one with a CPU quota, in whichever hierarchy has the cpu controller."""

import os
import pathlib
import time

from .tasks import cpu_stat


def mount_points(filesystem, option=None):
    """Where a kind of file system is mounted, from /proc/self/mountinfo."""
    found = []
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind == filesystem and (option is None or option in options.split(",")):
            found.append(pathlib.Path(before.split()[4]))
    return found


def cgroup2_root():
    roots = mount_points("cgroup2")
    if not roots:
        raise AssertionError("no cgroup2 file system is mounted")
    return roots[0]


class CgroupOfOwn:
    """`wrapper` put before a command moves it into the cgroup, under the same pid."""

    def __init__(self):
        self.path = f"/limpet-e2e-{os.getpid()}-{time.monotonic_ns() % 1_000_000}"
        roots = [cgroup2_root(), *mount_points("cgroup", "memory")[:1]]  # further mounts show the same directories
        self.directories = [root / self.path.lstrip("/") for root in roots]
        for directory in self.directories:
            directory.mkdir()

    @property
    def wrapper(self):
        joins = "; ".join(f"echo $$ > {directory}/cgroup.procs" for directory in self.directories)
        return ["/bin/sh", "-c", f'{joins}; exec "$@"', "sh"]

    def move(self, pid):
        """Moves a process that runs already; its sockets stay with the cgroup that they were made in."""
        for directory in self.directories:
            (directory / "cgroup.procs").write_text(str(pid))

    def close(self):
        """Removes the cgroups; their processes must have ended, which the kernel may notice a moment later."""
        for directory in self.directories:
            for attempt in range(50):
                try:
                    directory.rmdir()
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    if attempt == 49:
                        raise
                    time.sleep(0.1)


class QuotaCgroup(CgroupOfOwn):
    """A cgroup whose tasks may run `quota_ms` of every `period_ms`."""

    def __init__(self, quota_ms, period_ms):
        v1 = mount_points("cgroup", "cpu")
        self.is_v1 = bool(v1)
        self.path = f"/limpet-e2e-quota-{os.getpid()}"
        root = v1[0] if v1 else cgroup2_root()
        self.directories = [root / self.path.lstrip("/")]
        if not v1:
            (root / "cgroup.subtree_control").write_text("+cpu")
        self.directories[0].mkdir()
        if v1:
            (self.directories[0] / "cpu.cfs_period_us").write_text(str(period_ms * 1000))
            (self.directories[0] / "cpu.cfs_quota_us").write_text(str(quota_ms * 1000))
        else:
            (self.directories[0] / "cpu.max").write_text(f"{quota_ms * 1000} {period_ms * 1000}")

    def throttling(self):
        """The kernel's counts: periods, throttled_periods, throttled_seconds."""
        stat = cpu_stat(self.directories[0])
        seconds = stat["throttled_time"] / 1e9 if self.is_v1 else stat["throttled_usec"] / 1e6
        return {"periods": stat["nr_periods"], "throttled_periods": stat["nr_throttled"], "throttled_seconds": seconds}
