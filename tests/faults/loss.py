"""A zone's folder is lost: everything is read from the other two, and the node comes back as a new replica."""

import json
import os
import pathlib
import random
import shutil
import socket
import subprocess
import time

from tests.harness.ledger import Ledger
from tests.harness.process import ZONES, Cluster, Dev, Folder, binary, free_ports
from tests.harness.suite import check
from tests.harness.wire import create_table, get


def folder_removed():
    """a zone's folder removed: all items from the other two; the node refuses its old life; join repairs it"""
    with Folder() as folder, Cluster(folder) as cluster:
        with cluster.wire("a") as client:
            create_table(client, "ledger")
        ledger = Ledger("ledger", [cluster.http(zone) for zone in ZONES], writers=6).start()
        time.sleep(3)
        cluster.kill("b")
        shutil.rmtree(cluster.folder / "b")
        time.sleep(1)
        ledger.stop()
        for zone in ("a", "c"):
            ledger.verify(cluster.http(zone))

        said = refuses_its_old_life(cluster)
        repair(cluster)
        wait_for_status(cluster)

        # The proof that the new replica holds everything: the third zone goes, and these two are the majority.
        ledger.start()
        time.sleep(2)
        cluster.kill("c")
        time.sleep(1)
        ledger.stop()
        for zone in ("a", "b"):
            ledger.verify(cluster.http(zone))
        cluster.start()
        for zone in ZONES:
            ledger.verify(cluster.http(zone))
        return f"{ledger.total()} writes acknowledged; it said: {said[:100]}"


def refuses_its_old_life(cluster):
    """Starts b on an empty folder; it must not serve, and must name the repair command."""
    output = cluster.start(check=False)
    time.sleep(2)
    check(not cluster.ready("b"), "b took up its old identity on an empty folder")
    said = output + cluster.log_tail("b")
    if cluster.pid("b") is not None:
        said += get(cluster.admin("b"), "/readyz")[1]
    check("trilith cluster join" in said, f"the repair command is not named: {said[-300:]!r}")
    return next(line.strip() for line in said.splitlines() if "trilith cluster join" in line)


def repair(cluster):
    """`trilith cluster join` as the message says; started again first where the node had ended."""
    if cluster.pid("b") is None:
        cluster.start(check=False)
    replaced = node_id(cluster, "b")
    cluster.command("join", "--admin", cluster.admin("b"), "--via", cluster.admin("a"), "--replaces", replaced)
    check(node_id(cluster, "b") != replaced, f"b is node {replaced} again: an id must never come back")


def node_id(cluster, zone):
    """The id under which the cluster knows the node of a zone, as text: the newest, as one that is being replaced is a
    member until its last replica is."""
    return str(
        max(node["id"] for node in cluster.status()["nodes"] if node["zone"] == zone and node["state"] != "left")
    )


def wait_for_status(cluster, patience=60):
    """Until b serves, and every node says that three nodes are up and every shard has a voter on each of them."""
    deadline = time.monotonic() + patience
    while True:
        answers = {zone: cluster.status(zone) for zone in ZONES}
        if cluster.ready("b") and all(whole(answer) for answer in answers.values()):
            return
        check(time.monotonic() < deadline, f"b is not back after {patience} s: {json.dumps(answers['a'])[:800]}")
        time.sleep(0.3)


def whole(status):
    """Whether the newest node of each zone is up, and each shard has three voters, one on each of them."""
    newest = {node["zone"]: node for node in sorted(status["nodes"], key=lambda node: node["id"])}
    wanted = sorted(node["id"] for node in newest.values() if node["state"] == "up")
    return sorted(newest) == list(ZONES) and all(
        sorted(replica["node"] for replica in shard["replicas"] if replica["voter"]) == wanted
        for shard in status["shards"]
    )


