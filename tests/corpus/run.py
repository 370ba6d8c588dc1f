#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the HTTP corpus, all or some, as root, and prints per case what the record says and what limpet says.

    tests/corpus/run.py                       all of it, in about four minutes
    tests/corpus/run.py proxy durations       test_proxy.py and test_durations.py
    tests/corpus/run.py -k splice             the cases whose name contains a word

The agent under test is build/release/limpet; LIMPET_BUILD_DIR or LIMPET_BINARY name another one. The table of all cases is
docs/correctness.md, made by tests/corpus/document.py.
"""

import argparse
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent


def load(names, words):
    loader = unittest.TestLoader()
    if words:
        loader.testNamePatterns = [f"*{word}*" for word in words]
    names = names or [path.stem for path in sorted(HERE.glob("test_*.py"))]
    return loader.loadTestsFromNames([name if name.startswith("test_") else f"test_{name}" for name in names])


def text_of(counts):
    return ", ".join(f"{' '.join(filter(None, key))} {count}" for key, count in sorted(counts.items())) or "nothing"


def print_seen(seen):
    """One line per comparison; both ends of limpet in one word where they agree."""
    for test, comparisons in seen.items():
        print(f"\n{'.'.join(test.split('.')[-3:])}")
        for number, one in enumerate(comparisons):
            if number == 6:
                print(f"    … and {len(comparisons) - number} more")
                break
            print(f"    record  {text_of(one.truth)}")
            if one.server == one.client == one.truth:
                print("    limpet  the same, at both ends")
            else:
                print(f"    limpet  server: {text_of(one.server)}; client: {text_of(one.client)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="file[.class[.method]], test_ may be left out")
    parser.add_argument("-k", action="append", dest="words", default=[], help="only cases whose name contains this")
    parser.add_argument("-f", "--failfast", action="store_true", help="stop at the first failure")
    options = parser.parse_args()
    sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]
    sys.dont_write_bytecode = True
    suite = load(options.names, options.words)
    if not suite.countTestCases():
        sys.exit("no case has such a name")
    result = unittest.TextTestRunner(verbosity=2, failfast=options.failfast).run(suite)
    from corpus_case import seen
    sys.stderr.flush()
    print_seen(seen)
    sys.exit(not result.wasSuccessful())


if __name__ == "__main__":
    main()
