#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The performance lab: what limpet costs the programs that it watches, and itself. Run it with `./dev bench`.

Prints Markdown; keeps that, figures.json and plot.svg in build/bench. Root, loopback only, on a machine that does nothing
else. README.md has the method.
"""

import argparse
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time

import experiments
import plot
import report
from agents import Limpet, Nobody, Peer
from machine import BUILD, SOURCE, description, die

DOCUMENT = SOURCE.parent / "docs" / "performance.md"
HEAD = """\
# Performance

Written by `./dev bench --write`; the method is in `bench/README.md`. Compare ratios: what a nanosecond is differs between machines.
An empty pair is two programs that do nothing on the same hooks in the same run.

![latencies and costs](performance.svg)

"""


def read_arguments():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: within three minutes")
    parser.add_argument("--rounds", type=int, help="alternating rounds (default 7, with --quick 5)")
    parser.add_argument("--seconds", type=int, help="length of each load (default 10, with --quick 2)")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND",
                        help="another agent, as one more alternating round; may be given again")
    parser.add_argument("--write", action="store_true", help="renew docs/performance.md and its plot")
    options = parser.parse_args()
    options.rounds = options.rounds or (5 if options.quick else 7)
    options.seconds = options.seconds or (2 if options.quick else 10)
    options.peers = [Peer(*peer.split("=", 1)) if "=" in peer else parser.error("--peer needs NAME=COMMAND")
                     for peer in options.peer]
    return options


def measured(directory, options):
    rounds, seconds = options.rounds, options.seconds
    limpet = Limpet(directory, {"http": {}})
    agents = [Nobody(), limpet, *options.peers]
    found = {"machine": description(), "rounds": rounds, "seconds": seconds}
    for name, experiment in {
        "latency": lambda: experiments.latency(directory, agents, rounds, seconds),
        "throughput": lambda: experiments.throughput(directory, agents, rounds, seconds),
        "steps": lambda: experiments.step_costs(directory, max(3, rounds // 2), max(1, seconds // 2)),
        "growth": lambda: experiments.growth(directory, limpet, max(3, rounds // 2), max(1, seconds // 2)),
        "everything": lambda: experiments.everything(directory, max(11, 4 * seconds)),
        "idle": lambda: experiments.idle(directory, seconds),
        "scrapes": lambda: experiments.scrapes(directory, rounds),
        "starts": lambda: experiments.starts(directory, rounds),
        "stripped_bytes": lambda: experiments.stripped_bytes(directory),
    }.items():
        begin = time.monotonic()
        found[name] = experiment()
        print(f"{name}: {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
    return found


def keep(figures, options):
    written, drawn = report.markdown(figures), plot.svg(figures)
    directory = BUILD.parent / "bench"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    (directory / "report.md").write_text(written)
    (directory / "plot.svg").write_text(drawn)
    if options.write:
        DOCUMENT.write_text(HEAD + written)
        DOCUMENT.with_suffix(".svg").write_text(drawn)
    print(written)


def main():
    options = read_arguments()
    missing = [tool for tool in ("nginx", "wrk", "go", "strip", "taskset") if not shutil.which(tool)]
    if missing or os.geteuid() != 0:
        die(f"needs root and {', '.join(missing) or 'nothing else'}; run ./dev bench")
    with tempfile.TemporaryDirectory(prefix="limpet-bench-") as directory:
        keep(measured(pathlib.Path(directory), options), options)


if __name__ == "__main__":
    main()
