"""How load and leadership spread, read from the metrics of the nodes."""

import threading
import time

from tests.harness.process import ZONES, Cluster, Dev, Folder
from tests.harness.suite import check
from tests.harness.wire import Wire, create_table, metrics

WRITES = 6000
WRITERS = 6
SHARE_OF_WRITES = 0.30
SHARE_OF_LEADERS = 0.5


def shard_writes(admins):
    """Writes per shard. Only a leader reports them; where two nodes think they lead, the higher count is the newer."""
    found = {}
    for admin in admins:
        for labels, value in metrics(admin).get("trilith_shard_writes_total", []):
            found[labels["shard"]] = max(found.get(labels["shard"], 0), value)
    return found


def load(addresses):
    """Puts of distinct keys, uniformly."""

    def write(part):
        with Wire(addresses[part % len(addresses)]) as client:
            for number in range(part, WRITES, WRITERS):
                client.must("PutItem", {"TableName": "balance", "Item": {"pk": {"S": f"user{number:08}"}}})

    threads = [threading.Thread(target=write, args=(part,), daemon=True) for part in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        check(not thread.is_alive(), "the load did not end in 120 s")


def judge_writes(before, after):
    """No shard took over 30 % of the writes."""
    grown = {shard: after[shard] - before.get(shard, 0) for shard in after}
    total = sum(grown.values())
    check(total >= WRITES, f"the shards counted {total:.0f} writes of {WRITES}")
    most = max(grown.values()) / total
    check(most <= SHARE_OF_WRITES, f"one shard took {most:.0%}: {grown}")
    return f"{len([one for one in grown.values() if one])} shards, the busiest took {most:.0%}"


def judge_leaders(cluster):
    """No node leads over half of the shards; leadership may take a moment to spread."""
    deadline = time.monotonic() + 20
    while True:
        found = cluster.leaders()
        count = {}
        for node in found.values():
            count[node] = count.get(node, 0) + 1
        most = max(count.values()) / len(found) if found else 1.0
        if found and most <= SHARE_OF_LEADERS:
            return f"leaders {sorted(count.values())}"
        check(time.monotonic() < deadline, f"one node leads {most:.0%} of the shards: {count}")
        time.sleep(0.5)


def fresh_table_dev():
    """trilith dev: no shard takes over 30 % of a fresh table's writes, and no zone leads over half of the shards"""
    with Folder() as folder, Dev(folder) as server:
        with server.wire() as client:
            create_table(client, "balance")
        before = shard_writes([server.admin])
        load([server.http])
        leads = {}
        for labels, value in metrics(server.admin)["trilith_shard_leader"]:
            leads[labels["node"]] = leads.get(labels["node"], 0) + value
        most = max(leads.values()) / sum(leads.values())
        check(most <= SHARE_OF_LEADERS, f"one zone leads {most:.0%} of the shards: {leads}")
        return judge_writes(before, shard_writes([server.admin]))


def fresh_table_cluster():
    """three processes: no shard takes over 30 %, and no node leads over half of the shards"""
    with Folder() as folder, Cluster(folder) as cluster:
        with cluster.wire("a") as client:
            create_table(client, "balance")
        admins = [cluster.admin(zone) for zone in ZONES]
        before = shard_writes(admins)
        load([cluster.http(zone) for zone in ZONES])
        note = judge_writes(before, shard_writes(admins))
        return f"{note}; {judge_leaders(cluster)}"


CASES = [fresh_table_dev, fresh_table_cluster]