def folder_removed_dev():
    """trilith dev: a zone's folder removed: it serves from two; join brings the zone back; then another one goes"""
    with Folder() as folder, Dev(folder) as server:
        with server.wire() as client:
            create_table(client, "ledger")
        ledger = Ledger("ledger", lambda: [server.http], writers=4)
        for zone in ("b", "a"):
            ledger.start()
            time.sleep(1.5)
            server.kill()
            ledger.stop()
            shutil.rmtree(pathlib.Path(folder, zone))
            server.start()
            ledger.verify(server.http)
            check(any("trilith cluster join" in line for line in server.output), "the repair command is not named")
            ledger.start()
            join(server.admin, server.admin)
            wait_for_dev(server)
            ledger.stop()
            ledger.verify(server.http)
        server.kill()
        server.start()
        ledger.verify(server.http)
        return f"{ledger.total()} writes acknowledged, {ledger.failures} refused or unknown"


def folder_damaged_dev():
    """trilith dev: bytes of a zone's log are overwritten: it says where, serves from two, and join brings the zone back"""
    with Folder() as folder, Dev(folder) as server:
        with server.wire() as client:
            create_table(client, "ledger")
        ledger = Ledger("ledger", lambda: [server.http], writers=4).start()
        time.sleep(1.5)
        server.kill()
        ledger.stop()
        damaged = sorted(pathlib.Path(folder, "b", "log").glob("*.log"))[0]
        with damaged.open("r+b") as file:
            file.seek(64)
            file.write(b"\xa5" * 60)
        server.start()
        ledger.verify(server.http)
        said = [line for line in server.output if "damaged data" in line]
        check(said and os.path.join(folder, "b") in said[0], f"the damaged folder is not named: {server.tail()}")
        ledger.start()
        join(server.admin, server.admin)
        wait_for_dev(server)
        ledger.stop()
        ledger.verify(server.http)
        # Now the zone that was repaired is needed for a majority.
        server.kill()
        shutil.rmtree(pathlib.Path(folder, "a"))
        server.start()
        ledger.verify(server.http)
        return f"{ledger.total()} writes acknowledged"


def join(admin, via):
    """`trilith cluster join`."""
    run = subprocess.run(
        [binary(), "cluster", "join", "--admin", admin, "--via", via],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=150,
    )
    check(run.returncode == 0, f"join failed: {run.stderr.strip()[-300:]}")


