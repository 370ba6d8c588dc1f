# SPDX-License-Identifier: Apache-2.0
"""Builds the Go helpers, once per change of their source, without touching the network or the user's Go cache."""

import os
import pathlib
import subprocess

from . import places

E2E_DIR = pathlib.Path(__file__).resolve().parents[1]
SOURCES = {"e2e-go-server": E2E_DIR / "servers" / "go", "e2e-go-client": E2E_DIR / "clients" / "go",
           "e2e-go-resolver": E2E_DIR / "clients" / "go-resolver"}


def build_all():
    """All programs; a minute on a slow machine whose Go cache is empty."""
    for name in SOURCES:
        go_program(name)


def go_program(name):
    """The path of one of the programs in SOURCES, compiled if need be."""
    source_dir = SOURCES[name]
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
