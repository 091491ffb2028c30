"""What reaches the disk, and what leaves it."""

import base64
import os
import pathlib
import random
import re
import signal
import subprocess
import threading
import time

from tests.harness.process import Dev, Folder, folder_bytes
from tests.harness.suite import Failure, check, same
from tests.harness.wire import Wire, create_table

OVERWRITTEN = 2 << 30
FOLDER_LIMIT = 500_000_000
VALUE = 32_000
TRACED_PUTS = 12


def synced_before_acknowledged():
    """strace: an acknowledged put is preceded by fdatasync on two of three logs"""
    with Folder() as folder, Dev(folder) as server:
        with server.wire() as client:
            create_table(client, "traced")
        trace = os.path.join(folder, "trace")
        tracer = subprocess.Popen(
            ["strace", "-f", "-y", "-ttt", "-s", "40", "-o", trace, "-p", str(server.pid)]
            + ["-e", "trace=fdatasync,fsync,read,recvfrom,write,writev,sendto,sendmsg"],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for_trace(server, trace)
            with server.wire() as client:
                for number in range(TRACED_PUTS):
                    # Far apart, so that a sync in this window belongs to this put and to no other.
                    time.sleep(0.3)
                    client.must("PutItem", {"TableName": "traced", "Item": {"pk": {"S": f"traced-{number}"}}})
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.wait(20)
        zones = [zones_synced(window) for window in put_windows(pathlib.Path(trace).read_text(errors="replace"))]
        same(len(zones), TRACED_PUTS, "puts found in the trace")
        for number, found in enumerate(zones):
            check(len(found) >= 2, f"put {number} was acknowledged after fdatasync in {sorted(found) or 'no zone'}")
        return f"{TRACED_PUTS} puts, logs synced before the answer: {[len(found) for found in zones]}"


def wait_for_trace(server, trace):
    """Until strace is attached: requests show up in its output."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        with server.wire() as client:
            client.call("ListTables", {})
        time.sleep(0.2)
        if os.path.exists(trace) and "POST / HTTP" in pathlib.Path(trace).read_text(errors="replace"):
            return
    raise Failure("strace cannot attach to the server, or shows no request")


def put_windows(text):
    """For each put: the lines between the request's arrival and the first response that follows.

    The window begins where the request is read and ends at the first write of an HTTP response to a socket.
    """
    windows, current = [], None
    for line in text.splitlines():
        if current is None:
            if "POST / HTTP" in line and ("read" in line or "recv" in line):
                current = []
        elif '"HTTP/1.1 200' in line and ("write" in line or "send" in line):
            windows.append(current)
            current = None
        else:
            current.append(line)
    # Requests for ListTables (the waiting above) sync nothing and are left out; there are as many puts as at the end.
    return windows[-TRACED_PUTS:]


def zones_synced(window):
    """The zones whose log was synced: by the path behind the file descriptor, at the call's end."""
    found = set()
    unfinished = {}
    for line in window:
        thread = line.split()[0]
        begun = re.search(r"(?:fdatasync|fsync)\(\d+<([^>]+)>", line)
        if begun and "unfinished" in line:
            unfinished[thread] = begun.group(1)
            continue
        done = begun.group(1) if begun else None
        if done is None and re.search(r"<\.\.\. (?:fdatasync|fsync) resumed>", line):
            done = unfinished.pop(thread, None)
        zone = re.search(r"/([abc])/log/", done) if done else None
        if zone and re.search(r"= 0$", line.strip()):
            found.add(zone.group(1))
    return found


def overwriting_stays_small():
    """overwriting 1,000 keys with 2 GB leaves the folder under 500 MB"""
    with Folder() as folder, Dev(folder) as server:
        with server.wire() as client:
            create_table(client, "overwritten")
        # Text that compresses badly: a database must not pass because the test writes zeros.
        text = base64.b64encode(random.Random(7).randbytes(VALUE * 6)).decode()
        rounds = OVERWRITTEN // (1000 * VALUE) + 1
        began = time.monotonic()
        threads = [
            threading.Thread(target=overwrite, args=(server.http, part, rounds, text), daemon=True) for part in range(4)
        ]
        for thread in threads:
            thread.start()
        biggest = 0
        while any(thread.is_alive() for thread in threads):
            biggest = max(biggest, folder_bytes(folder))
            check(time.monotonic() - began < 600, "2 GB were not written in 10 minutes")
            time.sleep(1)
        took = time.monotonic() - began
        size = settle(folder, FOLDER_LIMIT, 60)
        check(size < FOLDER_LIMIT, f"the folder holds {size / 1e6:.0f} MB after 60 s (at most {biggest / 1e6:.0f} MB)")
        with server.wire() as client:
            for key in range(1000):
                request = {
                    "TableName": "overwritten",
                    "Key": {"pk": {"S": f"k{key}"}},
                    "ProjectionExpression": "r",
                    "ConsistentRead": True,
                }
                same(client.must("GetItem", request)["Item"], {"r": {"N": str(rounds - 1)}}, f"the last k{key}")
        return f"{size / 1e6:.0f} MB after {OVERWRITTEN / 2**30:.0f} GB in {took:.0f} s; {biggest / 1e6:.0f} MB at most"


def overwrite(address, part, rounds, text):
    """A quarter of the 1,000 keys, again and again, ten to a batch."""
    with Wire(address, timeout=60) as client:
        for number in range(rounds):
            for start in range(part * 250, part * 250 + 250, 10):
                offset = (number * 977 + start * 31) % (len(text) - VALUE)
                value = {"S": text[offset : offset + VALUE]}
                batch = [
                    {"PutRequest": {"Item": {"pk": {"S": f"k{i}"}, "r": {"N": str(number)}, "v": value}}}
                    for i in range(start, start + 10)
                ]
                left = {"overwritten": batch}
                for _ in range(50):
                    answer = client.call("BatchWriteItem", {"RequestItems": left})
                    if answer.ok:
                        left = answer.json["UnprocessedItems"]
                        if not left:
                            break
                    # Overload is told, and this client waits as SDKs do.
                    time.sleep(0.1)
                else:
                    raise AssertionError(f"a batch was refused 50 times: {answer!r}")


def settle(folder, limit, patience):
    """The folder's size, as soon as it is below the limit, or after `patience` seconds."""
    deadline = time.monotonic() + patience
    while True:
        size = folder_bytes(folder)
        if size < limit or time.monotonic() > deadline:
            return size
        time.sleep(0.5)


def deleting_shrinks():
    """DeleteTable shrinks the folder within 60 s"""
    with Folder() as folder, Dev(folder) as server:
        with server.wire() as client:
            create_table(client, "kept")
            client.must("PutItem", {"TableName": "kept", "Item": {"pk": {"S": "a"}}})
            empty = folder_bytes(folder)
            create_table(client, "overwritten")
        text = base64.b64encode(random.Random(8).randbytes(VALUE * 6)).decode()
        threads = [
            threading.Thread(target=overwrite, args=(server.http, part, 4, text), daemon=True) for part in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(240)
            check(not thread.is_alive(), "the table cannot be filled")
        full = folder_bytes(folder)
        live = 3 * 1000 * VALUE
        check(full - empty > live, f"the folder grew by {(full - empty) / 1e6:.0f} MB only")
        began = time.monotonic()
        with server.wire() as client:
            client.must("DeleteTable", {"TableName": "overwritten"})
            # Live data must be gone; the log keeps its bounded share, so the folder need not be as small as when empty.
            wanted = full - int(0.9 * live)
            size = settle(folder, wanted, 60)
            took = time.monotonic() - began
            check(
                size <= wanted, f"{full / 1e6:.0f} MB became {size / 1e6:.0f} MB in 60 s; {live / 1e6:.0f} MB were live"
            )
            key = {"TableName": "kept", "Key": {"pk": {"S": "a"}}, "ConsistentRead": True}
            same(client.must("GetItem", key), {"Item": {"pk": {"S": "a"}}}, "the other table's item")
        return f"{full / 1e6:.0f} MB became {size / 1e6:.0f} MB in {took:.0f} s"


CASES = [synced_before_acknowledged, overwriting_stays_small, deleting_shrinks]