def wait_for_dev(server, patience=60):
    """Until every shard has its three voters on the three nodes that are up."""
    deadline = time.monotonic() + patience
    while True:
        run = subprocess.run(
            [binary(), "cluster", "status", "--admin", server.admin, "--json"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
        )
        check(run.returncode == 0, f"status failed: {run.stderr.strip()[-300:]}")
        if whole(json.loads(run.stdout)):
            return
        check(time.monotonic() < deadline, f"the zone is not back after {patience} s: {run.stdout[:800]}")
        time.sleep(0.3)


def join_cut_short():
    """a node killed while it joins goes on joining at its next start, and needs no second order"""
    dice = random.Random(int(os.environ.get("TRILITH_SEED", "3")))
    with Folder() as folder, Cluster(folder) as cluster:
        with cluster.wire("a") as client:
            create_table(client, "ledger")
        ledger = Ledger("ledger", [cluster.http(zone) for zone in ("a", "c")], writers=4).start()
        time.sleep(2)
        resumed = 0
        for _ in range(4):
            if cluster.pid("b") is not None:
                cluster.kill("b")
            shutil.rmtree(cluster.folder / "b")
            cluster.start(check=False)
            command = [binary(), "cluster", "join", "--admin", cluster.admin("b"), "--via", cluster.admin("a")]
            pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            order = subprocess.Popen(command, **pipes)
            # As soon as the folder bears the new identity, which is the moment that matters most, or a little later.
            mark = cluster.folder / "b" / "FORMAT"
            deadline = time.monotonic() + 30
            while not mark.exists():
                check(time.monotonic() < deadline, "the node did not begin to join in 30 s")
                time.sleep(0.002)
            time.sleep(dice.choice([0, 0, 0.02, 0.1]))
            cluster.kill("b")
            order.kill()
            order.wait(30)
            cluster.start(check=False)
            wait_for_status(cluster)
            resumed += 1
        ledger.stop()
        for zone in ZONES:
            ledger.verify(cluster.http(zone))
        return f"{resumed} joins resumed, {ledger.total()} writes acknowledged"


def first_start_cut_short():
    """trilith dev killed at any moment of its first start: the next start makes the store"""
    dice = random.Random(int(os.environ.get("TRILITH_SEED", "4")))
    for _ in range(8):
        with Folder() as folder:
            command = [binary(), "dev", "--data-dir", os.path.join(folder, "new")]
            command += ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
            pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            process = subprocess.Popen(command, **pipes)
            time.sleep(dice.uniform(0.02, 0.35))
            process.kill()
            process.wait(30)
            with Dev(os.path.join(folder, "new")) as server, server.wire() as client:
                create_table(client, "first")
                client.must("PutItem", {"TableName": "first", "Item": {"pk": {"S": "a"}}})


def live_node_stays():
    """cluster join without --replaces does not take the replicas of a node of its zone that is alive"""
    with Folder() as folder, Cluster(folder) as cluster:
        ports = free_ports(4)
        names = ("http", "grpc", "admin", "peer")
        listen = "".join(f'{name} = "127.0.0.1:{port}"\n' for name, port in zip(names, ports))
        config = cluster.folder / "second.toml"
        config.write_text(f'[node]\nzone = "b"\ndata_dir = "{cluster.folder}/second"\n[listen]\n{listen}')
        newcomer = subprocess.Popen(
            [binary(), "server", "--config", config], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            admin = f"127.0.0.1:{ports[2]}"
            wait_until(lambda: reachable(ports[2]), "the newcomer listens")
            said = cluster.command("join", "--admin", admin, "--via", cluster.admin("a"), check=False)
            check("is alive" in said and "--replaces 2" in said, f"join said: {said.strip()[-300:]}")
            nodes = [node["id"] for node in cluster.status()["nodes"]]
            check(nodes == [1, 2, 3], f"the members are {nodes}")
            return said.strip()[-160:]
        finally:
            newcomer.kill()
            newcomer.wait()


def reachable(port):
    """Whether something listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition, what, patience=20):
    """Until the condition holds."""
    deadline = time.monotonic() + patience
    while not condition():
        check(time.monotonic() < deadline, f"not within {patience} s: {what}")
        time.sleep(0.02)


def init_is_no_repair():
    """cluster init never makes replicas again for a member that lost its folder, or its log and state alone"""
    with Folder() as folder, Cluster(folder) as cluster:
        with cluster.wire("a") as client:
            create_table(client, "ledger")
        ledger = Ledger("ledger", [cluster.http(zone) for zone in ZONES], writers=4).start()
        time.sleep(1)
        ledger.stop()
        for what in (("log", "state"), ("",)):
            # All at once, so that the survivors may not have read their catalog yet when they are asked.
            for zone in ZONES:
                cluster.kill(zone)
            for name in what:
                shutil.rmtree(cluster.folder / "c" / name)
            cluster.start(check=False)
            admins = [one for zone in ZONES for one in ("--admin", cluster.admin(zone))]
            said = cluster.command("init", *admins, check=False)
            check("cluster " not in said.splitlines()[-1] or "serves" not in said, f"init said: {said[-300:]}")
            check(not cluster.ready("c"), f"without {what} c serves again after init: {said[-300:]}")
        # Nor does it make a second cluster of that member alone, which its clients would take for the first.
        alone = cluster.command("init", "--admin", cluster.admin("c"), check=False)
        check("cluster join" in alone and not cluster.ready("c"), f"init of c alone said: {alone[-300:]}")
        for zone in ("a", "b"):
            ledger.verify(cluster.http(zone))
        cluster.command("join", "--admin", cluster.admin("c"), "--via", cluster.admin("a"), "--replaces", "3")
        ledger.verify(cluster.http("c"))
        return said.strip()[-160:]


CASES = [
    folder_removed,
    folder_removed_dev,
    folder_damaged_dev,
    live_node_stays,
    init_is_no_repair,
    join_cut_short,
    first_start_cut_short,
]
