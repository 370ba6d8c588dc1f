# SPDX-License-Identifier: Apache-2.0
"""The machine under the benchmark: its CPUs and who gets which, processes, what they use."""

import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

SOURCE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("LIMPET_BUILD_DIR", SOURCE.parent / "build/release"))

# Server, generator and agents on CPUs of their own where there are three, else the agents beside the generator.
_CPUS = sorted(os.sched_getaffinity(0))
SERVER_CPU, LOAD_CPU = _CPUS[0], _CPUS[min(1, len(_CPUS) - 1)]
AGENT_CPU = _CPUS[min(2, len(_CPUS) - 1)]


def die(why):
    sys.exit(f"lab.py: {why}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(is_ready, what, seconds=10):
    deadline = time.monotonic() + seconds
    while not is_ready():
        if time.monotonic() > deadline:
            die(f"{what} did not start")
        time.sleep(0.002)


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def running(*command, cpu=None, environment=None):
    """A process, pinned to a CPU, that is told to end when the block does."""
    pinned = [] if cpu is None else ["taskset", "-c", str(cpu)]
    process = subprocess.Popen([*pinned, *map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env={**os.environ, **(environment or {})})
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def output_of(*command, cpu=None):
    """(what it printed, CPU nanoseconds that it used)."""
    pinned = [] if cpu is None else ["taskset", "-c", str(cpu)]
    process = subprocess.Popen([*pinned, *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    output = process.stdout.read()
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        die(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{output}{errors}")
    return output, (usage.ru_utime + usage.ru_stime) * 1e9


def with_children(pid):
    pids = [pid]
    for thread in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        for child in thread.read_text().split():
            pids += with_children(int(child))
    return pids


def cpu_ns(pid):
    """CPU time of a process, its children and all their threads that are still there."""
    return sum(int(path.read_text().split()[0]) for process in with_children(pid)
               for path in pathlib.Path(f"/proc/{process}/task").glob("*/schedstat"))


def resident_bytes(pid):
    return sum(int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{process}/status").read_text())[1]) * 1024
               for process in with_children(pid))


def description():
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    virtual = " (virtual)" if "hypervisor" in pathlib.Path("/proc/cpuinfo").read_text() else ""
    return {"date": time.strftime("%Y-%m-%d"), "cpu": (cpu[1] if cpu else "unknown") + virtual, "cpus": os.cpu_count(),
            "kernel": os.uname().release, "load": round(os.getloadavg()[0], 1)}
