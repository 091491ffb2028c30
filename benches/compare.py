"""The side-by-side report: `python3 -m benches.compare [--seconds N] [--rounds N]`; `make bench` brings what it needs.

The same load, from one thread with 32 connections, on trilith dev, three trilith processes, dynoxide and three etcd
processes, one after the other and round after round in one run, so that a figure is a ratio measured on one machine.
A peer that is not installed is named and left out; Trilith never is. Writes benches/report.md and benches/report.svg; ends with 1 when a floor
of the project is missed. The promises about indexes, transactions and large reads (benches.dataplane) are a table of it.
"""

import argparse
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from benches import dataplane
from benches.chart import bars
from benches.subjects import KEYS, SUBJECTS
from tests.harness.process import Dev, Folder, cpu_seconds, resident_bytes

HERE = pathlib.Path(__file__).parent
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
MODES = {
    "get": "GetItem, eventual",
    "getc": "GetItem, strong",
    "put": "PutItem",
    "query": "Query, one item",
    "mixed": "95 % strong reads, 5 % puts",
}
# (what, our mode, the peer's mode, at least this many times the peer's rate)
FLOORS = (
    ("PutItem against dynoxide's, which is in memory", "put", "put", 0.5),
    ("strongly consistent GetItem against dynoxide's GetItem", "getc", "get", 0.7),
)


def wrk(address, script, mode, seconds):
    """(requests per second, p50 ms, p99 ms, answers that were errors)."""
    run = subprocess.run(
        ["wrk", "-t1", "-c32", f"-d{seconds}s", "--latency", "-s", HERE / "load" / script, f"http://{address}/"]
        + ["--", mode, str(KEYS)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds + 60,
    )
    rate = re.search(r"Requests/sec:\s+([\d.]+)", run.stdout)
    if rate is None:
        raise AssertionError(f"wrk printed no rate: {run.stdout[-300:]} {run.stderr[-300:]}")
    latency = {
        share: float(value) * UNITS[unit]
        for share, value, unit in re.findall(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s|m)$", run.stdout, re.MULTILINE)
    }
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", run.stdout)
    return float(rate.group(1)), latency.get("50", 0.0), latency.get("99", 0.0), int(bad.group(1)) if bad else 0


def measure(rounds, seconds):
    """{title: {mode: [results]}} and {title: why it was left out}."""
    found, absent = {}, {}
    for number in range(rounds):
        for subject in SUBJECTS:
            if subject.title in absent:
                continue
            try:
                with subject() as addresses:
                    for mode in sorted(subject.modes, key=("put", "get", "getc", "query", "mixed").index):
                        result = wrk(addresses[0], subject.script, mode, seconds)
                        found.setdefault(subject.title, {}).setdefault(mode, []).append(result)
                        print(
                            f"round {number + 1} {subject.title:26} {mode:6} {result[0]:9,.0f}/s p99 {result[2]:.1f} ms",
                            flush=True,
                        )
            except (FileNotFoundError, AssertionError, OSError) as error:
                if subject.ours:
                    raise
                absent[subject.title] = str(error)
                print(f"left out: {subject.title}: {error}", flush=True)
    return found, absent


def middle(results):
    """The median of each figure over the rounds."""
    return tuple(statistics.median(result[i] for result in results) for i in range(4))


def at_rest():
    """(seconds until ready on an empty folder, resident MB, percent of a core when idle)."""
    with Folder() as folder, Dev(folder) as server:
        ready = server.ready_after
        time.sleep(5)
        before, began = cpu_seconds(server.pid), time.monotonic()
        time.sleep(10)
        share = (cpu_seconds(server.pid) - before) / (time.monotonic() - began)
        return ready, resident_bytes(server.pid) / 1e6, share * 100


def sync_latency():
    """Median of 200 fdatasync calls after a small append, in microseconds: what durability costs on this disk."""
    with tempfile.NamedTemporaryFile(dir=tempfile.gettempdir()) as file:
        took = []
        for _ in range(200):
            file.write(b"x" * 512)
            file.flush()
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - began) * 1e6)
    return statistics.median(took)


