"""Writers that never lie to themselves: what was acknowledged, what was only attempted, and the check afterwards.

Each key has one writer, which writes the numbers 1, 2, 3 ... into it. An acknowledged number must be there after any
fault. A number that was sent but not acknowledged may be there or not, now or later. So the value of a key must lie
between the last number acknowledged and the last one sent; anything else is a lost or an invented write. The payload
is computed from key and number, so that a torn or mixed value shows.
"""

import hashlib
import threading
import time

from tests.harness.suite import Failure
from tests.harness.wire import BROKEN, Wire


def payload(key, number):
    """The text that goes with a number: 64 to 575 characters, different for each."""
    digest = hashlib.sha256(f"{key}/{number}".encode()).hexdigest()
    return digest * (1 + int(digest[:2], 16) % 9)


class Ledger:
    """Some writers on one table (string key `pk`), each with its own connection and its own keys."""

    def __init__(self, table, addresses, writers=4, keys=16):
        self.table = table
        self.addresses = addresses if callable(addresses) else (lambda: addresses)
        self.acknowledged = {f"w{w}-k{k}": 0 for w in range(writers) for k in range(keys)}
        self.sent = dict(self.acknowledged)
        self.failures = 0
        self.writers = writers
        self.stopping = threading.Event()
        self.threads = []

    def start(self):
        """Starts the writers."""
        self.stopping.clear()
        self.threads = [threading.Thread(target=self._write, args=(w,), daemon=True) for w in range(self.writers)]
        for thread in self.threads:
            thread.start()
        return self

    def stop(self):
        """Ends the writers; returns how many writes are acknowledged in all."""
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)
            if thread.is_alive():
                raise Failure("a writer hangs in a request for 30 s")
        return self.total()

    def total(self):
        """Acknowledged writes so far."""
        return sum(self.acknowledged.values())

    def _write(self, writer):
        keys = [key for key in self.acknowledged if key.startswith(f"w{writer}-")]
        turn, connection = writer, None
        while not self.stopping.is_set():
            for key in keys:
                if self.stopping.is_set():
                    break
                if connection is None:
                    addresses = self.addresses()
                    connection = Wire(addresses[turn % len(addresses)], timeout=8)
                number = self.sent[key] + 1
                item = {"pk": {"S": key}, "n": {"N": str(number)}, "v": {"S": payload(key, number)}}
                self.sent[key] = number
                try:
                    done = connection.call("PutItem", {"TableName": self.table, "Item": item}).ok
                except BROKEN:
                    done = False
                if done:
                    self.acknowledged[key] = number
                else:
                    # Another node next, and not at once: a server that is being killed must not be hammered.
                    self.failures += 1
                    turn += 1
                    connection.close()
                    connection = None
                    time.sleep(0.02)
        if connection is not None:
            connection.close()

    def verify(self, address):
        """Reads every key strongly through one node; raises on the first one that is wrong."""
        with Wire(address, timeout=20) as connection:
            for key, acknowledged in self.acknowledged.items():
                answer = read(connection, self.table, key)
                self._judge(key, acknowledged, answer.get("Item"), address)
        return len(self.acknowledged)

    def _judge(self, key, acknowledged, item, address):
        if item is None:
            if acknowledged:
                raise Failure(f"{key} is gone on {address}: write {acknowledged} was acknowledged")
            return
        number = int(item["n"]["N"])
        if not acknowledged <= number <= self.sent[key]:
            raise Failure(
                f"{key} holds {number} on {address}; acknowledged up to {acknowledged}, sent up to {self.sent[key]}"
            )
        if item["v"]["S"] != payload(key, number):
            raise Failure(f"{key} holds a payload that does not belong to {number} on {address}")


def read(connection, table, key, patience=10.0):
    """A strong read that outlasts a failover; returns the response JSON."""
    deadline = time.monotonic() + patience
    while True:
        request = {"TableName": table, "Key": {"pk": {"S": key}}, "ConsistentRead": True}
        try:
            answer = connection.call("GetItem", request)
            if answer.ok:
                return answer.json
            trouble = repr(answer)
        except BROKEN as error:
            trouble = repr(error)
        if time.monotonic() > deadline:
            raise Failure(f"{key} cannot be read on {connection.host}:{connection.port}: {trouble}")
        time.sleep(0.05)
