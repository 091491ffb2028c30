"""Tables by the hundred, and how soon they can be used."""

import time

import boto3
from botocore.config import Config

from tests.harness.process import ZONES, Cluster, Dev, Folder
from tests.harness.suite import check, same
from tests.harness.wire import create_table, metrics
from tests.sdk.clients import CREDENTIALS

TABLES = 200
SECONDS = 5.0
WAITED = 0.3


def two_hundred():
    """200 tables in at most 5 s, without a new Raft group"""
    with Folder() as folder, Dev(folder) as server, server.wire() as client:
        shards = shard_count(server.admin)
        began = time.monotonic()
        for number in range(TABLES):
            create_table(client, f"many-{number:03}")
        took = time.monotonic() - began
        check(took <= SECONDS, f"{TABLES} tables took {took:.1f} s")
        same(shard_count(server.admin), shards, "Raft groups")
        names, start = [], {}
        while True:
            page = client.must("ListTables", start)
            names += page["TableNames"]
            if "LastEvaluatedTableName" not in page:
                break
            start = {"ExclusiveStartTableName": page["LastEvaluatedTableName"]}
        same(names, [f"many-{number:03}" for number in range(TABLES)], "names")
        server.kill()
        server.start()
        with server.wire() as again:
            again.must("PutItem", {"TableName": "many-199", "Item": {"pk": {"S": "a"}}})
        return f"{took:.1f} s, {shards} shards, ready again after {server.ready_after:.2f} s"


def shard_count(admin):
    """How many shards have a leader."""
    return len({labels["shard"] for labels, _ in metrics(admin).get("trilith_shard_leader", [])})


def waiter():
    """boto3's wait_until_exists and wait_until_not_exists return in under 0.3 s"""
    with Folder() as folder, Dev(folder) as server:
        return waits(f"http://{server.http}", f"http://{server.http}")


def waiter_on_another_node():
    """three processes: created on one node, waited for on another"""
    with Folder() as folder, Cluster(folder) as cluster:
        addresses = [f"http://{cluster.http(zone)}" for zone in ZONES]
        return " / ".join(waits(addresses[i], addresses[(i + 1) % 3], f"waited-{i}") for i in range(3))


def waits(first, second, name="waited"):
    """Creates and deletes through one endpoint, waits through another; how long the waits took."""
    settings = Config(retries={"total_max_attempts": 1})
    here = boto3.resource("dynamodb", endpoint_url=first, config=settings, **CREDENTIALS)
    there = boto3.resource("dynamodb", endpoint_url=second, config=settings, **CREDENTIALS)
    there.meta.client.list_tables()  # the first call of a client loads its models, which is none of the server's time
    took = []
    for number in range(3):
        table = f"{name}-{number}"
        here.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        )
        began = time.monotonic()
        there.Table(table).wait_until_exists()
        took.append(time.monotonic() - began)
        there.Table(table).put_item(Item={"pk": "a"})
        here.Table(table).delete()
        began = time.monotonic()
        there.Table(table).wait_until_not_exists()
        took.append(time.monotonic() - began)
    check(max(took) < WAITED, f"the waits took {', '.join(f'{t:.2f}' for t in took)} s")
    return f"at most {max(took):.2f} s"


def same_order_after_restart():
    """a scan gives the same order before and after a restart, page by page"""
    with Folder() as folder, Dev(folder) as server:
        with server.wire() as client:
            create_table(client, "ordered")
            for start in range(0, 500, 25):
                items = [{"PutRequest": {"Item": {"pk": {"S": f"k{i}"}}}} for i in range(start, start + 25)]
                same(
                    client.must("BatchWriteItem", {"RequestItems": {"ordered": items}})["UnprocessedItems"], {}, "left"
                )
            before = scan(client, {"Limit": 37})
            same(len(before), 500, "items")
            same(len(set(before)), 500, "distinct items")
            same(scan(client, {}), before, "the order with larger pages")
            segments = [scan(client, {"Segment": s, "TotalSegments": 7}) for s in range(7)]
            same(sorted(key for one in segments for key in one), sorted(before), "union of the segments")
        server.kill()
        server.start()
        with server.wire() as client:
            same(scan(client, {"Limit": 41}), before, "the order after the restart")


def scan(client, more):
    """All keys of a strong scan, following the pages."""
    keys, start = [], {}
    while True:
        page = client.must("Scan", {"TableName": "ordered", "ConsistentRead": True, **more, **start})
        keys += [item["pk"]["S"] for item in page["Items"]]
        if "LastEvaluatedKey" not in page:
            return keys
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


CASES = [two_hundred, waiter, waiter_on_another_node, same_order_after_restart]
