#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The reference benchmark: what limpet costs, as a Markdown table. Run it with `./dev bench`; README.md has the method.

Root; about two minutes. Server and generator are kept on a CPU each; the machine should do nothing else.
"""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

SOURCE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("LIMPET_BUILD_DIR", SOURCE.parent / "build/release"))
SERVER_CPU, LOAD_CPU = 0, min(1, os.cpu_count() - 1)
ROUNDS = int(os.environ.get("ROUNDS", "5"))
SECONDS = 3                 # of each saturated load
REQUESTS_PER_SECOND = 10000  # of the constant load, over 100 connections

NGINX = """
daemon off; master_process off; pid {directory}/nginx.pid; error_log {directory}/nginx.log;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 100000000;
  client_body_temp_path {directory}; proxy_temp_path {directory}; fastcgi_temp_path {directory};
  uwsgi_temp_path {directory}; scgi_temp_path {directory};
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 "hello from the reference benchmark, 64 bytes of text to be sent.\\n"; }} }} }}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(is_ready, seconds=10):
    deadline = time.monotonic() + seconds
    while not is_ready():
        if time.monotonic() > deadline:
            sys.exit("reference.py: a server did not start")
        time.sleep(0.002)


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def running(*command, cpu=None, environment=None):
    pinned = [] if cpu is None else ["taskset", "-c", str(cpu)]
    process = subprocess.Popen([*pinned, *map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env={**os.environ, **(environment or {})})
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


class Agent:
    def __init__(self, directory):
        self.port = free_port()
        self.config = pathlib.Path(directory) / "limpet.toml"
        self.config.write_text(f'[agent]\nlisten = "127.0.0.1:{self.port}"\ncpus = [{LOAD_CPU}]\n'
                               "[plugins.http]\nenabled = true\n")
        self.pid = None
        self.start_seconds = None

    def page(self, path):
        """An agent whose probe does not run would be cheap: /healthz must say 200."""
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5).read().decode()
        except urllib.error.HTTPError as error:
            sys.exit(f"reference.py: {path}: {error.read().decode()}")

    def metrics(self):
        return self.page("/metrics")

    def total(self, name):
        return sum(float(line.rsplit(" ", 1)[1]) for line in self.metrics().splitlines()
                   if re.match(name + r"[{ ]", line))

    @contextlib.contextmanager
    def running(self):
        begin = time.monotonic()
        with running(BUILD / "limpet", "run", "--config", self.config) as process:
            wait_until(lambda: answers(self.port))
            self.metrics()
            self.start_seconds = time.monotonic() - begin
            self.page("/healthz")
            self.pid = process.pid
            yield self

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self):
        return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{self.pid}/status").read_text())[1]) * 1024


def output_of(*command):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout


def on_load_cpu(*command):
    return ["taskset", "-c", LOAD_CPU, *command]


def saturate(url):
    return on_load_cpu("wrk", "-t1", "-c100", f"-d{SECONDS}s", url)


def constant_load(url, seconds):
    return on_load_cpu("h2load", "--h1", "-t1", "-c100", "-n", REQUESTS_PER_SECOND * seconds,
                       "--rps", REQUESTS_PER_SECOND // 100, url)


def requests_per_second(output):
    return float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])


def kernel_cost(agent, load, requests=0):
    """The named figures that kernel_cost prints."""
    output = output_of(BUILD / "bench/kernel_cost", "--agent", agent.pid, "--requests", requests, "--", *load)
    return {name: float(value) for name, value in re.findall(r"^(\w+_(?:ratio|ns|side)) ([\d.]+)$", output, re.M)}


def throughput_ratio(agent, url):
    """Median over rounds of with / without the agent, each pair measured back to back, the order changing."""
    def without_agent():
        return requests_per_second(output_of(*saturate(url)))

    def with_agent():
        with agent.running():
            return requests_per_second(output_of(*saturate(url)))

    ratios = []
    for number in range(ROUNDS):
        if number % 2:
            observed, bare = with_agent(), without_agent()
        else:
            bare, observed = without_agent(), with_agent()
        ratios.append(observed / bare)
    return ratios


