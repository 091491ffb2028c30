"""`python3 -m tests.sdk [PATTERN ...]`: the program of the README, and the matrix of operation by client.

The matrix is written to tests/sdk/matrix.md: a table that is made, never edited.
"""

import copy
import json
import os
import pathlib
import re
import subprocess
import sys

from tests.harness.process import ROOT, Dev, Folder
from tests.harness.suite import Failure, Suite, check, same
from tests.scripts.script import mismatch
from tests.sdk.clients import STREAMS, Boto3, Cli, JavaScript, Refused, Unknown
from tests.sdk.grpc_client import SERVICE, Grpc

HERE = pathlib.Path(__file__).parent
STEPS = json.loads((HERE / "operations.json").read_text(encoding="utf-8"))
OPERATIONS = list(dict.fromkeys(step["operation"] for step in STEPS))
RUST = "SDK for Rust"
NEWER = "newer than it"
ELSEWHERE = "another package"
BULK = ("ListBulkOperations", "DescribeBulkOperation")
ABSENT = {
    Cli.title: dict.fromkeys((*BULK, "SearchVectors"), NEWER),
    JavaScript.title: dict.fromkeys(STREAMS, ELSEWHERE),
    RUST: {**dict.fromkeys(BULK, NEWER), **dict.fromkeys(STREAMS, ELSEWHERE)},
}
"""Operations that a client of the pinned version does not have, and why. Said here, so that none is left out by itself."""

suite = Suite("sdk")
matrix = {}


def filled(value, table, arn):
    """A step with the table's name and ARN in place."""
    if isinstance(value, str):
        return value.replace("$T", table).replace("$ARN", arn)
    if isinstance(value, list):
        return [filled(one, table, arn) for one in value]
    if isinstance(value, dict):
        return {filled(name, table, arn): filled(one, table, arn) for name, one in value.items()}
    return value


def round_trips(client, table):
    """Every step through one client; the first thing wrong with each operation lands in the matrix."""
    column = matrix.setdefault(client.title, new_column(client.title, "ok"))
    arn, wrong = "", []
    for number, step in enumerate(STEPS):
        operation = step["operation"]
        trouble, answer = one_step(client, filled(copy.deepcopy(step), table, arn), ABSENT.get(client.title, {}))
        if operation == "DescribeTable" and answer:
            arn = answer["Table"].get("TableArn", "")
        if trouble:
            wrong.append(f"step {number} {operation}: {trouble}")
            column[operation] = "FAILED"
    client.close()
    if wrong:
        raise Failure("; ".join(wrong[:5]) + (f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""))


def new_column(title, mark):
    """A client's column: its mark for every operation that it has, and why it has not the others."""
    return {operation: ABSENT.get(title, {}).get(operation, mark) for operation in OPERATIONS}


def one_step(client, step, absent):
    """(what was wrong or None, the answer)."""
    expected = step.get("expect")
    try:
        answer = client.call(step["operation"], step["request"])
    except Unknown:
        return (None if step["operation"] in absent else "the client does not have it"), None
    except Refused as refused:
        if step["operation"] in absent:
            return "the client has it, and is said not to", None
        return (None if refused.name == step.get("error") else str(refused)), None
    except Exception as error:  # whatever a library raises is a failed operation of that library
        return f"{type(error).__name__}: {error}", None
    if step["operation"] in absent:
        return "the client has it, and is said not to", None
    if "error" in step:
        return f"expected {step['error']}, found {json.dumps(answer)[:200]}", None
    return mismatch(expected, answer, "", loose=client.title == Grpc.title), answer


