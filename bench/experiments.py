# SPDX-License-Identifier: Apache-2.0
"""The experiments of the lab. Each returns plain figures, one per round; report.py makes sense of them.

Whatever is compared is measured in alternation, within one round right after another, in an order that changes, with a
fresh agent each time.
"""

import subprocess
import time

import loads
import series
from agents import Limpet, Nobody, Usage
from machine import BUILD, LOAD_CPU, cpu_ns, output_of

SCRAPE_EVERY_SECONDS = 5
PERCENTILES = ("0.5", "0.9", "0.99", "0.999")
IDLE_PROBES = (0, 1, 2, 4, 8)
GROWTH = (1_000, 5_000, 20_000)  # requests/s; saturation comes last


def alternating(subjects, rounds):
    """(round, subject) pairs; every round begins with another subject."""
    for number in range(rounds):
        shift = number % len(subjects)
        for subject in subjects[shift:] + subjects[:shift]:
            yield number, subject


def lost_requests(agent, server, answered, before):
    """Requests that limpet has counted too few, or too many, at either end."""
    if not isinstance(agent, Limpet):
        return 0
    seen = counted(agent, server)
    return max(abs(answered - (seen[end] - before[end])) for end in seen)


def counted(agent, server):
    if not isinstance(agent, Limpet):
        return {}
    return {"server": agent.total("http_server_request_duration_seconds_count", f'service_name="{loads.SERVER_NAME}"'),
            "client": agent.total("http_client_request_duration_seconds_count", f'server_port="{server.port}"')}


def reference_run(agent, server, seconds):
    """One reference load beside a running agent."""
    usage, server_cpu, before = Usage(agent), cpu_ns(server.pid), counted(agent, server)
    output, load_cpu = output_of(*loads.constant(server, seconds))
    report = loads.constant_report(output)
    requests = report["answered"]
    share = usage.cpu_share()
    return {**{f"p{share}": report["latency_us"][share] for share in PERCENTILES},
            "server_cpu_us": (cpu_ns(server.pid) - server_cpu) / requests / 1e3, "client_cpu_us": load_cpu / requests / 1e3,
            "agent_cpu": share, "resident_bytes": usage.resident_bytes(), "unanswered": report["unanswered"],
            "lost": lost_requests(agent, server, requests, before), "generator_lag_p99_us": report["generator_lag_us"]["0.99"]}


def latency(directory, agents, rounds, seconds):
    """name → list of reference_run(), one a round."""
    runs = {agent.name: [] for agent in agents}
    with loads.go_server(directory) as server:
        output_of(*loads.constant(server, 1))  # everything warm
        for _, agent in alternating(agents, rounds):
            with agent.running():
                runs[agent.name].append(reference_run(agent, server, seconds))
    return runs


def throughput(directory, agents, rounds, seconds):
    """name → requests/s of a server that does nothing, one a round."""
    runs = {agent.name: [] for agent in agents}
    with loads.nginx(directory) as server:
        for _, agent in alternating(agents, rounds):
            with agent.running():
                output, _ = output_of(*loads.saturating(server, seconds))
            runs[agent.name].append(loads.requests_per_second(output))
    return runs


def probe_keys(probe):
    """Config keys that a probe has."""
    listed = subprocess.run([BUILD / "limpet", "plugin", "info", BUILD / f"plugins/{probe}.so"], check=True,
                            capture_output=True, text=True).stdout
    return {line.split(" = ")[0].strip() for line in listed.splitlines() if line.startswith("  ") and " = " in line}


def steps():
    """What limpet can be told to do, from nothing to all: name → [plugins.…] tables."""
    idle = {f"idle_{number}": {"path": f'"{BUILD}/bench/plugins/idle_{number}.so"'} for number in range(1, 9)}
    found = {"tap, no probe's traffic": {"idle_1": idle["idle_1"]}, "http": {"http": {}}}
    keys = probe_keys("http")
    if "routes" in keys:
        found["http, routes off"] = {"http": {"routes": '"off"'}}
        found["http, one template"] = {"http": {"routes": '["/"]'}}
    if "body_sizes" in keys:
        found["http, body sizes"] = {"http": {"body_sizes": "true"}}
        found["http, no time to first byte"] = {"http": {"time_to_first_byte": "false"}}
    for count in IDLE_PROBES[1:]:
        found[f"http, {count} idle probes"] = {"http": {}, **dict(list(idle.items())[:count])}
    found["all probes"] = all_probes()
    return found


