"""Generated requests to Trilith and to other implementations: `python3 -m tests.differential [--seed N] [--requests N]`.

Every request goes to all. An oracle alone is often wrong, each in its own way: DynamoDB Local has the service's code of
2020 and none of its constraints, dynalite the service's texts of some years ago, dynoxide gaps of its own. So a finding is
where two of them agree against Trilith (or the only one there is does) and `explained.txt` has no ruling; `--alone` counts
what a single oracle says as well. After answers that leave the stores apart, the oracle's tables are made like Trilith's
again. A finding is printed once, with its count and its shortest request.
"""

import argparse
import collections
import json
import pathlib
import random
import sys
import time

from tests.differential import oracles
from tests.differential.compare import Explained, outcome, same, skeleton
from tests.differential.further import INDEXED, Further, indexed_table, is_eventual, writes
from tests.differential.generate import TABLES
from tests.harness.process import Dev, Folder
from tests.harness.wire import BROKEN, Wire

HERE = pathlib.Path(__file__).parent
UNKNOWN = "UnknownOperationException"
"""What an oracle says that is older than the operation, or leaves it out."""
CATCH_UP_SECONDS = 2.0
"""The longest that an index may be behind."""


def make_tables(wire):
    """The tables that the requests are about."""
    for name, keys in TABLES.items():
        kinds = ("HASH", "RANGE")
        wire.must(
            "CreateTable",
            {
                "TableName": name,
                "BillingMode": "PAY_PER_REQUEST",
                "KeySchema": [{"AttributeName": n, "KeyType": kinds[i]} for i, (n, _) in enumerate(keys)],
                "AttributeDefinitions": [{"AttributeName": n, "AttributeType": t} for n, t in keys],
            },
        )
    wire.must("CreateTable", indexed_table())
    for name in [*TABLES, INDEXED]:
        deadline = time.monotonic() + 20
        while wire.must("DescribeTable", {"TableName": name})["Table"]["TableStatus"] != "ACTIVE":
            if time.monotonic() > deadline:
                raise AssertionError(f"table {name} is not ACTIVE")
            time.sleep(0.02)


KEYS = {**TABLES, INDEXED: [("pk", "S"), ("sk", "N")]}


def asked(wire, operation, request, wanted):
    """An answer; that of an index is asked for until it is what somebody wants, or it has had the time."""
    found = outcome(wire.call(operation, request))
    deadline = time.monotonic() + CATCH_UP_SECONDS
    while is_eventual(operation, request) and time.monotonic() < deadline:
        if any(same(operation, found, one) for one in wanted):
            break
        time.sleep(0.02)
        found = outcome(wire.call(operation, request))
    return found


def contents(wire, table):
    """{key: item} of a small table."""
    keys = [name for name, _ in KEYS[table]]
    items = wire.must("Scan", {"TableName": table, "ConsistentRead": True})["Items"]
    return {json.dumps([item[name] for name in keys]): item for item in items}


def align(ours, theirs):
    """Makes an oracle's tables like ours; what it cannot hold is deleted here too."""
    for table, keys in KEYS.items():
        wanted, found = contents(ours, table), contents(theirs, table)
        for key, item in found.items():
            if key not in wanted:
                theirs.must("DeleteItem", {"TableName": table, "Key": {name: item[name] for name, _ in keys}})
        for key, item in wanted.items():
            if found.get(key) != item and not theirs.call("PutItem", {"TableName": table, "Item": item}).ok:
                for wire in (ours, theirs):
                    wire.must("DeleteItem", {"TableName": table, "Key": {name: item[name] for name, _ in keys}})


def renewed(name, ours):
    """An oracle started again, with what ours holds."""
    wire = oracles.start(name)
    make_tables(wire)
    align(ours, wire)
    return wire


def only_removes(operation, request):
    """An update that makes no item here and one there (a ruling), whatever it answers."""
    text = json.dumps(request).lower()
    return operation in ("UpdateItem", "TransactWriteItems") and not ("set " in text or "add " in text)