def run_program(text, address):
    """Runs a program against an address in place of localhost:8000; returns its output."""
    environment = {**os.environ, "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    run = subprocess.run(
        [sys.executable, "-c", text.replace("http://localhost:8000", f"http://{address}")],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    check(run.returncode == 0, run.stderr.strip()[-500:])
    return run.stdout


def right_answers(output):
    """Checks the two printed lines against answers computed here."""
    page, count = output.strip().splitlines()
    rows = [(f"2020-10-{i % 28 + 1:02}T{i:05}", i) for i in range(2000) if i % 50 == 1 and i % 28 + 1 < 10]
    prices = [price + 5 if price == 1 else price for _, price in sorted(rows)]
    from decimal import Decimal

    found = eval(page, {"Decimal": Decimal, "__builtins__": {}})  # our own program printed it
    same([int(item["price"]) for item in found["Items"]], prices, "prices")
    same((found["Count"], found["ScannedCount"]), (len(prices), len(prices)), "counts of the query")
    check(all(set(item) == {"price"} for item in found["Items"]), "the projection let more through")
    same(count, "9", "count of the scan")


@suite.case
def program():
    """the program of the issue; its last two lines again after kill -9 and a restart"""
    text = (HERE / "program.py").read_text(encoding="utf-8")
    lines = text.splitlines()
    again = "\n".join([*lines[:3], 't = db.Table("orders")', *lines[-2:]])
    with Folder() as folder, Dev(folder) as server:
        right_answers(run_program(text, server.http))
        right_answers(run_program(again, server.http))
        server.kill()
        server.start()
        right_answers(run_program(again, server.http))
        return f"ready {server.ready_after:.2f} s after kill -9"


@suite.case
def readme():
    """the Python program of README.md, as it stands there"""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    programs = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    same(len(programs), 1, "Python programs in README.md")
    with Folder() as folder, Dev(folder) as server:
        printed = run_program(programs[0], server.http)
        check("Decimal('999')" in printed and "'item': 'sofa'" in printed, f"it printed {printed!r}")


def works():
    """The operations that README.md says work: a table that a test makes from the code."""
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("<!-- operations:begin -->")[2]
    rows = re.findall(r"^\| (\w+)(?: \(Streams\))? \| yes \|", table.partition("<!-- operations:end -->")[0], re.M)
    check(rows, "README.md has no table of operations")
    return rows


@suite.case
def complete():
    """every operation that works has a step"""
    missing = [operation for operation in works() if operation not in OPERATIONS]
    check(not missing, f"operations.json has no step for {', '.join(missing)}")


server = None


@suite.case
def boto3():
    """every operation through boto3"""
    round_trips(Boto3(f"http://{server.http}"), "matrix-boto3")


@suite.case
def aws_cli():
    """every operation through the AWS CLI"""
    round_trips(Cli(f"http://{server.http}"), "matrix-cli")


@suite.case
def javascript():
    """every operation through the AWS SDK for JavaScript, and documents through lib-dynamodb"""
    round_trips(JavaScript(f"http://{server.http}"), "matrix-javascript")


@suite.case
def javascript_documents():
    """values of JavaScript's own through lib-dynamodb"""
    client, maker = JavaScript(f"http://{server.http}"), Boto3(f"http://{server.http}")
    create = filled(STEPS[0]["request"], "matrix-documents", "")
    maker.call("CreateTable", create)
    maker.call("DescribeTable", {"TableName": "matrix-documents"})
    client.call("Document", {"TableName": "matrix-documents"})
    maker.call("DeleteTable", {"TableName": "matrix-documents"})
    client.close()


@suite.case
def rust():
    """every operation through the AWS SDK for Rust (built once, into the cache)"""
    target = os.environ.get("TRILITH_SDK_RUST_TARGET", str(ROOT / "target" / "sdk-rust"))
    # The flags of the workspace stay out, so that the program is built as its users would build it.
    environment = {**os.environ, "CARGO_TARGET_DIR": target}
    subprocess.run(
        ["cargo", "build", "--quiet", "--locked"], cwd=HERE / "rust", env=environment, check=True, timeout=1500
    )
    column = matrix.setdefault(RUST, new_column(RUST, "not called"))
    run = subprocess.run(
        [f"{target}/debug/trilith-sdk-rust", f"http://{server.http}", "matrix-rust"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    wrong = []
    for line in run.stdout.splitlines():
        result, _, rest = line.partition(" ")
        operation, _, detail = rest.partition(" ")
        check(operation not in ABSENT[RUST], f"the program calls {operation}, which the SDK is said not to have")
        if result == "ok":
            column[operation] = "ok" if column.get(operation) != "FAILED" else "FAILED"
        else:
            column[operation] = "FAILED"
            wrong.append(f"{operation}: {detail}")
    check(run.returncode == 0 and not wrong, "; ".join(wrong[:5]) or run.stderr.strip()[-500:])
    missing = [operation for operation in OPERATIONS if column[operation] == "not called"]
    check(not missing, f"the program did not call {', '.join(missing)}")


@suite.case
def grpc():
    """every operation over gRPC, through server reflection"""
    round_trips(Grpc(server.grpc), "matrix-grpc")


@suite.case
def grpc_services():
    """reflection lists the data, health and reflection services, and health says SERVING"""
    client = Grpc(server.grpc)
    found = client.services()
    for wanted in (SERVICE, "grpc.health.v1.Health"):
        check(wanted in found, f"{wanted} is not among {found}")
    same(client.healthy(), "SERVING", "health")
    client.close()


@suite.case
def one_store():
    """what one client wrote, another reads"""
    boto, rpc = Boto3(f"http://{server.http}"), Grpc(server.grpc)
    boto.call("CreateTable", filled(STEPS[0]["request"], "matrix-shared", ""))
    boto.call("DescribeTable", {"TableName": "matrix-shared"})
    item = {"pk": {"S": "x"}, "sk": {"N": "1"}, "m": {"M": {"b": {"B": "AAE="}, "ns": {"NS": ["1"]}}}}
    rpc.call("PutItem", {"TableName": "matrix-shared", "Item": item})
    key = {"TableName": "matrix-shared", "Key": {"pk": {"S": "x"}, "sk": {"N": "1"}}, "ConsistentRead": True}
    same(boto.call("GetItem", key), {"Item": item}, "the item that gRPC wrote")
    same(rpc.call("GetItem", key), {"Item": item}, "the item over gRPC")
    boto.call("DeleteTable", {"TableName": "matrix-shared"})
    rpc.close()


def write_matrix():
    """The table of operation by client."""
    clients = list(matrix)
    lines = [
        "# Operations by client",
        "",
        "Made by `python3 -m tests.sdk`: each operation of this version, called and checked through each client.",
        f"`{NEWER}`: the client, in the version that is used, does not have the operation yet; `{ELSEWHERE}`: the client's",
        "makers put the streams service into a package of its own, which is not used here.",
        "",
        "| operation | " + " | ".join(clients) + " |",
        "|---|" + "---|" * len(clients),
    ]
    lines += [
        f"| {operation} | " + " | ".join(matrix[c][operation] for c in clients) + " |" for operation in OPERATIONS
    ]
    (HERE / "matrix.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main():
    """Starts a server and runs the cases; the matrix is written when all of it was run."""
    global server
    with Folder() as folder, Dev(folder) as started:
        server = started
        code = suite.run(sys.argv[1:])
    if len(matrix) == 5:
        write_matrix()
    return code


if __name__ == "__main__":
    sys.exit(main())
