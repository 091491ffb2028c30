"""What is measured: each subject starts, is filled, answers where it listens, and stops."""

import os
import shutil
import subprocess
import tempfile
import time

from tests.harness.process import Cluster, Dev, Folder, free_ports
from tests.harness.wire import Wire, create_table, get

KEYS = 10_000


def fill(address):
    """Table `bench` with 10,000 items of about 130 bytes."""
    with Wire(address, timeout=60) as client:
        create_table(client, "bench")
        for start in range(0, KEYS, 25):
            puts = [
                {"PutRequest": {"Item": {"pk": {"S": f"user{i:08}"}, "v": {"S": "v" * 100}, "n": {"N": str(i)}}}}
                for i in range(start, start + 25)
            ]
            left = {"bench": puts}
            while left:
                left = client.must("BatchWriteItem", {"RequestItems": left})["UnprocessedItems"]


class TrilithDev:
    """`trilith dev` with default durability: three zones in one process."""

    title = "trilith dev"
    ours = True
    note = "three replicas in one process, acknowledged after two fsyncs"
    script = "item.lua"
    modes = ("get", "getc", "put", "query", "mixed")

    def __enter__(self):
        self.folder = Folder()
        self.server = Dev(self.folder.__enter__())
        fill(self.server.http)
        return [self.server.http]

    def __exit__(self, *_):
        self.server.kill()
        self.folder.__exit__()


class TrilithCluster:
    """Three processes on loopback, through deploy/local/cluster.sh; the load goes to one of them."""

    title = "trilith, three processes"
    ours = True
    note = "three replicas in three processes; the load enters through one node"
    script = "item.lua"
    modes = TrilithDev.modes

    def __enter__(self):
        self.folder = Folder()
        self.cluster = Cluster(self.folder.__enter__())
        fill(self.cluster.http("a"))
        return [self.cluster.http("a")]

    def __exit__(self, *_):
        self.cluster.end()
        self.folder.__exit__()


class Dynoxide:
    """dynoxide 3.2.0: one process, in memory, no replication."""

    title = "dynoxide 3.2.0"
    ours = False
    note = "one process, in memory, no replication"
    script = "item.lua"
    modes = TrilithDev.modes

    def __enter__(self):
        (port,) = free_ports(1)
        program = shutil.which("dynoxide")
        if program is None:
            raise FileNotFoundError("dynoxide is not installed (cargo install dynoxide-rs --version 3.2.0)")
        self.process = subprocess.Popen(
            [program, "--port", str(port), "--log", "quiet"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        address = f"127.0.0.1:{port}"
        await_listener(address)
        fill(address)
        return [address]

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Etcd:
    """Three etcd processes, durable, through the JSON gateway of one of them."""

    title = "etcd, three processes"
    ours = False
    note = (
        "three replicas in three processes, durable, through its JSON gateway; get is serializable, getc linearizable"
    )
    script = "etcd.lua"
    modes = ("get", "getc", "put")

    def __enter__(self):
        program = shutil.which("etcd")
        if program is None:
            raise FileNotFoundError("etcd is not installed (apt-get install etcd-server)")
        self.folder = tempfile.mkdtemp(prefix="trilith-etcd-")
        ports = free_ports(6)
        members = [(f"m{i}", ports[2 * i], ports[2 * i + 1]) for i in range(3)]
        initial = ",".join(f"{name}=http://127.0.0.1:{peer}" for name, _, peer in members)
        self.processes = [self._member(program, member, initial) for member in members]
        address = f"127.0.0.1:{ports[0]}"
        deadline = time.monotonic() + 30
        while True:
            try:
                if get(address, "/health")[1].find('"true"') >= 0:
                    break
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise AssertionError("etcd is not healthy after 30 s")
            time.sleep(0.2)
        return [address]

    def _member(self, program, member, initial):
        name, client, peer = member
        return subprocess.Popen(
            [program, "--name", name, "--data-dir", os.path.join(self.folder, name), "--initial-cluster", initial]
            + [
                "--listen-client-urls",
                f"http://127.0.0.1:{client}",
                "--advertise-client-urls",
                f"http://127.0.0.1:{client}",
            ]
            + [
                "--listen-peer-urls",
                f"http://127.0.0.1:{peer}",
                "--initial-advertise-peer-urls",
                f"http://127.0.0.1:{peer}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def await_listener(address):
    """Until something answers requests on an address."""
    deadline = time.monotonic() + 20
    while True:
        try:
            with Wire(address, timeout=2) as client:
                client.call("ListTables", {})
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


SUBJECTS = (TrilithDev, TrilithCluster, Dynoxide, Etcd)
