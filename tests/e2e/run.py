#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the end-to-end tests, all or some, as root.

    tests/e2e/run.py                          everything
    tests/e2e/run.py nginx durations          test_nginx.py and test_durations.py
    tests/e2e/run.py aborts.ServerAbortsTest  one class; a method can follow
    tests/e2e/run.py -k sigkill               the tests whose name contains a word
    tests/e2e/run.py --build-helpers          only compiles the Go server and client, which the tests do otherwise

The agent under test is build/release/limpet; LIMPET_BUILD_DIR or LIMPET_BINARY name another one.
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
    names = [name if name.startswith("test_") else f"test_{name}" for name in names]
    return loader.loadTestsFromNames(names)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="file[.class[.method]], test_ may be left out")
    parser.add_argument("-k", action="append", dest="words", default=[], help="only tests whose name contains this")
    parser.add_argument("-f", "--failfast", action="store_true", help="stop at the first failure")
    parser.add_argument("--build-helpers", action="store_true", help="only compile the Go server and client")
    options = parser.parse_args()
    sys.path.insert(0, str(HERE))
    sys.dont_write_bytecode = True
    if options.build_helpers:
        from support import go_build
        go_build.build_all()
        return
    runner = unittest.TextTestRunner(verbosity=2, failfast=options.failfast)
    suite = load(options.names, options.words)
    if not suite.countTestCases():
        sys.exit("no test has such a name")
    sys.exit(not runner.run(suite).wasSuccessful())


if __name__ == "__main__":
    main()
