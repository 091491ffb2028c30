"""Transactions and indexes while processes are killed: money is neither made nor lost, and an index says what its table says."""

import os
import random
import re
import threading
import time

from tests.harness.process import ZONES, Cluster, Folder
from tests.harness.suite import check, same
from tests.harness.wire import BROKEN, Wire

ACCOUNTS = 24
START = 1_000
ROUNDS = 5
INDEX = "by_owner"


def account(number):
    """The key of an account."""
    return {"pk": {"S": f"account-{number}"}}


ALL = [{"Get": {"TableName": "bank", "Key": account(number)}} for number in range(ACCOUNTS)]
"""Every account, for one transaction."""


def audit(answer):
    """The sum of all accounts in an answer."""
    return sum(int(one["Item"]["money"]["N"]) for one in answer["Responses"])


class Bank:
    """Tellers that move money by transactions, and auditors that read all accounts by one."""

    def __init__(self, addresses, seed):
        self.addresses = addresses
        self.seed = seed
        self.stopping = threading.Event()
        self.moved = self.refused = self.unknown = self.audits = 0
        self.wrong = []
        self.threads = []

    def run(self, tellers=3):
        """Starts everybody."""
        work = [(self._teller, one) for one in range(tellers)] + [(self._auditor, 0)]
        self.threads = [threading.Thread(target=target, args=(one,), daemon=True) for target, one in work]
        for thread in self.threads:
            thread.start()
        return self

    def stop(self):
        """Ends everybody."""
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)
            check(not thread.is_alive(), "a teller hangs")

    def _teller(self, number):
        dice = random.Random(self.seed * 100 + number)
        while not self.stopping.is_set():
            try:
                with Wire(dice.choice(self.addresses), timeout=12) as client:
                    while not self.stopping.is_set():
                        self._transfer(client, dice)
                        # An audit of all accounts needs a moment in which none of them changes.
                        time.sleep(dice.uniform(0.0, 0.1))
            except BROKEN:
                self.unknown += 1
                time.sleep(0.05)

    def _transfer(self, client, dice):
        giver, taker = dice.sample(range(ACCOUNTS), 2)
        amount = {":a": {"N": str(dice.randint(1, 50))}}
        owner = {":o": {"S": f"owner-{dice.randint(1, 5)}"}}
        items = [
            {"Update": {
                "TableName": "bank", "Key": account(giver), "UpdateExpression": "SET money = money - :a, own = :o",
                "ConditionExpression": "money >= :a", "ExpressionAttributeValues": {**amount, **owner},
            }},
            {"Update": {
                "TableName": "bank", "Key": account(taker), "UpdateExpression": "SET money = money + :a",
                "ExpressionAttributeValues": amount,
            }},
        ]  # fmt: skip
        answer = client.call("TransactWriteItems", {"TransactItems": items})
        if answer.ok:
            self.moved += 1
        elif answer.error == "TransactionCanceledException":
            self.refused += 1
        elif answer.status == 400:
            self.wrong.append(answer)
        else:
            self.unknown += 1

    def _auditor(self, _):
        dice = random.Random(self.seed)
        while not self.stopping.is_set():
            try:
                with Wire(dice.choice(self.addresses), timeout=12) as client:
                    answer = client.call("TransactGetItems", {"TransactItems": ALL})
            except BROKEN:
                continue
            if answer.ok:
                self.audits += 1
                total = audit(answer.json)
                if total != ACCOUNTS * START:
                    self.wrong.append(total)
            time.sleep(0.02)