class Differences:
    """What was found, by what it looks like."""

    def __init__(self, alone):
        self.explained = Explained((HERE / "explained.txt").read_text(encoding="utf-8"))
        self.alone = alone
        self.found = {}
        self.requests = self.like_one = self.ruled = 0
        self.agreed = collections.Counter()
        self.broken = collections.Counter()

    def note(self, operation, request, ours, theirs):
        """Takes the outcomes of one request, `theirs` by oracle."""
        self.requests += 1
        unlike = {name: its for name, its in theirs.items() if not same(operation, ours, its)}
        for name in theirs:
            self.agreed[name] += name not in unlike
        if len(unlike) < len(theirs) or not theirs:
            self.like_one += 1
            if not self.alone:
                return
        for name, its in unlike.items():
            backers = [other for other, one in unlike.items() if same(operation, its, one)]
            if len(backers) < 2 and len(theirs) > 1 and not self.alone or backers[0] != name:
                continue
            if self.explained.covers(operation, request, ours, its):
                self.ruled += 1
                continue
            key = (operation, skeleton(ours), " and ".join(backers), skeleton(its))
            self.found.setdefault(key, []).append((request, ours, its))

    def report(self, show):
        """Prints everything; the number of findings."""
        for (operation, mine, backers, its), examples in sorted(self.found.items(), key=lambda one: -len(one[1])):
            print(f"\n{len(examples)} x {operation}\n   trilith: {mine}\n   {backers}: {its}")
            for request, ours, theirs in sorted(examples, key=lambda one: len(json.dumps(one[0])))[:show]:
                print(f"     {json.dumps(request)[:1500]}\n       trilith {_short(ours)}\n       they    {_short(theirs)}")
        return len(self.found)


def _short(found):
    return json.dumps(found[2] if found[0] == 200 else found[1:], ensure_ascii=False)[:700]


def run(ours, others, chosen):
    """Sends the requests; the exit code."""
    generator = Further(random.Random(chosen.seed), chosen.fault)
    differences = Differences(chosen.alone)
    for wire in [ours, *others.values()]:
        make_tables(wire)
    for _ in range(chosen.requests):
        operation, request = generator.request()
        first, theirs = outcome(ours.call(operation, request)), {}
        for name, wire in list(others.items()):
            try:
                its = outcome(wire.call(operation, request))
                if its[1] != UNKNOWN:
                    theirs[name] = its
            except BROKEN:
                # A request that an oracle does not survive says nothing about us.
                differences.broken[name] += 1
                others[name] = renewed(name, ours)
                continue
            wrote = writes(operation, request) and 200 in (first[0], its[0])
            if wrote and (not same(operation, first, its) or only_removes(operation, request)):
                try:
                    align(ours, wire)
                except (KeyError, AssertionError):
                    # It holds what no table can hold, or cannot be rid of it.
                    differences.broken[name] += 1
                    others[name] = wire = renewed(name, ours)
        eventual = theirs and is_eventual(operation, request)
        mine = asked(ours, operation, request, theirs.values()) if eventual else first
        differences.note(operation, request, mine, theirs)
    found = differences.report(chosen.show)
    print()
    for name in others:
        agreed, broken = differences.agreed[name], differences.broken[name]
        print(f"{name}: {agreed} of {chosen.requests} answers are the same; {broken} requests broke it")
    for used, rule in zip(differences.explained.used, differences.explained.rules):
        print(f"explained {used} times: {rule.because}")
    print(
        f"differential: seed {chosen.seed}, {chosen.requests} requests, {differences.like_one} answered like an oracle, "
        f"{differences.ruled} explained, {found} findings"
    )
    return 1 if found else 0


def main():
    """Parses the arguments, starts everything and runs."""
    arguments = argparse.ArgumentParser(prog="python3 -m tests.differential")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--requests", type=int, default=3000)
    arguments.add_argument("--fault", type=float, default=0.04, help="chance of a fault at each place")
    arguments.add_argument("--show", type=int, default=1, help="examples of each finding")
    arguments.add_argument("--alone", action="store_true", help="what a single oracle says is a finding too")
    arguments.add_argument("--oracle", action="append", choices=list(oracles.ORACLES), help="default: all there are")
    arguments.add_argument("--endpoint", help="host:port of a running server instead of a fresh trilith dev")
    chosen = arguments.parse_args()
    others = {}
    for name in chosen.oracle or oracles.ORACLES:
        wire = oracles.start(name)
        if wire is None:
            print(f"{name} is not there and is left out")
        else:
            others[name] = wire
    if not others:
        print("no oracle is there: deploy/build/setup.sh oracles")
        return 1
    if chosen.endpoint:
        return run(Wire(chosen.endpoint, 20), others, chosen)
    with Folder() as folder, Dev(folder) as server:
        return run(server.wire(20), others, chosen)


if __name__ == "__main__":
    sys.exit(main())
