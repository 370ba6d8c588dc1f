# SPDX-License-Identifier: Apache-2.0
"""Where things are: the agent under test, its probes, the test probes, and a directory that is safe for probes."""

import os
import pathlib
import shutil

SOURCE_DIR = pathlib.Path(__file__).resolve().parents[3]


def build_dir():
    """The CMake build directory under test: LIMPET_BUILD_DIR, else build/release."""
    return pathlib.Path(os.environ.get("LIMPET_BUILD_DIR", SOURCE_DIR / "build" / "release"))


def agent_binary():
    """The agent under test: LIMPET_BINARY, else the one in the build directory."""
    return pathlib.Path(os.environ.get("LIMPET_BINARY", build_dir() / "limpet"))


def plugin_dir():
    """The probes that belong to the agent under test."""
    return agent_binary().parent / "plugins"


def test_plugin(name):
    """The path of a probe made for tests (tests/sdk): LIMPET_TEST_PLUGIN_DIR/<name>.so."""
    directory = pathlib.Path(os.environ.get("LIMPET_TEST_PLUGIN_DIR", build_dir() / "tests" / "plugins"))
    path = directory / f"{name}.so"
    if not path.exists():
        raise AssertionError(f"the test probe {path} is missing: build tests/sdk first (./dev build)")
    return path


def cache_dir():
    """Compiled helpers and copies of servers, kept between runs; also safe to load probes from, since it lies below the
    build directory and not in a directory that everyone may write to."""
    directory = build_dir() / "e2e-cache"
    directory.mkdir(parents=True, exist_ok=True, mode=0o755)
    return directory


def tool(name):
    """The absolute path of a program. A missing one fails the test: nothing here is skipped."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/go/bin")
    if not found:
        raise AssertionError(f"{name} is not installed; ./dev setup installs what the tests need")
    return found


def private_executable(program, name=None):
    """A copy of a program under the name e2e-<program>, so that its traffic has a service_name of its own."""
    source = pathlib.Path(tool(program) if os.sep not in str(program) else program).resolve()
    copy = cache_dir() / (name or f"e2e-{program}")
    if not copy.exists() or copy.stat().st_mtime < source.stat().st_mtime:
        fresh = copy.with_name(f"{copy.name}.{os.getpid()}")
        shutil.copy(source, fresh)
        os.replace(fresh, copy)
    return copy
