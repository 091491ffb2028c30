"""A leader that is stopped for longer than its lease, while another takes over."""

import pathlib
import signal
import threading
import time

from tests.harness.ledger import read
from tests.harness.process import ZONES, Cluster, Folder
from tests.harness.suite import Failure, check, same
from tests.harness.wire import BROKEN, create_table

KEYS = 48
ROUNDS = 6
STOPPED = 4.0
CATALOG = 0  # the shard that holds the catalog


def put(connection, key, number, patience=20.0):
    """A put that outlasts a failover; writing the same value again does no harm here."""
    item = {"pk": {"S": key}, "n": {"N": str(number)}}
    deadline = time.monotonic() + patience
    while True:
        try:
            answer = connection.call("PutItem", {"TableName": "lease", "Item": item})
            if answer.ok:
                return
            trouble = repr(answer)
        except BROKEN as error:
            trouble = repr(error)
        if time.monotonic() > deadline:
            raise Failure(f"{key} cannot be written on {connection.host}:{connection.port}: {trouble}")
        time.sleep(0.05)


def never_stale():
    """SIGSTOP each node for longer than its lease, write elsewhere, wake it, read strongly on its own port"""
    with Folder() as folder, Cluster(folder) as cluster:
        with cluster.wire("a") as client:
            create_table(client, "lease")
        keys = [f"k{i}" for i in range(KEYS)]
        seen = {"new": 0, "refused": 0}
        led = 0
        for number in range(1, ROUNDS + 1):
            victim = ZONES[number % 3]
            other = ZONES[(number + 1) % 3]
            led += sum(leader == victim for shard, leader in cluster.leaders().items() if shard != CATALOG)
            with cluster.wire(victim) as own:
                for key in keys:
                    put(own, key, 2 * number - 1)
                    read(own, "lease", key)
            one_round(cluster, victim, other, keys, 2 * number, seen)
        check(led >= ROUNDS, f"the nodes that were stopped led only {led} shards: nothing could be stale")
        check(seen["new"] > 0, f"no read after waking was answered: {seen}")
        return f"{seen['new']} reads with the new value, {seen['refused']} refused, none stale"


def one_round(cluster, victim, other, keys, number, seen):
    """Stops the victim, writes `number` through another node, wakes the victim with reads already waiting."""
    # The connections are there before, so that the reads wait in the socket and are the first thing it does.
    waiting = [cluster.wire(victim, timeout=30) for _ in range(12)]
    for connection in waiting:
        same(connection.call("ListTables", {}).status, 200, "a connection before the stop")
    cluster.signal(victim, signal.SIGSTOP)
    stopped = time.monotonic()
    answers = {}
    try:
        with cluster.wire(other) as client:
            for key in keys:
                put(client, key, number)
        readers = [
            threading.Thread(target=strong_reads, args=(connection, keys[i :: len(waiting)], answers), daemon=True)
            for i, connection in enumerate(waiting)
        ]
        for reader in readers:
            reader.start()
        time.sleep(max(0.3, STOPPED - (time.monotonic() - stopped)))
    finally:
        cluster.signal(victim, signal.SIGCONT)
    for reader in readers:
        reader.join(60)
        check(not reader.is_alive(), "a read on the woken node hangs")
    for key, answer in answers.items():
        if answer is None:
            seen["refused"] += 1
        elif answer != number:
            raise Failure(f"stale: {key} read {answer} strongly on {victim}, {number} was acknowledged on {other}")
        else:
            seen["new"] += 1
    with cluster.wire(victim) as own:
        for key in keys:
            same(int(read(own, "lease", key)["Item"]["n"]["N"]), number, f"{key} on {victim} afterwards")


def strong_reads(connection, keys, answers):
    """One strong read of each key; None stands for any error."""
    for key in keys:
        request = {"TableName": "lease", "Key": {"pk": {"S": key}}, "ConsistentRead": True}
        try:
            answer = connection.call("GetItem", request)
            answers[key] = int(answer.json["Item"]["n"]["N"]) if answer.ok else None
        except BROKEN:
            answers[key] = None
    connection.close()


