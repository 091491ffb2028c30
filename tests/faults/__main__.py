"""Runs the cases of all modules: `python3 -m tests.faults [PATTERN ...]`; `list` shows their names."""

import importlib
import sys

from tests.harness.suite import Suite

MODULES = ("start", "kill", "partition", "loss", "disk", "balance", "tables", "bank")


def main():
    """Collects the cases in order and runs them."""
    suite = Suite("faults")
    for name in MODULES:
        for case in importlib.import_module(f"tests.faults.{name}").CASES:
            suite.add(f"{name}.{case.__name__}", case)
    if sys.argv[1:] == ["list"]:
        for name, case in suite.cases:
            print(f"{name:34} {(case.__doc__ or '').strip().splitlines()[0]}")
        return 0
    return suite.run([pattern if "*" in pattern else f"*{pattern}*" for pattern in sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
