#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the documents against the tree: code said to be "from" a file is in it, and files that are named exist."""

import os
import pathlib
import re
import subprocess
import sys

# With LIMPET_BUILD_DIR set, lists of metrics are held against what the probes declare; with --write they are renewed.
ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("*/README.md")),
             *sorted(ROOT.glob("plugins/*/README.md"))]
EXCERPT = re.compile(r"<!-- from (\S+) -->\n```\w*\n(.*?)\n```", re.S)
METRICS = re.compile(r"(<!-- metrics of (\w+) -->\n```\n)(.*?)(?=```)", re.S)
FILE_NAME = re.compile(r"`((?:core|sdk|bpf|plugins|tests|docs|bench|config|packaging)/[\w./-]+\.[a-z]+)`")


def declared_metrics(probe):
    build = pathlib.Path(os.environ["LIMPET_BUILD_DIR"])
    listed = subprocess.run([build / "limpet", "plugin", "info", build / f"plugins/{probe}.so"], check=True,
                            capture_output=True, text=True).stdout
    return listed.split("\nMetrics\n", 1)[1]


def renewed(text):
    return METRICS.sub(lambda found: found[1] + declared_metrics(found[2]), text)


def mistakes_of(document):
    text = document.read_text()
    for file, excerpt in EXCERPT.findall(text):
        if excerpt not in (ROOT / file).read_text():
            yield f"the excerpt from {file} is not what stands there"
    if "LIMPET_BUILD_DIR" in os.environ and renewed(text) != text:
        yield "its metrics are not what the probes declare; renew them with LIMPET_BUILD_DIR=… tests/docs_test.py --write"
    for file in FILE_NAME.findall(text):
        if not (ROOT / file).exists():
            yield f"there is no {file}"


def main():
    if "--write" in sys.argv:
        for document in DOCUMENTS:
            document.write_text(renewed(document.read_text()))
    mistakes = [f"{document.relative_to(ROOT)}: {mistake}" for document in DOCUMENTS for mistake in mistakes_of(document)]
    print("\n".join(mistakes) or f"{len(DOCUMENTS)} documents agree with the tree")
    return bool(mistakes)


if __name__ == "__main__":
    sys.exit(main())
