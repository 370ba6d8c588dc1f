#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How limits.kernel_cpu is kept when the load steps from 1,000 requests/s to all that the machine can serve, and back.

    bench/step_load.py                                   http alone and all probes, at 70, 45 and 30 % of what the load costs
    bench/step_load.py --part 0.7 --probes cpu,http --rounds 5

Each run has a fresh agent. It first measures what the load costs where nothing is left out, then sets the limit and looks at the agent's
metrics five times a second. Prints a Markdown row for each run. Root, loopback only, on a machine that does nothing else.
"""

import argparse
import pathlib
import statistics
import subprocess
import tempfile
import time

import loads
from agents import Limpet
from machine import BUILD, LOAD_CPU

FEW = 1_000  # requests/s
LOOK_EVERY = 0.2
NEAR = 1.8  # times the cost: a limit at which costs are measured twice a second and nothing is left out
SETTLED = 2  # seconds after the step by which the limit is to be kept
SETS = {"http": ("http",), "cpu,http": ("cpu", "http"), "all": ("cpu", "dns", "http", "tcp")}
SERVERS = {"nginx": loads.nginx, "go": loads.go_server}


class Watch:
    """What an agent says of itself, looked at again and again."""

    def __init__(self, agent):
        self.agent, self.begin, self.looks = agent, time.monotonic(), []

    def look(self):
        page = self.agent.metrics()
        self.looks.append((time.monotonic() - self.begin, self.agent.total_in(page, "limpet_kernel_seconds_total"),
                           int(self.agent.total_in(page, "limpet_shed_level"))))

    def until(self, is_over, at_most):
        deadline = time.monotonic() + at_most
        while time.monotonic() < deadline and not is_over():
            self.look()
            time.sleep(LOOK_EVERY)

    def share(self, begin, end):
        """Of a core, between two times."""
        inside = [look for look in self.looks if begin <= look[0] <= end]
        return (inside[-1][1] - inside[0][1]) / (inside[-1][0] - inside[0][0])

    def seconds(self, begin, end):
        """The shares of whole seconds."""
        return [self.share(at, at + 1 + LOOK_EVERY) for at in range(int(begin), int(end) - 1)]

    def level_at(self, at):
        return next((look[2] for look in reversed(self.looks) if look[0] <= at), 0)

    def tell(self, limit):
        for before, now in zip(self.looks, self.looks[1:]):
            print(f"{now[0]:6.1f} s  {(now[1] - before[1]) / (now[0] - before[0]) / limit:5.2f} of the limit, level {now[2]}")

    def first(self, is_wanted, after=0.0):
        return next((look[0] for look in self.looks if look[0] >= after and is_wanted(look)), float("nan"))


def few(server, seconds):
    return subprocess.Popen([str(part) for part in loads.constant(server, seconds, rate=FEW)], stdout=subprocess.DEVNULL)


def most(server, requests):
    """As many as it can be asked, or so many a second; each is answered."""
    if server.rate:
        return subprocess.Popen(["taskset", "-c", str(LOAD_CPU), str(BUILD / "bench/constant_load"), "--rate", str(server.rate), "--connections",
                                 str(server.connections), "--seconds", str(requests // server.rate), server.url], stdout=subprocess.DEVNULL)
    return subprocess.Popen(["taskset", "-c", str(LOAD_CPU), "h2load", "--h1", "-n", str(requests), "-c", str(server.connections), server.url],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def requests_for(server, seconds):
    """As many as h2load has answered in so long."""
    if server.rate:
        return server.rate * seconds
    begin = time.monotonic()
    most(server, 50_000).wait()
    return int(50_000 / (time.monotonic() - begin) * seconds)


def full_cost(agent, server, requests):
    """Of a core, where nothing is left out. By old prices at first, then by new ones: those are measured where a limit is near."""
    for _ in range(2):
        load, watch = most(server, requests), Watch(agent)
        watch.until(lambda: load.poll() is not None, 60)
        cost = statistics.median(watch.seconds(1, watch.looks[-1][0] - 1))
        agent.limit_kernel_cpu(NEAR * cost)
        time.sleep(1)
    return cost


def counts(agent, server):
    page = agent.metrics()
    return {"server": agent.total_in(page, "http_server_request_duration_seconds_count", f'service_name="{server.service}"'),
            "client": agent.total_in(page, "http_client_request_duration_seconds_count", f'server_port="{server.port}"')}


def run(directory, server, probes, part, seconds, verbose):
    agent = Limpet(directory, {probe: {} for probe in SETS[probes]}, name=f"step {probes} {part}")
    with agent.running():
        requests = requests_for(server, seconds)
        cost = full_cost(agent, server, requests // 2)
        agent.limit_kernel_cpu(part * cost)
        few(server, 4).wait()
        before, calm = counts(agent, server), few(server, seconds * 2 + 24)
        time.sleep(4)
        watch = Watch(agent)
        load = most(server, requests)
        watch.until(lambda: load.poll() is not None, 4 * seconds)
        end = watch.looks[-1][0]
        error = agent.total("limpet_sampling_error_ratio")
        watch.until(lambda: watch.looks[-1][0] > end + 1 and watch.looks[-1][2] == 0, 20)
        calm.wait()
        time.sleep(2)
        after = counts(agent, server)
        if verbose:
            watch.tell(part * cost)
        asked = requests + FEW * (seconds * 2 + 24)
        limit = part * cost
        used = [share / limit for share in watch.seconds(SETTLED, end)]
        levels = [look[2] for look in watch.looks if SETTLED <= look[0] <= end]
        return {"cost": cost, "first change": watch.first(lambda look: look[2] > 0),
                "below the limit": next((at for at in range(0, int(end * 5)) if watch.share(at / 5, at / 5 + 1) <= limit), -5) / 5,
                "used": used, "levels": levels, "changes": sum(a != b for a, b in zip(levels, levels[1:])),
                "back": watch.first(lambda look: look[2] == 0, end) - end,
                "deviation": {end: (after[end] - before[end]) / asked - 1 for end in after}, "error": error}


def row(server, probes, part, found):
    return (f"| {server} | {probes} | {part:.0%} of {found['cost']:.2%} | {found['first change']:.1f} s | {found['below the limit']:.1f} s | "
            f"{statistics.mean(found['used']):.2f} ({max(found['used']):.2f}) | {min(found['levels'])}–{max(found['levels'])}, {found['changes']} | "
            f"{found['back']:.1f} s | {found['deviation']['server']:+.2%}, {found['deviation']['client']:+.2%} | {3 * found['error']:.1%} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", type=float, action="append", help="limit, as a part of what the load costs; may be given again")
    parser.add_argument("--probes", action="append", choices=SETS, help="may be given again")
    parser.add_argument("--server", choices=SERVERS, default="nginx")
    parser.add_argument("--rate", type=int, help="requests/s to step to, in place of all that h2load can ask")
    parser.add_argument("--connections", type=int, default=400, help="a sample of one in eight wants 320 ends")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=20, help="of the highest load")
    parser.add_argument("--verbose", action="store_true", help="print what was seen, five times a second")
    options = parser.parse_args()
    print("| server | probes | limit | first change after | below the limit after | used of it from then on, mean (highest second) | levels, "
          "changes | all back after | counted at server, client | 3 × expected error |\n|" + "---|" * 10)
    with tempfile.TemporaryDirectory(prefix="limpet-step-") as directory:
        for _ in range(options.rounds):
            for probes in options.probes or ("http", "all"):
                for part in options.part or (0.7, 0.45, 0.3):
                    with SERVERS[options.server](pathlib.Path(directory)) as server:
                        server.service = "nginx" if options.server == "nginx" else loads.SERVER_NAME
                        server.rate, server.connections = options.rate, options.connections
                        print(row(options.server, probes, part, run(directory, server, probes, part, options.seconds, options.verbose)), flush=True)


if __name__ == "__main__":
    main()