def machine():
    """One line about the machine."""
    model = "unknown processor"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{os.cpu_count()} cores of {model}, Linux {platform.release()}, fdatasync p50 {sync_latency():.0f} µs"


def floors(table):
    """[(what, ratio, wanted, held)] for the floors that could be measured."""
    ours, peer = table.get("trilith dev"), table.get("dynoxide 3.2.0")
    if not ours or not peer:
        return []
    return [
        # Errors are quick to answer: a rate with errors in it holds nothing.
        (what, ours[mine][0] / peer[theirs][0], least, ours[mine][0] >= least * peer[theirs][0] and ours[mine][3] == 0)
        for what, mine, theirs, least in FLOORS
        if mine in ours and theirs in peer
    ]


def report(table, absent, arguments):
    """The report as Markdown, and whether every floor was held."""
    held = floors(table)
    rest = at_rest()
    notes = {subject.title: subject.note for subject in SUBJECTS}
    lines = [
        "# Side by side",
        "",
        f"Made by `make bench`: {machine()}. One wrk thread with 32 connections on the same machine, {KEYS:,} items of",
        f"about 130 bytes, {arguments.rounds} rounds of {arguments.seconds} s a line, subjects in turn; the middle round counts.",
        "",
        "![requests per second](report.svg)",
        "",
    ]
    for title in table:
        lines.append(f"- **{title}**: {notes[title]}")
    lines += [f"- left out: **{title}**: {why}" for title, why in absent.items()]
    for mode, name in MODES.items():
        lines += ["", f"## {name}", "", "| | requests/s | p50 ms | p99 ms | errors |", "|---|---|---|---|---|"]
        for title, row in table.items():
            if mode in row:
                rate, p50, p99, bad = row[mode]
                lines.append(f"| {title} | {rate:,.0f} | {p50:.2f} | {p99:.2f} | {bad:.0f} |")
    lines += ["", "## Floors", "", "| | found | wanted | |", "|---|---|---|---|"]
    lines += [
        f"| {what} | {ratio:.2f} | {least:.2f} | {'held' if fine else 'MISSED'} |" for what, ratio, least, fine in held
    ]
    for what, value, limit, unit in (
        ("ready on an empty folder", rest[0], 1.5, "s"),
        ("idle memory", rest[1], 150, "MB"),
        ("idle processor", rest[2], 2, "% of a core"),
    ):
        lines.append(
            f"| {what} | {value:.2f} {unit} | at most {limit} {unit} | {'held' if value <= limit else 'MISSED'} |"
        )
    fine = all(row[3] for row in held) and rest[0] <= 1.5 and rest[1] <= 150 and rest[2] <= 2
    return "\n".join(lines) + "\n", fine and bool(held)


def main():
    """Measures, writes the report, and says where it is."""
    parser = argparse.ArgumentParser(prog="python3 -m benches.compare")
    parser.add_argument("--seconds", type=int, default=8, help="length of one measurement")
    parser.add_argument("--rounds", type=int, default=3, help="how often each subject is measured")
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        print("wrk is not installed (apt-get install wrk): nothing can be measured", file=sys.stderr)
        return 1
    found, absent = measure(arguments.rounds, arguments.seconds)
    table = {title: {mode: middle(results) for mode, results in modes.items()} for title, modes in found.items()}
    names = list(table)
    rates = {name: {mode: table[name][mode][0] for mode in table[name]} for name in names}
    (HERE / "report.svg").write_text(bars("requests per second", list(MODES), names, rates), encoding="utf-8")
    text, fine = report(table, absent, arguments)
    rows = dataplane.measure(arguments.seconds)
    text += dataplane.section(rows)
    fine = fine and all(row.fine for row in rows)
    (HERE / "report.md").write_text(text, encoding="utf-8")
    print(text[text.index("## Floors") :])
    print(f"written: {HERE / 'report.md'}")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
