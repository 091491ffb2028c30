"""A zone's folder is lost: everything is read from the other two, and the node comes back as a new replica."""

import json
import shutil
import time

from tests.harness.ledger import Ledger
from tests.harness.process import ZONES, Cluster, Folder
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
    """The id under which the cluster knows the node of a zone, as text."""
    return next(
        str(node["id"]) for node in cluster.status()["nodes"] if node["zone"] == zone and node["state"] != "left"
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
    """Whether three nodes are up, and each shard has three voters, one on each of them."""
    up = {node["id"]: node["zone"] for node in status["nodes"] if node["state"] == "up"}
    return sorted(up.values()) == list(ZONES) and all(
        sorted(replica["node"] for replica in shard["replicas"] if replica["voter"]) == sorted(up)
        for shard in status["shards"]
    )


CASES = [folder_removed]
