"""Runs the golden scripts over HTTP and gRPC: `python3 -m tests.scripts [--endpoint URL] [--lenient] [PATTERN ...]`.

In process they run by `cargo test -p trilith-tests --test golden`.
"""

import argparse
import pathlib
import sys
import time

from tests.harness import suite, wire
from tests.harness.process import Dev, Folder
from tests.scripts import model, over_grpc, raw, shell
from tests.scripts.script import differs, expand, parse

HERE = pathlib.Path(__file__).parent
TYPED_SHARE_MIN = 0.6
"""Least share of the scripts' requests that go over gRPC: a translation that gives up must not look like success."""


class Runner:
    """Runs scripts against one endpoint and remembers what they made, to take it away again."""

    title = "HTTP"
    loose = False

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
        took = time.monotonic() - began
        print(f"-- {self.title} {path.stem}: {len(cases)} cases, {bad} failed, {took:.1f} s", flush=True)

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
        if not step.eventually:
            return self.request(step)
        deadline = time.monotonic() + 10
        while wrong := self.request(step):
            if time.monotonic() > deadline:
                return wrong
            time.sleep(0.02)
        return None

    def request(self, step):
        """Sends a request; None, or what is wrong with the answer."""
        answer = self.send(step.operation, expand(step.body, self.last), step.expected)
        if answer is None:
            return None
        if step.operation == "CreateTable" and answer.ok:
            self.tables.add(answer.json["TableDescription"]["TableName"])
        try:
            self.last = answer.json
        except ValueError:
            self.last = {}
        return differs(answer, step.expected, self.loose)

    def send(self, operation, body, _):
        """Sends a request whose body is text."""
        target = operation if "." in operation else wire.PREFIX + operation
        answer = self.wire.send(None if operation == "-" else target, body.encode())
        if not self.lenient:
            if "x-amzn-requestid" not in answer.headers:
                raise AssertionError("the answer has no x-amzn-RequestId")
            if not answer.crc_matches():
                raise AssertionError(f"x-amz-crc32 {answer.headers.get('x-amz-crc32')} is not that of the body")
        return answer

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


class GrpcRunner(Runner):
    """The same over gRPC. A request that no message can say goes over HTTP where it changes what later ones see, and
    is left out where it is refused."""

    title = "gRPC"
    loose = True

    def __init__(self, http, address):
        super().__init__(http, lenient=False)
        self.door = over_grpc.Door(address)
        self.typed = self.untyped = 0

    def send(self, operation, body, expected):
        """Sends a request whose body is text; None where it is left out."""
        answer = self.door.send(operation, body)
        if answer is not None:
            self.typed += 1
            return answer
        self.untyped += 1
        return super().send(operation, body, expected) if expected.startswith("200") else None


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
    code = of_all(Runner(address, chosen.lenient), "scripts", chosen.patterns)
    if server is not None:
        typed = GrpcRunner(address, server.grpc)
        code = of_all(typed, "scripts over gRPC", chosen.patterns) or code
        share = typed.typed / max(1, typed.typed + typed.untyped)
        print(f"gRPC: {typed.typed} requests were messages, {typed.untyped} have none ({share:.0%} typed)")
        if not chosen.patterns and share < TYPED_SHARE_MIN:
            print(f"gRPC: failed: fewer than {TYPED_SHARE_MIN:.0%} of the requests could be said as messages")
            code = 1
        for one in (model, raw, shell):
            code = one.suite_for(server).run(chosen.patterns) % 2 or code
    return code


def of_all(runner, name, patterns):
    """Runs all files."""
    for path in sorted(HERE.glob("*.script")):
        runner.file(path, patterns)
    suite.close(name, runner.passed, [one.partition(":")[0] for one in runner.failed])
    return 1 if runner.failed else 0


if __name__ == "__main__":
    sys.exit(main())
