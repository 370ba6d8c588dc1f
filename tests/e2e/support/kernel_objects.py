# SPDX-License-Identifier: Apache-2.0
"""The BPF objects that exist in the kernel, and what stands in them, as bpftool lists them."""

import json
import subprocess
import time

from . import places

KINDS = ("prog", "link", "map")
FREEING_SECONDS = 5  # the kernel frees some objects only after an RCU grace period
# Linux never frees a program array that bpftool opens and closes while the kernel is about to empty it: its
# prog_array_map_clear() takes a reference for work that is then already queued. So nobody looks right after an agent's end.
UNSEEN_SECONDS = 0.5


def bpf_objects():
    """{(kind, id): name} of all BPF programs, links and maps of the host."""
    found = {}
    for kind in KINDS:
        listed = subprocess.run([places.tool("bpftool"), "-j", kind, "show"], stdin=subprocess.DEVNULL,
                                capture_output=True, text=True, timeout=20)
        # An object may vanish between two steps of bpftool's walk; what it has listed until then is still JSON.
        for entry in json.loads(listed.stdout or "[]"):
            if isinstance(entry, dict) and "id" in entry:
                found[kind, entry["id"]] = entry.get("name", entry.get("type", ""))
    return found


def remaining_after_wait(objects):
    """Which of these objects still exist when the kernel has had time to free them."""
    time.sleep(UNSEEN_SECONDS)
    deadline = time.monotonic() + FREEING_SECONDS
    while True:
        existing = bpf_objects()
        remaining = {key: name for key, name in objects.items() if key in existing}
        if not remaining or time.monotonic() > deadline:
            return remaining
        time.sleep(0.1)


def slots_in_use():
    """How many slots of the only agent's connection table somebody holds."""
    dump = subprocess.run([places.tool("bpftool"), "-j", "map", "dump", "name", "limpet_connecti"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=True)
    return sum(any(int(byte, 16) for byte in entry["value"][:8]) for entry in json.loads(dump.stdout))
