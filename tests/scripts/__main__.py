"""Runs the golden scripts over HTTP: `python3 -m tests.scripts [--endpoint URL] [--lenient] [PATTERN ...]`."""

import argparse
import pathlib
import sys
import time

from tests.harness import suite, wire
from tests.harness.process import Dev, Folder
from tests.scripts import raw
from tests.scripts.script import differs, expand, parse

HERE = pathlib.Path(__file__).parent


class Runner:
    """Runs scripts against one endpoint and remembers what they made, to take it away again."""

    def __init__(self, address, lenient):
        self.wire = wire.Wire(address, timeout=30)
        self.lenient = lenient
        self.tables = set()
        self.last = {}
        self.passed = 0
        self.failed = []

    def file(self, path, patterns):
        """Runs a file; cases after a failed one still run, as most of them stand alone."""
        began = time.monotonic()
        before = len(self.failed)
        cases = parse(path)
        for case in cases:
            if case.title != "setup" and patterns and not any(one in f"{path.stem}/{case.title}" for one in patterns):
                continue
            wrong = self.case(case)
            if wrong:
                self.failed.append(f"{path.stem}/{case.title}: {wrong}")
                print(f"   FAILED {path.stem}/{case.title}\n          {wrong}")
            elif case.title != "setup":
                self.passed += 1
        self.clean()
        bad = len(self.failed) - before
        print(f"-- {path.stem}: {len(cases)} cases, {bad} failed, {time.monotonic() - began:.1f} s", flush=True)

    def case(self, case):
        """None, or what was wrong and where."""
        for step in case.steps:
            try:
                wrong = self.step(step)
            except wire.BROKEN as error:
                wrong = f"the connection broke: {error!r}"
            except (KeyError, IndexError, ValueError, AssertionError) as error:
                wrong = f"{type(error).__name__}: {error}"
            if wrong:
                return f"{step.at}: {step.operation} {wrong}"
        return None

    def step(self, step):
        """Does one step; None, or what was wrong."""
        if step.kind == "table":
            return self.make_table(*step.words)
        if step.kind == "wait":
            return self.wait(step.words[0])
        body = expand(step.body, self.last)
        target = step.operation if "." in step.operation else wire.PREFIX + step.operation
        answer = self.wire.send(None if step.operation == "-" else target, body.encode())
        if step.operation == "CreateTable" and answer.ok:
            self.tables.add(answer.json["TableDescription"]["TableName"])
        try:
            self.last = answer.json
        except ValueError:
            self.last = {}
        if not self.lenient:
            if "x-amzn-requestid" not in answer.headers:
                return "the answer has no x-amzn-RequestId"
            if not answer.crc_matches():
                return f"x-amz-crc32 {answer.headers.get('x-amz-crc32')} is not that of the body"
        return differs(answer, step.expected)

    def make_table(self, name, *keys):
        """Replaces a table; `keys` are NAME:TYPE, partition key first."""
        if self.wire.call("DeleteTable", {"TableName": name}).ok:
            self.wait_gone(name)
        kinds = ("HASH", "RANGE")
        pairs = [key.split(":") for key in keys]
        self.wire.must(
            "CreateTable",
            {
                "TableName": name,
                "BillingMode": "PAY_PER_REQUEST",
                "KeySchema": [{"AttributeName": n, "KeyType": kinds[i]} for i, (n, _) in enumerate(pairs)],
                "AttributeDefinitions": [{"AttributeName": n, "AttributeType": t} for n, t in pairs],
            },
        )
        self.tables.add(name)
        return self.wait(name)

    def wait(self, name):
        """Until the table is ACTIVE."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            answer = self.wire.call("DescribeTable", {"TableName": name})
            if answer.ok and answer.json["Table"]["TableStatus"] == "ACTIVE":
                return None
            time.sleep(0.02)
        return f"table {name} is not ACTIVE after 10 s"

    def wait_gone(self, name):
        """Until the table is gone."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if self.wire.call("DescribeTable", {"TableName": name}).error == "ResourceNotFoundException":
                return
            time.sleep(0.02)

    def clean(self):
        """Deletes what this file made."""
        for name in self.tables:
            try:
                self.wire.call("UpdateTable", {"TableName": name, "DeletionProtectionEnabled": False})
                if self.wire.call("DeleteTable", {"TableName": name}).ok:
                    self.wait_gone(name)
            except wire.BROKEN:
                pass  # the case that broke the connection has been reported
        self.tables.clear()


def main():
    """Parses the arguments, starts a server where none is named, and runs."""
    arguments = argparse.ArgumentParser(prog="python3 -m tests.scripts")
    arguments.add_argument("--endpoint", help="URL of a running endpoint (default: a fresh trilith dev)")
    arguments.add_argument("--lenient", action="store_true", help="leave out what only Trilith promises")
    arguments.add_argument("patterns", nargs="*", help="parts of FILE/CASE titles")
    chosen = arguments.parse_args()
    if chosen.endpoint:
        return run(chosen.endpoint.partition("://")[2].rstrip("/"), None, chosen)
    with Folder() as folder, Dev(folder) as server:
        return run(server.http, server, chosen)


def run(address, server, chosen):
    """Runs all files; then, against a server of our own, the requests that no script can say."""
    runner = Runner(address, chosen.lenient)
    for path in sorted(HERE.glob("*.script")):
        runner.file(path, chosen.patterns)
    suite.close("scripts", runner.passed, [one.partition(":")[0] for one in runner.failed])
    code = 1 if runner.failed else 0
    if server is not None:
        code = raw.suite_for(server).run(chosen.patterns) % 2 or code
    return code


if __name__ == "__main__":
    sys.exit(main())