def catalog_leader():
    """the node that leads the catalog is stopped: the data plane goes on"""
    with Folder() as folder, Cluster(folder) as cluster:
        with cluster.wire("a") as client:
            create_table(client, "lease")
        catalog = cluster.leaders()[CATALOG]
        others = [zone for zone in ZONES if zone != catalog]
        keys = [f"k{i}" for i in range(KEYS)]
        with cluster.wire(others[0]) as client:
            for key in keys:
                put(client, key, 1)
        cluster.signal(catalog, signal.SIGSTOP)
        try:
            began = time.monotonic()
            for zone in others:
                with cluster.wire(zone) as client:
                    for key in keys:
                        put(client, key, 2)
                        same(int(read(client, "lease", key)["Item"]["n"]["N"]), 2, key)
            took = time.monotonic() - began
        finally:
            cluster.signal(catalog, signal.SIGCONT)
        return f"{2 * KEYS} writes and reads took {took:.1f} s"


def clock_off():
    """a node whose clock is 2 s off gives its leaderships up and takes none, says so, and leads again once it is right"""
    library = next(pathlib.Path("/usr/lib").glob("**/faketime/libfaketime.so.1"), None)
    check(library, "libfaketime is not installed")
    with Folder() as folder, Cluster(folder) as cluster:
        with cluster.wire("a") as client:
            create_table(client, "lease")
        offset = pathlib.Path(folder, "offset")
        offset.write_text("+0s")
        cluster.kill("b")
        cluster.environment |= {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(offset),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        cluster.start()
        until(lambda: "b" in cluster.leaders().values(), "b leads nothing although its clock is right")
        offset.write_text("+2s")
        began = time.monotonic()
        until(lambda: "b" not in cluster.leaders().values(), "b leads although its clock is off")
        took = time.monotonic() - began
        check("the clock of node" in (cluster.folder / "b.log").read_text(errors="replace"), "b does not say why")
        for zone in ZONES:
            with cluster.wire(zone) as client:
                put(client, f"by {zone}", 1)
                same(read(client, "lease", f"by {zone}")["Item"]["n"]["N"], "1", zone)
        # Nobody else can lead what the leaders' nodes led: b must not take it.
        cluster.signal("c", signal.SIGTERM)
        until(lambda: cluster.pid("c") is None, "c does not end")
        with cluster.wire("a") as client:
            put(client, "by a", 2)
        same({zone for zone in cluster.leaders().values()}, {"a"}, "who leads while c is away")
        cluster.start()
        offset.write_text("+0s")
        until(lambda: "b" in cluster.leaders().values(), "b leads nothing although its clock is right again")
        return f"gave up after {took:.1f} s"


def until(condition, otherwise, patience=45.0):
    """Waits for the condition."""
    deadline = time.monotonic() + patience
    while not condition():
        check(time.monotonic() < deadline, otherwise)
        time.sleep(0.1)


def silent_peer():
    """a node that is stopped slows nobody down for long: failover within five seconds"""
    with Folder() as folder, Cluster(folder) as cluster:
        with cluster.wire("a") as client:
            create_table(client, "lease")
        keys = [f"k{i}" for i in range(KEYS)]
        slowest = 0.0
        for victim, other in (("a", "b"), ("b", "c"), ("c", "a")):
            with cluster.wire(other) as client:
                for key in keys:
                    put(client, key, 1)
                cluster.signal(victim, signal.SIGSTOP)
                try:
                    for key in keys:
                        began = time.monotonic()
                        put(client, key, 2)
                        slowest = max(slowest, time.monotonic() - began)
                finally:
                    cluster.signal(victim, signal.SIGCONT)
            time.sleep(1.0)
        check(slowest < 6.0, f"the slowest write took {slowest:.1f} s")
        return f"the slowest write took {slowest:.2f} s"


CASES = [never_stale, catalog_leader, silent_peer, clock_off]
