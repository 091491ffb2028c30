"""Server processes: started, awaited, stopped, killed, and looked at from outside.

Every process that is started here is ended here, by its own id, at the latest when this program exits.
"""

import atexit
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from tests.harness.wire import Wire, get

ROOT = pathlib.Path(__file__).resolve().parents[2]
_started = []


@atexit.register
def _end_all():
    for process in _started:
        if process.poll() is None:
            # A stopped process does not die of SIGTERM, and a test may have left one stopped.
            process.kill()


def binary():
    """The server binary under test: $TRILITH, else the checked build of this clone."""
    named = os.environ.get("TRILITH")
    if named:
        return named
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return str(ROOT / target / "debug" / "trilith")


class Folder:
    """A scratch folder that goes away with the `with` block (kept when TRILITH_KEEP is set)."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="trilith-test-")
        return self.path

    def __exit__(self, *_):
        if not os.environ.get("TRILITH_KEEP"):
            shutil.rmtree(self.path, ignore_errors=True)


def folder_bytes(path):
    """Bytes that a folder takes on disk (blocks, not lengths: preallocated and sparse files count as they cost)."""
    total = 0
    for base, _, files in os.walk(path):
        for name in files:
            try:
                total += os.lstat(os.path.join(base, name)).st_blocks * 512
            except FileNotFoundError:
                pass  # compaction deletes files while we walk
    return total


def free_ports(count):
    """Ports that nobody listens on just now."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def resident_bytes(pid):
    """Resident memory of a process."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text).group(1)) * 1024


def cpu_seconds(pid):
    """Processor time that a process has used, user and system."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Dev:
    """`trilith dev` on free ports."""

    def __init__(self, folder, *flags, wait=30.0, environment=None, **addresses):
        ports = {name: addresses.get(name, "127.0.0.1:0") for name in ("http", "grpc", "admin")}
        self.folder = folder
        command = [binary(), "dev"]
        if folder is not None:
            command += ["--data-dir", str(folder)]
        for name, address in ports.items():
            command += [f"--{name}", address]
        self.command = command + list(flags)
        self.environment = {**os.environ, **(environment or {})}
        self.output = []
        self.start(wait)

    def start(self, wait=30.0):
        """Starts the process and waits for its ready line; `ready_after` says how long that took."""
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            self.command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        _started.append(self.process)
        self._ready = threading.Event()
        self.addresses = {}
        threading.Thread(target=self._read, args=(self.process,), daemon=True).start()
        deadline = self.began + wait
        while not self._ready.wait(0.005):
            if self.process.poll() is not None:
                time.sleep(0.1)
                raise AssertionError(f"the server ended with {self.process.returncode}: {self.tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"the server was not ready in {wait} s: {self.tail()}")
        return self

    def _read(self, process):
        for line in process.stdout:
            self.output.append(line.rstrip("\n"))
            if line.startswith("ready "):
                self.ready_after = time.monotonic() - self.began
                self.addresses = dict(part.split("=", 1) for part in line.split()[1:])
                self._ready.set()

    def tail(self):
        """The last lines that the server wrote."""
        return " | ".join(self.output[-5:])

    def _address(self, name):
        """'host:port' as a client on this machine uses it, from `http=…` in the ready line (a URL or an address)."""
        text = self.addresses[name].split(",")[0]
        return text.partition("://")[2].rstrip("/") if "://" in text else text

    @property
    def http(self):
        """Where the DynamoDB API listens."""
        return self._address("http")

    @property
    def grpc(self):
        """Where gRPC listens."""
        return self._address("grpc")

    @property
    def admin(self):
        """Where metrics and health are."""
        return self._address("admin")

    @property
    def pid(self):
        """The process id."""
        return self.process.pid

    def wire(self, timeout=15.0):
        """A new connection."""
        return Wire(self.http, timeout)

    def kill(self):
        """kill -9."""
        self.process.kill()
        self.process.wait(30)

    def stop(self, wait=30.0):
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(wait)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.kill()


ZONES = ("a", "b", "c")


class Cluster:
    """Three processes through deploy/local/cluster.sh, on ports nobody uses."""

    def __init__(self, folder, wait=60):
        self.folder = pathlib.Path(folder)
        self.base = self._free_base()
        self.environment = {
            **os.environ,
            "TRILITH": binary(),
            "TRILITH_PORTS": str(self.base),
            "TRILITH_WAIT": str(wait),
        }
        # First of all, as a start that fails may leave nodes behind.
        atexit.register(self.end)
        self.start()

    @staticmethod
    def _free_base():
        for base in range(18100, 28100, 100):
            try:
                for offset in (1, 2, 3, 11, 12, 13, 21, 22, 23, 31, 32, 33):
                    with socket.socket() as probe:
                        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                        probe.bind(("127.0.0.1", base + offset))
                return base
            except OSError:
                continue
        raise AssertionError("no free ports for three processes")

    def script(self, action, check=True):
        """Runs cluster.sh; returns its output."""
        run = subprocess.run(
            [ROOT / "deploy/local/cluster.sh", action, self.folder],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        if check and run.returncode != 0:
            raise AssertionError(f"cluster.sh {action} failed: {run.stdout.strip()[-600:]}")
        return run.stdout

    def start(self, check=True):
        """Starts what does not run."""
        return self.script("start", check)

    def _index(self, zone):
        return ZONES.index(zone) + 1

    def http(self, zone):
        """Where a node's DynamoDB API listens."""
        return f"127.0.0.1:{self.base + self._index(zone)}"

    def grpc(self, zone):
        """Where a node's gRPC listens."""
        return f"127.0.0.1:{self.base + 10 + self._index(zone)}"

    def admin(self, zone):
        """Where a node's metrics and health are."""
        return f"127.0.0.1:{self.base + 20 + self._index(zone)}"

    def pid(self, zone):
        """The process id of a node, or None when it does not run."""
        try:
            pid = int((self.folder / f"{zone}.pid").read_text())
            line = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if str(self.folder / f"{zone}.toml").encode() in line else None

    def signal(self, zone, number):
        """Sends a signal to a node."""
        pid = self.pid(zone)
        if pid is None:
            raise AssertionError(f"node {zone} does not run")
        os.kill(pid, number)

    def kill(self, zone):
        """kill -9, and waits until the process is gone."""
        self.signal(zone, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while self.pid(zone) is not None:
            if time.monotonic() > deadline:
                raise AssertionError(f"node {zone} outlived SIGKILL")
            time.sleep(0.01)

    def ready(self, zone):
        """Whether a node serves."""
        try:
            return get(self.admin(zone), "/readyz", 2)[0] == 200
        except OSError:
            return False

    def ready_after(self, zones, patience=20.0):
        """Starts what does not run, and gives the seconds from then on until the slowest of `zones` serves."""
        began = time.monotonic()
        starting = subprocess.Popen(
            [ROOT / "deploy/local/cluster.sh", "start", self.folder],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        _started.append(starting)
        waiting, took = set(zones), 0.0
        while waiting:
            took = time.monotonic() - began
            if took > patience:
                raise AssertionError(f"not ready after {patience} s: {', '.join(sorted(waiting))}")
            waiting = {zone for zone in waiting if not self.ready(zone)}
            time.sleep(0.01)
        output, _ = starting.communicate(timeout=60)
        if starting.returncode != 0:
            raise AssertionError(f"cluster.sh start failed: {output.strip()[-600:]}")
        return took

    def wire(self, zone, timeout=15.0):
        """A new connection to a node."""
        return Wire(self.http(zone), timeout)

    def command(self, *arguments, check=True):
        """Runs `trilith cluster …`; returns its standard output."""
        return self.trilith("cluster", *arguments, check=check)

    @staticmethod
    def trilith(*arguments, check=True):
        """Runs `trilith …`; returns its standard output."""
        run = subprocess.run(
            [binary(), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        if check and run.returncode != 0:
            raise AssertionError(f"trilith {' '.join(arguments)}: {run.stdout.strip()[-600:]}")
        return run.stdout

    def status(self, zone="a"):
        """`trilith cluster status --json` asked of a node, parsed."""
        return json.loads(self.command("status", "--admin", self.admin(zone), "--json"))

    def leaders(self, zone="a"):
        """{shard id: zone whose node leads it}, as a node knows it; shards without a leader are left out."""
        found = self.status(zone)
        zones = {node["id"]: node["zone"] for node in found["nodes"]}
        return {shard["id"]: zones[shard["leader"]] for shard in found["shards"] if shard["leader"]}

    def log_tail(self, zone):
        """The last line of a node's log."""
        lines = (self.folder / f"{zone}.log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def end(self):
        """Ends what still runs, whatever state it is in."""
        for zone in ZONES:
            pid = self.pid(zone)
            if pid is not None:
                os.kill(pid, signal.SIGKILL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