def agent_cpu_share(agent, url, seconds=20):
    """CPU seconds per second under the constant load, scraped every 5 s."""
    load = subprocess.Popen([str(part) for part in constant_load(url, seconds)], stdout=subprocess.DEVNULL)
    before, begin = agent.cpu_seconds(), time.monotonic()
    while load.poll() is None:
        agent.metrics()
        with contextlib.suppress(subprocess.TimeoutExpired):
            load.wait(5)
    return (agent.cpu_seconds() - before) / (time.monotonic() - begin)


def stripped_bytes(directory):
    total = 0
    for file in (BUILD / "limpet", BUILD / "plugins/http.so"):
        subprocess.run(["strip", "-o", f"{directory}/stripped", file], check=True)
        total += os.stat(f"{directory}/stripped").st_size
    return total


def spread(values, pattern="{:.2f}"):
    median, low, high = (pattern.format(value) for value in (statistics.median(values), min(values), max(values)))
    return f"{median} ({low}…{high})"


def measure(directory):
    agent = Agent(directory)
    rows = []
    nginx_port, go_port = free_port(), free_port()
    nginx_config = pathlib.Path(directory) / "nginx.conf"
    nginx_config.write_text(NGINX.format(directory=directory, port=nginx_port))
    subprocess.run(["go", "build", "-o", f"{directory}/server", "."], cwd=SOURCE / "server", check=True)

    url = f"http://127.0.0.1:{nginx_port}/"
    with running("nginx", "-c", nginx_config, "-p", directory, cpu=SERVER_CPU):
        wait_until(lambda: answers(nginx_port))
        rows.append(("nginx at saturation: throughput with / without", spread(throughput_ratio(agent, url)), "≥ 0.93"))
        with agent.running():
            costs = [kernel_cost(agent, saturate(url)) for _ in range(ROUNDS)]
        rows.append(("nginx at saturation: kernel time / empty pair's",
                     spread([cost["agent_to_empty_ratio"] for cost in costs]), ""))

    url = f"http://127.0.0.1:{go_port}/"
    with running(f"{directory}/server", f"127.0.0.1:{go_port}", cpu=SERVER_CPU, environment={"GOMAXPROCS": "1"}):
        wait_until(lambda: answers(go_port))
        with agent.running():
            costs = [kernel_cost(agent, constant_load(url, 4), REQUESTS_PER_SECOND * 4) for _ in range(ROUNDS)]
            cpu = agent_cpu_share(agent, url)
            rows += [
                ("Go, 10,000 req/s: kernel ns per request and side",
                 spread([cost["agent_ns_per_request_and_side"] for cost in costs], "{:.0f}"), ""),
                ("… of an empty pair", spread([cost["empty_pair_ns"] for cost in costs], "{:.0f}"), ""),
                ("… ratio to one run of the pair", spread([cost["request_and_side_to_pair_ratio"] for cost in costs]), ""),
                ("… kernel time / empty pair's", spread([cost["agent_to_empty_ratio"] for cost in costs]), "≤ 6"),
                ("… agent CPU, of a core", f"{cpu:.2%}", "≤ 0.5 %"),
                ("… RSS, MB", f"{agent.resident_bytes() / 1e6:.1f}", "≤ 15"),
                ("… kernel memory, MB", f"{agent.total('limpet_kernel_memory_bytes') / 1e6:.1f}", "≤ 16"),
            ]
    starts = []
    for _ in range(ROUNDS):
        with agent.running():
            starts.append(agent.start_seconds)
    rows.append(("start to first metric, s", spread(starts), "< 0.5"))
    rows.append(("agent and http probe, stripped, MB", f"{stripped_bytes(directory) / 1e6:.2f}", "≤ 3"))
    return rows


def main():
    missing = [tool for tool in ("nginx", "wrk", "h2load", "go", "strip", "taskset") if not shutil.which(tool)]
    if missing or os.geteuid() != 0:
        sys.exit(f"reference.py: needs root and {', '.join(missing) or 'nothing else'}; run ./dev bench")
    with tempfile.TemporaryDirectory() as directory:
        rows = measure(directory)
    print(f"Linux {os.uname().release}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}; medians of {ROUNDS} rounds "
          "(least…most)\n\n| | measured | aim |\n|---|---|---|")
    for row in rows:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
