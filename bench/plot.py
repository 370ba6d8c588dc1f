# SPDX-License-Identifier: Apache-2.0
"""Figures → one SVG: latencies with and without, and what each step costs. By hand: two charts need no library."""

import html
import math

from experiments import PERCENTILES
from report import column, interval

WIDTH, LEFT, TOP, ROW = 760, 190, 40, 22
COLOURS = ("#888888", "#1f77b4", "#d62728", "#2ca02c", "#9467bd")


def label(x, y, content, anchor="start", size=12):
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">{html.escape(content)}</text>'


def line(x1, y1, x2, y2, colour="#cccccc", width=1.0):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'


def latency_chart(runs, top):
    """Points with intervals, one row a percentile, one colour an agent; milliseconds, logarithmic."""
    everything = [value for those in runs.values() for share in PERCENTILES for value in column(those, f"p{share}")]
    low, high = math.log10(min(everything) / 1.2), math.log10(max(everything) * 1.2)

    def x(us):
        return LEFT + (math.log10(max(us, 10 ** low)) - low) / (high - low) * (WIDTH - LEFT - 20)

    parts = [label(LEFT, top, "Latency at 10,000 requests/s, ms", size=14)]
    step = ROW * (len(runs) + 1) / 2
    for exponent in range(math.ceil(low), math.floor(high) + 1):
        parts += [line(x(10 ** exponent), top + 10, x(10 ** exponent), top + 10 + step * len(PERCENTILES)),
                  label(x(10 ** exponent), top + 24 + step * len(PERCENTILES), f"{10 ** exponent / 1e3:g}", "middle")]
    for row, share in enumerate(PERCENTILES):
        y = top + 10 + step * (row + 0.5)
        parts.append(label(LEFT - 10, y + 4, f"p{float(share) * 100:g}", "end"))
        for number, those in enumerate(runs.values()):
            mean, half = interval(column(those, f"p{share}"))
            at, colour = y + (number - (len(runs) - 1) / 2) * 9, COLOURS[number % len(COLOURS)]
            parts += [line(x(mean - half), at, x(mean + half), at, colour, 2),
                      f'<circle cx="{x(mean):.1f}" cy="{at:.1f}" r="4" fill="{colour}"/>']
    for number, name in enumerate(runs):
        parts.append(f'<g fill="{COLOURS[number % len(COLOURS)]}">{label(20 + 110 * number, top - 18, "● " + name)}</g>')
    return parts, top + 60 + step * len(PERCENTILES)


def cost_chart(runs, top, title):
    """Bars: kernel time a request and side, in runs of the empty pair."""
    means = {name: interval(column(those, "pairs")) for name, those in runs.items()}
    scale = (WIDTH - LEFT - 80) / max(mean + half for mean, half in means.values())
    parts = [label(LEFT, top, title, size=14)]
    for row, (name, (mean, half)) in enumerate(means.items()):
        y = top + 14 + row * ROW
        parts += [label(LEFT - 10, y + 12, name, "end"),
                  f'<rect x="{LEFT}" y="{y}" width="{mean * scale:.1f}" height="{ROW - 6}" fill="{COLOURS[1]}"/>',
                  line(LEFT + (mean - half) * scale, y + 8, LEFT + (mean + half) * scale, y + 8, "#000000", 1.5),
                  label(LEFT + (mean + half) * scale + 6, y + 12, f"{mean:.1f}")]
    return parts, top + 50 + len(means) * ROW


def svg(figures):
    latencies, bottom = latency_chart(figures["latency"], TOP + 10)
    steps, bottom = cost_chart(figures["steps"], bottom, "Kernel time a request and side, in empty pairs")
    growth, bottom = cost_chart(figures["growth"], bottom, "The same as the load grows, requests/s of nginx")
    body = "\n".join(latencies + steps + growth)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{bottom:.0f}" font-family="sans-serif">\n'
            f'<rect width="100%" height="100%" fill="#ffffff"/>\n{body}\n</svg>\n')