def all_probes():
    return {path.stem: {} for path in sorted((BUILD / "plugins").glob("*.so"))}


def step_costs(directory, rounds, seconds):
    """name → kernel figures of the reference load, one a round."""
    agents = [Limpet(directory, plugins, name) for name, plugins in steps().items()]
    runs = {agent.name: [] for agent in agents}
    with loads.go_server(directory) as server:
        for _, agent in alternating(agents, rounds):
            with agent.running():
                runs[agent.name].append(cost_of(agent, loads.constant(server, seconds)))
    return runs


def cost_of(agent, load):
    figures, output = loads.kernel_cost(agent, load)
    per_side = figures["agent_total_ns"] / loads.answered(output) / 2  # both ends of each connection are on this host
    return {"ns": per_side, "pair_ns": figures["empty_pair_ns"], "pairs": per_side / figures["empty_pair_ns"],
            "ratio": figures["agent_to_empty_ratio"]}


def growth(directory, limpet, rounds, seconds):
    """Requests/s of nginx (the last one: as many as there can be) → kernel figures, one a round."""
    runs = {str(rate): [] for rate in GROWTH} | {"saturation": []}
    with loads.nginx(directory) as server, limpet.running():
        for _ in range(rounds):
            for rate in GROWTH:
                runs[str(rate)].append(cost_of(limpet, loads.constant(server, seconds, rate)))
            runs["saturation"].append(cost_of(limpet, loads.saturating(server, seconds)))
    return runs


def idle(directory, seconds):
    """What all probes cost where nothing is asked: shares of a core in user space and in the kernel."""
    limpet = Limpet(directory, all_probes(), "idle")
    with limpet.running():
        time.sleep(2)  # the first cost window
        usage, begin = Usage(limpet), time.monotonic()
        figures, _ = loads.kernel_cost(limpet, ["sleep", str(seconds)])
        return {"agent_cpu": usage.cpu_share(), "kernel_cpu": figures["agent_total_ns"] / 1e9 / (time.monotonic() - begin)}


def everything(directory, seconds):
    """All probes under the reference load, scraped every 5 s."""
    limpet = Limpet(directory, all_probes(), "all probes")
    with loads.go_server(directory) as server, limpet.running():
        usage, before = Usage(limpet), counted(limpet, server)
        command = [str(part) for part in loads.constant(server, seconds)]
        load = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        while load.poll() is None:
            limpet.metrics()
            try:
                load.wait(SCRAPE_EVERY_SECONDS)
            except subprocess.TimeoutExpired:
                pass
        share = usage.cpu_share()
        answered = loads.constant_report(load.stdout.read())["answered"]
        return {"probes": sorted(all_probes()), "agent_cpu": share, "resident_bytes": usage.resident_bytes(),
                "kernel_memory_bytes": limpet.total("limpet_kernel_memory_bytes"),
                "lost": lost_requests(limpet, server, answered, before)}


def scrapes(directory, rounds):
    """Seconds of whole scrapes, over loopback, of as many series as the http probe's tables hold by default."""
    limpet = Limpet(directory, {"http": {}}, "scrapes")
    with limpet.running():
        series.fill()
        text, found = limpet.metrics(), []
        for _ in range(3 * rounds):
            begin = time.monotonic()
            limpet.metrics()
            found.append(time.monotonic() - begin)
        return {"series": sum(1 for line in text.splitlines() if not line.startswith("#")), "bytes": len(text), "seconds": found}


def starts(directory, rounds):
    """Seconds from fork to the end of the first scrape."""
    limpet = Limpet(directory, {"http": {}})
    found = []
    for _ in range(rounds):
        with limpet.running():
            found.append(limpet.start_seconds)
    return found


def stripped_bytes(directory):
    total = 0
    for file in (BUILD / "limpet", BUILD / "plugins/http.so"):
        subprocess.run(["strip", "-o", f"{directory}/stripped", file], check=True)
        total += (directory / "stripped").stat().st_size
    return total
