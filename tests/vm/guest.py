# SPDX-License-Identifier: Apache-2.0
"""Runs in the guest: the steps of /guest/steps.json one after the other, with a line on the console for each result."""

import json
import os
import pathlib
import subprocess
import time


def run(step):
    print(f"limpet-vm: begin {step['name']}", flush=True)
    begin = time.monotonic()
    try:
        code = subprocess.run(step["command"], stdin=subprocess.DEVNULL, env={**os.environ, **step["environment"]},
                              timeout=step["seconds"]).returncode
        result = "passed" if code == 0 else f"failed with exit code {code}"
    except subprocess.TimeoutExpired:
        result = f"failed: still running after {step['seconds']} s"
    except OSError as error:
        result = f"failed: {error}"
    print(f"limpet-vm: {step['name']}: {result} ({time.monotonic() - begin:.0f} s)", flush=True)


def main():
    for step in json.loads(pathlib.Path("/guest/steps.json").read_text()):
        run(step)


if __name__ == "__main__":
    main()