def transfers():
    """the bank: transfers and audits by transactions while each of three is killed in turn; the index agrees at the end"""
    seed = int(os.environ.get("TRILITH_SEED", "7"))
    dice = random.Random(seed)
    with Folder() as folder, Cluster(folder) as cluster:
        with cluster.wire("a") as client:
            open_bank(client)
        bank = Bank([cluster.http(zone) for zone in ZONES], seed).run()
        for number in range(ROUNDS):
            victim = ZONES[number % 3]
            # Long enough for failover and for the locks of the dead to be freed, so that audits get through again.
            time.sleep(dice.uniform(2.0, 5.0))
            cluster.kill(victim)
            time.sleep(dice.uniform(0.2, 1.5))
            cluster.start()
        time.sleep(1)
        bank.stop()
        check(not bank.wrong, f"wrong sums in audits (of {ACCOUNTS * START}) or answers: {bank.wrong[:5]}")
        check(bank.moved > 50, f"only {bank.moved} transfers were made")
        with cluster.wire("b") as client:
            locked = free_within(client, 5.0)
            # While money moves, few audits find a moment without a change; this one must.
            same(audit(client.must("TransactGetItems", {"TransactItems": ALL})), ACCOUNTS * START, "the last audit")
            items = scan(client, {"ConsistentRead": True})
            same(sum(int(item["money"]["N"]) for item in items), ACCOUNTS * START, "the sum of all accounts")
            lag = index_agrees(client, items)
        # The servers' own word, which must be the same.
        same(compared(cluster), (ACCOUNTS, "equal"), "what table check says")
        return (
            f"{bank.moved} transfers, {bank.refused} cancelled, {bank.unknown} unknown, {bank.audits} audits; "
            f"all locks free after {locked:.1f} s, the index agreed after {lag:.1f} s"
        )


def open_bank(client):
    """The table with its index, and the accounts."""
    attribute = {"AttributeName": "own", "AttributeType": "S"}
    index = {
        "IndexName": INDEX,
        "KeySchema": [{"AttributeName": "own", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    request = {
        "TableName": "bank",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}, attribute],
        "GlobalSecondaryIndexes": [index],
    }
    client.must("CreateTable", request)
    deadline = time.monotonic() + 20
    while client.must("DescribeTable", {"TableName": "bank"})["Table"]["TableStatus"] != "ACTIVE":
        check(time.monotonic() < deadline, "the table does not become active")
        time.sleep(0.02)
    for number in range(ACCOUNTS):
        item = {**account(number), "money": {"N": str(START)}, "own": {"S": "owner-0"}}
        client.must("PutItem", {"TableName": "bank", "Item": item})


def free_within(client, bound):
    """Until a plain write of every account goes through: nothing stays locked; how long that took."""
    began = time.monotonic()
    for number in range(ACCOUNTS):
        update = {
            "TableName": "bank", "Key": account(number), "UpdateExpression": "SET touched = :t",
            "ExpressionAttributeValues": {":t": {"BOOL": True}},
        }  # fmt: skip
        while not client.call("UpdateItem", update).ok:
            check(time.monotonic() - began < bound, f"account {number} is still locked after {bound} s")
            time.sleep(0.02)
    return time.monotonic() - began


def scan(client, more):
    """All items of the table or of its index."""
    items, start = [], {}
    while True:
        page = client.must("Scan", {"TableName": "bank", **more, **start})
        items += page["Items"]
        if "LastEvaluatedKey" not in page:
            return items
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def compared(cluster):
    """Entries of the index, and how they compare with the table, as `trilith table check` says."""
    line = cluster.trilith("table", "check", "bank", "--admin", cluster.admin("c")).strip()
    told = re.fullmatch(rf"{INDEX} \(global\): (\d+) entries, (.*)", line)
    check(told, f"table check says {line!r}")
    return int(told[1]), told[2]


def index_agrees(client, items, bound=10.0):
    """Until the index has exactly the table's items: no ghost, none lost; how long that took."""
    began = time.monotonic()
    wanted = sorted(items, key=lambda item: item["pk"]["S"])
    while True:
        found = sorted(scan(client, {"IndexName": INDEX}), key=lambda item: item["pk"]["S"])
        if found == wanted:
            return time.monotonic() - began
        if time.monotonic() - began > bound:
            odd = [(one, other) for one, other in zip(wanted, found) if one != other][:2]
            check(False, f"the index differs: {len(found)} rows for {len(wanted)} items, {odd}")
        time.sleep(0.02)


CASES = [transfers]
