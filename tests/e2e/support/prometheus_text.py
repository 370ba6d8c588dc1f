# SPDX-License-Identifier: Apache-2.0
"""A small reader of the Prometheus text format (version 0.0.4): samples, their types and histograms.

Strict where limpet could be wrong: an unreadable line, a sample without a TYPE, or a repeated series is a ValueError.
"""

import dataclasses
import re

_SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?$')
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"\s*(?:,|$)')
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


@dataclasses.dataclass(frozen=True)
class Sample:
    """One line: the name as written (with _count, _sum or _bucket), its labels, its value."""

    name: str
    labels: tuple  # of (name, value), sorted
    value: float

    def label(self, name):
        """The label's value; "" when there is no such label, as in Prometheus."""
        return dict(self.labels).get(name, "")


@dataclasses.dataclass
class Histogram:
    """A histogram, added up over the series asked for. `buckets`: upper bound in base units → cumulative count."""

    count: float = 0
    sum: float = 0
    buckets: dict = dataclasses.field(default_factory=dict)

    def mean(self):
        return self.sum / self.count if self.count else 0.0


class Exposition:
    """One scrape."""

    def __init__(self, text):
        self.types = {}
        self.helps = {}
        self.samples = []
        seen = set()
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ", 3)
                if name in self.types:
                    raise ValueError(f"second TYPE line for {name}")
                self.types[name] = kind
            elif line.startswith("# HELP "):
                parts = line.split(" ", 3)
                self.helps[parts[2]] = parts[3] if len(parts) > 3 else ""
            elif line.strip() and not line.startswith("#"):
                sample = _parse_sample(line)
                if (sample.name, sample.labels) in seen:
                    raise ValueError(f"series appears twice: {line}")
                seen.add((sample.name, sample.labels))
                if self.family(sample.name) not in self.types:
                    raise ValueError(f"sample without a TYPE line: {line}")
                self.samples.append(sample)

    def family(self, sample_name):
        """The metric that a sample belongs to: histograms have three names."""
        for suffix in ("_bucket", "_count", "_sum"):
            base = sample_name.removesuffix(suffix)
            if base != sample_name and self.types.get(base) in ("histogram", "summary"):
                return base
        return sample_name

    def select(self, name, **labels):
        """The samples of that name whose labels have all of these values; a value may be a set of allowed ones."""
        return [sample for sample in self.samples
                if sample.name == name and all(_allowed(sample.label(key), wanted) for key, wanted in labels.items())]

    def total(self, name, **labels):
        return sum(sample.value for sample in self.select(name, **labels))

    def histogram(self, name, **labels):
        result = Histogram(self.total(name + "_count", **labels), self.total(name + "_sum", **labels))
        for sample in self.select(name + "_bucket", **labels):
            bound = float(sample.label("le"))
            result.buckets[bound] = result.buckets.get(bound, 0) + sample.value
        return result

    def label_values(self, name, label, **labels):
        return {sample.label(label) for sample in self.select(name, **labels)}


def _allowed(value, wanted):
    return value in wanted if isinstance(wanted, (set, frozenset)) else value == wanted


def _parse_sample(line):
    match = _SAMPLE.match(line)
    if not match:
        raise ValueError(f"not a sample: {line}")
    name, label_text, value = match.groups()
    labels, position = [], 0
    while label_text and position < len(label_text):
        label = _LABEL.match(label_text, position)
        if not label:
            raise ValueError(f"labels cannot be read: {line}")
        labels.append((label[1], re.sub(r'\\[\\"n]', lambda escape: _ESCAPES[escape[0]], label[2])))
        position = label.end()
    if len({key for key, _ in labels}) != len(labels):
        raise ValueError(f"label appears twice: {line}")
    return Sample(name, tuple(sorted(labels)), float(value))
