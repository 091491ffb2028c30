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
    arguments = ["--replaces", replaced] if replaced else []
    cluster.command("join", "--admin", cluster.admin("b"), "--via", cluster.admin("a"), *arguments)


def status(cluster, zone="a"):
    """`trilith cluster status --json`, parsed."""
    return json.loads(cluster.command("status", "--admin", cluster.admin(zone), "--json"))


def node_id(cluster, zone):
    """The id under which the cluster knows the node of a zone, as text; None when it names none."""
    for node in status(cluster).get("nodes", []):
        if node.get("zone") == zone:
            return str(node.get("id", node.get("node", "")))
    return None


def wait_for_status(cluster, patience=60):
    """Until b serves and the status, asked anywhere, shows three nodes in three zones that are ready."""
    deadline = time.monotonic() + patience
    while True:
        found = status(cluster)
        zones = sorted(node.get("zone", "") for node in found.get("nodes", []) if node.get("ready", True))
        if cluster.ready("b") and zones == list(ZONES) and all_voters(found):
            return
        check(time.monotonic() < deadline, f"b is not back after {patience} s: {json.dumps(found)[:600]}")
        time.sleep(0.3)


def all_voters(found):
    """Whether every shard has three voters."""
    shards = found.get("shards", [])
    return all(len(shard.get("voters", shard.get("replicas", []))) == 3 for shard in shards)


CASES = [folder_removed]
