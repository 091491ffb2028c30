"""Indexes, transactions, statements and large reads: `python3 -m benches.dataplane [--seconds N] [--quick]`.

Each figure is a ratio or a bound that the project promises, measured on one `trilith dev` in one run: writes with two
global indexes beside writes with none, how long an index lags under a steady load, a transaction of ten items beside a
single put, a statement beside the GetItem that it stands for, queries of 100 items, and the memory that a scan of 1 GB
takes. `make bench` adds the table to its report. Ends with 1 when one is missed.
"""

import argparse
import pathlib
import random
import re
import statistics
import subprocess
import sys
import threading
import time

from tests.harness.process import Dev, Folder, resident_bytes
from tests.harness.wire import Wire, create_table

KEYS = 10_000
PAGES = 50
SCRIPT = pathlib.Path(__file__).parent / "load" / "dataplane.lua"
# 27 connections that each wait 20 ms between requests come to a little above 1,000 a second.
STEADY = (27, 20)


class Row:
    """One promise: what was found, what was wanted, and whether it holds."""

    def __init__(self, what, found, wanted, fine):
        self.what, self.found, self.wanted, self.fine = what, found, wanted, fine

    def line(self):
        """As a line of a Markdown table."""
        return f"| {self.what} | {self.found} | {self.wanted} | {'held' if self.fine else 'MISSED'} |"


