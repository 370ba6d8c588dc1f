# SPDX-License-Identifier: Apache-2.0
"""Figures → Markdown. Every figure of several rounds is a mean with its 95 % confidence interval (Student's t)."""

import statistics

from experiments import GROWTH, PERCENTILES

# Student's t, two-sided 95 %, by degrees of freedom
_T = [12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13]


def interval(values):
    """(mean, half the width of its 95 % confidence interval); 0 wide when there is one value."""
    if len(values) < 2:
        return values[0], 0.0
    t = _T[min(len(values) - 2, len(_T) - 1)]
    return statistics.mean(values), t * statistics.stdev(values) / len(values) ** 0.5


def text(values, digits=2, scale=1.0, unit=""):
    mean, half = interval([value * scale for value in values])
    return f"{mean:,.{digits}f}{unit}" + (f" ± {half:,.{digits}f}" if half else "")


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def column(runs, key):
    return [run[key] for run in runs]


def differences(runs, key):
    """Each round's difference to the machine without an agent."""
    return {name: [one[key] - other[key] for one, other in zip(those, runs["none"])] for name, those in runs.items()
            if name != "none"}


def latency_section(runs):
    rows = []
    for share in PERCENTILES:
        key = f"p{share}"
        rows.append([f"latency p{float(share) * 100:g}, ms", *(text(column(those, key), 2, 1e-3) for those in runs.values()),
                     *(text(values, 2, 1e-3) for values in differences(runs, key).values())])
    for key, label in (("server_cpu_us", "CPU of the server, µs a request"), ("client_cpu_us", "CPU of the client, µs a request")):
        rows.append([label, *(text(column(those, key)) for those in runs.values()),
                     *(text(values) for values in differences(runs, key).values())])
    spare = [""] * (len(runs) - 1)
    rows.append(["CPU of the agent, of a core", *(text(column(those, "agent_cpu"), 2, 100, " %") for those in runs.values()), *spare])
    rows.append(["RSS of the agent, MB", *(text(column(those, "resident_bytes"), 1, 1e-6) for those in runs.values()), *spare])
    rows.append(["the generator's own lag, p99, ms", *(text(column(those, "generator_lag_p99_us"), 2, 1e-3) for those in runs.values()),
                 *spare])
    rows.append(["requests without an answer", *(str(sum(column(those, "unanswered"))) for those in runs.values()), *spare])
    rows.append(["requests not counted by limpet", *(f"{sum(column(those, 'lost')):.0f}" if name.startswith("limpet") else ""
                                                     for name, those in runs.items()), *spare])
    names = list(runs)
    return table(["10,000 requests/s, Go, 5 ms", *names, *(f"{name} − none" for name in names[1:])], rows)


def throughput_section(runs):
    rows = [[name, text(values, 0), "" if name == "none" else text([one / other for one, other in zip(values, runs["none"])], 3)]
            for name, values in runs.items()]
    return table(["nginx that does nothing", "requests/s at saturation", "of none's"], rows)


def cost_rows(runs):
    return [[name, text(column(those, "ns"), 0), text(column(those, "pair_ns"), 0), text(column(those, "pairs")),
             text(column(those, "ratio"))] for name, those in runs.items()]


def steps_section(runs):
    return table(["reference load, what is switched on", "kernel ns a request and side", "empty pair, ns", "in pairs",
                  "all kernel time by the pair's"], cost_rows(runs))


def growth_section(runs):
    named = {f"{rate:,}": runs[str(rate)] for rate in GROWTH} | {"saturation": runs["saturation"]}
    return table(["nginx, requests/s", "kernel ns a request and side", "empty pair, ns", "in pairs",
                  "all kernel time by the pair's"], cost_rows(named))


def summary_section(figures):
    whole, quiet, scrapes = figures["everything"], figures["idle"], figures["scrapes"]
    http, off = figures["steps"]["http"], figures["throughput"]
    rows = [
        ["throughput with limpet, of the bare server's", text([a / b for a, b in zip(off["limpet"], off["none"])], 3), "≥ 0.93"],
        ["http: all kernel time by the empty pair's", text(column(http, "ratio")), "≤ 6"],
        ["requests not counted", f"{sum(column(figures['latency']['limpet'], 'lost')) + whole['lost']:.0f}", "0"],
        ["http alone: agent CPU, of a core", text(column(figures["latency"]["limpet"], "agent_cpu"), 2, 100, " %"), "≤ 0.5 %"],
        ["http alone: RSS, MB", text(column(figures["latency"]["limpet"], "resident_bytes"), 1, 1e-6), "≤ 15"],
        [f"{', '.join(whole['probes'])}, scraped every 5 s: agent CPU", f"{whole['agent_cpu']:.2%}", "≤ 1 %"],
        ["… RSS, MB", f"{whole['resident_bytes'] / 1e6:.1f}", "≤ 20"],
        ["… kernel memory, MB", f"{whole['kernel_memory_bytes'] / 1e6:.1f}", "≤ 16"],
        ["… where nothing is asked: agent, in a second", f"{quiet['agent_cpu'] * 1e3:.2f} ms", ""],
        ["… and its programs in the kernel", f"{quiet['kernel_cpu'] * 1e3:.2f} ms", ""],
        [f"a scrape of {scrapes['series']:,} series, {scrapes['bytes'] / 1e6:.1f} MB, ms", text(scrapes["seconds"], 0, 1e3), "≤ 50"],
        ["start to first metric, s", text(figures["starts"]), "< 0.5"],
        ["agent and http probe, stripped, MB", f"{figures['stripped_bytes'] / 1e6:.2f}", "≤ 3"],
    ]
    return table(["", "measured", "aim"], rows)


def warning(machine):
    """A benchmark beside other work measures the other work."""
    if machine["load"] <= 1:
        return ""
    return f"**Not a quiet machine: load {machine['load']} before the first round.** Latencies and throughput mean little then, and caches " \
           "are cold, which empty programs do not feel.\n"


def markdown(figures):
    machine = figures["machine"]
    head = (f"{machine['date']}, {machine['cpu']}, {machine['cpus']} CPUs, Linux {machine['kernel']}, load before {machine['load']}; "
            f"{figures['rounds']} rounds of {figures['seconds']} s; mean ± 95 % confidence.\n\n" + warning(machine))
    return "\n".join([head, summary_section(figures), latency_section(figures["latency"]), throughput_section(figures["throughput"]),
                      steps_section(figures["steps"]), growth_section(figures["growth"])])
