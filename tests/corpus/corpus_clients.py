# SPDX-License-Identifier: Apache-2.0
"""The corpus's own clients, for what those of the end-to-end tests do not do."""

import pathlib
import subprocess

from support import places
from support.clients import LoadResult

CLIENTS_DIR = pathlib.Path(__file__).resolve().parent / "clients"
ENDINGS = ("old", "close", "leave", "reset")  # see clients/churn_client.c


def churn_client(port, connections, at_once, ending):
    """clients/churn_client.c: a request to each connection, as many connections a second as the host can."""
    source = CLIENTS_DIR / "churn_client.c"
    program = places.cache_dir() / "e2e-corpus-churn"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        subprocess.run([places.tool("cc"), "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, source], check=True, timeout=60)
    output = subprocess.run([program, str(port), str(connections), str(at_once), ending], capture_output=True, text=True,
                            timeout=60, check=True).stdout
    counts = dict(line.split() for line in output.splitlines())
    failed = int(counts.pop("error", 0))
    return LoadResult(sum(map(int, counts.values())), failed, output)