def load(address, mode, seconds, keys=KEYS, connections=32, delay=0):
    """A running wrk."""
    return subprocess.Popen(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", SCRIPT, f"http://{address}/", "--"]
        + [mode, str(keys), str(delay)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def rate(running, timeout):
    """Requests per second of a wrk that has ended; errors count as nothing."""
    out, errors = running.communicate(timeout=timeout)
    found = re.search(r"Requests/sec:\s+([\d.]+)", out)
    if found is None or "Non-2xx" in out:
        raise AssertionError(f"wrk: {out[-300:]} {errors[-300:]}")
    return float(found.group(1))


def turns(address, modes, seconds, **more):
    """The middle rate of each mode over three rounds in turn."""
    found = {mode: [] for mode in modes}
    for _ in range(3):
        for mode in modes:
            found[mode].append(rate(load(address, mode, seconds, **more), seconds + 60))
    return [statistics.median(found[mode]) for mode in modes]


def tables(client):
    """Every table of the run but the large one, with what is read from them."""
    create_table(client, "plain")
    create_table(client, "pages", sort="N")
    attributes = (("pk", "S"), ("a", "S"), ("b", "N"))
    indexes = [
        {
            "IndexName": f"by_{name}",
            "KeySchema": [{"AttributeName": name, "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
        for name in ("a", "b")
    ]
    definitions = [{"AttributeName": name, "AttributeType": kind} for name, kind in attributes]
    create_table(client, "indexed", AttributeDefinitions=definitions, GlobalSecondaryIndexes=indexes)
    fill(client, "plain", ({"pk": {"S": f"user{i:08}"}, "v": {"S": "v" * 100}} for i in range(KEYS)))
    text = {"S": "x" * 990}
    items = ({"pk": {"S": f"user{p:08}"}, "sk": {"N": str(s)}, "v": text} for p in range(PAGES) for s in range(100))
    fill(client, "pages", items)


def fill(client, table, items, at_once=25):
    """Puts items by batches."""
    batch = []
    for item in items:
        batch.append({"PutRequest": {"Item": item}})
        if len(batch) == at_once:
            write(client, table, batch)
            batch = []
    if batch:
        write(client, table, batch)


def write(client, table, batch):
    """One batch, until all of it is done."""
    left = {table: batch}
    while left:
        left = client.must("BatchWriteItem", {"RequestItems": left})["UnprocessedItems"]


def lag(address, seconds):
    """The time from the acknowledgement of a write to its entry's appearance in an index, under a steady load: (p50, p99
    in ms, samples, writes per second beside them)."""
    connections, delay = STEADY
    running = load(address, "indexed", seconds, connections=connections, delay=delay)
    took, end = [], time.monotonic() + seconds - 1
    with Wire(address) as writer, Wire(address) as reader:
        number = 0
        while time.monotonic() < end:
            number += 1
            mark = f"probe-{time.monotonic_ns()}"
            item = {"pk": {"S": f"probe-{number % 100}"}, "a": {"S": mark}, "b": {"N": str(number)}}
            query = {
                "TableName": "indexed",
                "IndexName": "by_a",
                "KeyConditionExpression": "a = :a",
                "ExpressionAttributeValues": {":a": {"S": mark}},
            }
            writer.must("PutItem", {"TableName": "indexed", "Item": item})
            began = time.perf_counter()
            while reader.must("Query", query)["Count"] == 0:
                if time.perf_counter() - began > 10:
                    raise AssertionError("an entry does not appear within 10 s")
            took.append((time.perf_counter() - began) * 1000)
    beside = rate(running, 60)
    took.sort()
    return statistics.median(took), took[int(len(took) * 0.99)], len(took), beside


def transactions(address, count):
    """(p50 of a put, p50 of a transaction that puts ten items on many shards), ms; in turn on one connection."""
    dice = random.Random(1)
    single, many = [], []

    def item():
        return {"pk": {"S": f"user{dice.randrange(KEYS):08}"}, "v": {"S": "v" * 100}}

    def timed(client, operation, request, into):
        began = time.perf_counter()
        client.must(operation, request)
        into.append((time.perf_counter() - began) * 1000)

    with Wire(address) as client:
        for _ in range(count):
            timed(client, "PutItem", {"TableName": "plain", "Item": item()}, single)
            items = {item["pk"]["S"]: item for item in (item() for _ in range(10))}
            while len(items) < 10:
                one = item()
                items[one["pk"]["S"]] = one
            puts = [{"Put": {"TableName": "plain", "Item": item}} for item in items.values()]
            timed(client, "TransactWriteItems", {"TransactItems": puts}, many)
    return statistics.median(single), statistics.median(many)


def scan_growth(server, megabytes):
    """How much resident memory grows while a table of so many MB is scanned, in MB; and what it holds at rest."""
    with server.wire(timeout=60) as client:
        create_table(client, "large")
        text = {"S": "x" * 100_000}
        fill(client, "large", ({"pk": {"S": f"{i:08}"}, "v": text} for i in range(megabytes * 10)))
        # What the writes left behind is not the scan's.
        settle(server)
        before = peak = resident_bytes(server.pid)
        done = threading.Event()

        def watch():
            nonlocal peak
            while not done.wait(0.01):
                peak = max(peak, resident_bytes(server.pid))

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        count, start = 0, {}
        while True:
            page = client.must("Scan", {"TableName": "large", **start})
            count += page["Count"]
            if "LastEvaluatedKey" not in page:
                break
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
        done.set()
        watcher.join()
        if count != megabytes * 10:
            raise AssertionError(f"the scan found {count} items of {megabytes * 10}")
    return (peak - before) / 2**20, before / 2**20


def settle(server, bound=60):
    """Until resident memory has not moved by more than 2 MB for three seconds."""
    end = time.monotonic() + bound
    steady, last = 0, resident_bytes(server.pid)
    while steady < 3 and time.monotonic() < end:
        time.sleep(1)
        now = resident_bytes(server.pid)
        steady = steady + 1 if abs(now - last) < 2 * 2**20 else 0
        last = now


def measure(seconds, quick=False):
    """Every promise, in turn, on one fresh server."""
    rows = []

    def note(what, found, wanted, fine):
        rows.append(Row(what, found, wanted, fine))
        print(rows[-1].line(), flush=True)

    with Folder() as folder, Dev(folder) as server:
        with server.wire(timeout=60) as client:
            tables(client)
        plain, indexed = turns(server.http, ("put", "indexed"), seconds)
        ratio = indexed / plain
        what = "writes with two global indexes beside writes with none"
        note(what, f"{ratio:.2f} ({indexed:,.0f} of {plain:,.0f} a second)", "at least 0.50", ratio >= 0.5)
        p50, p99, samples, beside = lag(server.http, max(10, 3 * seconds))
        found = f"{p99:.1f} ms (p50 {p50:.1f} ms, {samples} samples beside {beside:,.0f} writes a second)"
        note("index lag, p99, under steady writes", found, "under 50 ms beside 1,000 a second", p99 < 50 and beside >= 1_000)
        one, ten = transactions(server.http, 100 if quick else 500)
        found = f"{ten / one:.1f} ({ten:.2f} ms of {one:.2f} ms)"
        note("transaction of ten items beside a put, p50", found, "under 6", ten / one < 6)
        get, statement = turns(server.http, ("get", "statement"), seconds)
        ratio = statement / get
        found = f"{ratio:.2f} ({statement:,.0f} of {get:,.0f} a second)"
        note("PartiQL point reads beside GetItem", found, "at least 0.80", ratio >= 0.8)
        (pages,) = turns(server.http, ("query",), seconds, keys=PAGES)
        note("queries of 100 items of 1 KB", f"{pages:,.0f} a second", "at least 3,000 a second", pages >= 3_000)
        megabytes = 100 if quick else 1_000
        growth, rest = scan_growth(server, megabytes)
        what = f"resident memory of a scan of {megabytes:,} MB"
        note(what, f"{growth:.0f} MB over {rest:.0f} MB", "at most 50 MB more", growth <= 50)
    return rows


def section(rows):
    """The table for the report."""
    lines = ["", "## Data plane", "", "| | found | wanted | |", "|---|---|---|---|"]
    return "\n".join(lines + [row.line() for row in rows]) + "\n"


def main():
    """Measures and says what was missed."""
    parser = argparse.ArgumentParser(prog="python3 -m benches.dataplane")
    parser.add_argument("--seconds", type=int, default=8, help="length of one measurement")
    parser.add_argument("--quick", action="store_true", help="a tenth of the data, for a first look")
    arguments = parser.parse_args()
    rows = measure(arguments.seconds, arguments.quick)
    missed = [row.what for row in rows if not row.fine]
    print(f"missed: {', '.join(missed)}" if missed else "all held")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
