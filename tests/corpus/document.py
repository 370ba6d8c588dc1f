#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes docs/correctness.md from the cases. `--check` says whether it is up to date, else it is written anew.

Every case is a test that exists: one that is named here and was renamed or removed there fails the check.
"""

import importlib
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
DOCUMENT = HERE.parent.parent / "docs" / "correctness.md"
HEAD = HERE / "correctness_head.md"
sys.dont_write_bytecode = True
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]


def corpus_cases():
    """(file, sentence, description) of every test method with @case; a method without one is a mistake."""
    for path in sorted(HERE.glob("test_*.py")):
        module = importlib.import_module(path.stem)
        for owner in (value for value in vars(module).values()
                      if isinstance(value, type) and issubclass(value, unittest.TestCase) and value.__module__ == path.stem):
            for name, method in vars(owner).items():
                if name.startswith("test_"):
                    yield f"tests/corpus/{path.name}", sentence(name), method.corpus_description


def e2e_cases():
    from e2e_cases import E2E_CASES
    for name, description in E2E_CASES.items():
        file, *rest = name.split(".")
        thing = importlib.import_module(f"test_{file}")
        for part in rest:
            thing = getattr(thing, part)
        words = sentence(rest[-1]) if len(rest) == 2 else "all of the file's loads"
        yield f"tests/e2e/test_{file}.py", words, description


def sentence(name):
    return name.removeprefix("test_").replace("_", " ")


def document():
    from traffic import TRAFFIC
    cases = [*corpus_cases(), *e2e_cases()]
    unknown = {description.traffic for _, _, description in cases} - set(TRAFFIC)
    if unknown:
        sys.exit(f"{unknown} is not in tests/corpus/traffic.py")
    parts = [HEAD.read_text().rstrip()]
    for traffic, title in TRAFFIC.items():
        rows = [(file, words, what) for file, words, what in cases if what.traffic == traffic]
        if not rows:
            sys.exit(f"no case has the traffic {traffic!r}")
        parts.append(f"\n## {title}\n\n| Case | Client | Server | Held against | Where |\n|---|---|---|---|---|")
        parts += [f"| {words} | {what.client} | {what.server} | {what.truth} | `{file}` |" for file, words, what in rows]
    return "\n".join(parts) + "\n"


def main():
    made = document()
    if "--check" not in sys.argv:
        DOCUMENT.write_text(made)
    elif not DOCUMENT.exists() or DOCUMENT.read_text() != made:
        sys.exit(f"{DOCUMENT.name} is not what the cases say: run tests/corpus/document.py")
    print(f"{DOCUMENT.name}: {sum(line.endswith('.py` |') for line in made.splitlines())} cases")


if __name__ == "__main__":
    main()
