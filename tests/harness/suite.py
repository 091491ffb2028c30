"""Runs named cases, prints each with its time, and counts them.

A case is a function that raises on failure. Nothing is retried: a case that fails once has failed.
"""

import fnmatch
import os
import sys
import time
import traceback


class Failure(Exception):
    """What a case found wrong, in one line that a person can act on."""


def check(condition, message):
    """Raises `Failure(message)` unless `condition` holds."""
    if not condition:
        raise Failure(message)


def same(found, wanted, what):
    """Raises unless both are equal, and shows both."""
    if found != wanted:
        raise Failure(f"{what}: expected {wanted!r}, found {found!r}")


class Suite:
    """An ordered list of cases with one name."""

    def __init__(self, name):
        self.name = name
        self.cases = []

    def case(self, function):
        """Decorator: adds a case named after the function; its docstring's first line is its title."""
        self.cases.append((function.__name__, function))
        return function

    def add(self, name, function):
        """Adds a case by name."""
        self.cases.append((name, function))

    def run(self, patterns=()):
        """Runs the cases that match any of the patterns (all without patterns); returns the exit code."""
        chosen = [
            (name, function)
            for name, function in self.cases
            if not patterns or any(fnmatch.fnmatch(name, pattern) for pattern in patterns)
        ]
        if not chosen:
            print(f"{self.name}: no case matches {' '.join(patterns)}", file=sys.stderr)
            return 2
        failed = [name for name, function in chosen if not self._run_one(name, function)]
        close(self.name, len(chosen) - len(failed), failed)
        return 1 if failed else 0

    def _run_one(self, name, function):
        title = (function.__doc__ or "").strip().splitlines()
        began = time.monotonic()
        print(f"-- {self.name}/{name}: {title[0] if title else ''}", flush=True)
        try:
            note = function()
            print(f"   ok {time.monotonic() - began:6.1f} s {note or ''}", flush=True)
            return True
        except Failure as failure:
            print(f"   FAILED {time.monotonic() - began:6.1f} s {failure}", flush=True)
        except Exception:  # a case that breaks is a case that failed, and the rest still run
            print(f"   FAILED {time.monotonic() - began:6.1f} s", flush=True)
            traceback.print_exc(limit=8, file=sys.stdout)
        return False


def close(name, passed, failed):
    """Prints the closing line of a suite and adds its counts to the run's."""
    for one in failed:
        print(f"{name}: failed: {one}")
    print(f"{name}: {passed} passed, {len(failed)} failed", flush=True)
    counts = os.environ.get("TRILITH_TEST_COUNTS")
    if counts:
        with open(counts, "a", encoding="utf-8") as file:
            file.write(f"{passed} {len(failed)}\n")
