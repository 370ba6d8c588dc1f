# SPDX-License-Identifier: Apache-2.0
"""Builds the Go helpers, once per change of their source, without touching the network or the user's Go cache."""

import os
import pathlib
import subprocess

from . import places


def go_program(source_dir, name):
    """The path of the compiled program `name` made from `source_dir`/main.go."""
    source_dir = pathlib.Path(source_dir)
    program = places.cache_dir() / name
    newest = max(path.stat().st_mtime for path in source_dir.iterdir())
    if program.exists() and program.stat().st_mtime >= newest:
        return program
    environment = {**os.environ, "GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0",
                   "GOCACHE": str(places.cache_dir() / "go-cache"), "GOPATH": str(places.cache_dir() / "go-path")}
    fresh = program.with_name(f"{name}.{os.getpid()}")
    built = subprocess.run([places.tool("go"), "build", "-o", str(fresh), "."], cwd=source_dir, env=environment,
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    if built.returncode:
        raise AssertionError(f"go build in {source_dir} failed:\n{built.stderr}")
    os.replace(fresh, program)
    return program
