"""Opens the kept data folder of each earlier version and reads everything in it.

usage: python3 -m tests.upgrade          every folder in tests/upgrade/*.tar.gz
       python3 -m tests.upgrade make     writes the folder of the binary's own version, where there is none yet
"""

import pathlib
import subprocess
import sys
import tarfile

from tests.harness.process import Dev, Folder, binary
from tests.harness.suite import Suite, check, same

HERE = pathlib.Path(__file__).parent
VALUES = {
    "S": {"S": "text \u00e9 \U0001f600"},
    "N": {"N": "-12345678901234567890.123456789"},
    "B": {"B": "AAEC/w=="},
    "BOOL": {"BOOL": True},
    "NULL": {"NULL": True},
    "SS": {"SS": ["a", "b"]},
    "NS": {"NS": ["-1", "2.5"]},
    "BS": {"BS": ["AA==", "AQ=="]},
    "L": {"L": [{"S": "x"}, {"L": [{"N": "1"}]}]},
    "M": {"M": {"k": {"M": {"deep": {"S": "y"}}}}},
}


def items():
    """The items of a kept folder: every attribute type, two partitions of many sort keys."""
    for i in range(40):
        yield {"pk": {"S": f"p{i % 2}"}, "sk": {"N": str(i)}, **VALUES}


def fill(wire):
    """Writes what `read_back` expects."""
    wire.must(
        "CreateTable",
        {
            "TableName": "kept",
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            "AttributeDefinitions": [
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "N"},
            ],
            "Tags": [{"Key": "made", "Value": "then"}],
        },
    )
    for item in items():
        wire.must("PutItem", {"TableName": "kept", "Item": item})
    wire.must("DeleteItem", {"TableName": "kept", "Key": {"pk": {"S": "p0"}, "sk": {"N": "0"}}})


def number(item):
    """The sort key."""
    return int(item["sk"]["N"])


def read_back(wire):
    """Every item is there, in order, and the folder takes writes."""
    expected = list(items())[1:]
    got = []
    for partition in ("p0", "p1"):
        page = wire.must(
            "Query",
            {
                "TableName": "kept",
                "ConsistentRead": True,
                "KeyConditionExpression": "pk = :p",
                "ExpressionAttributeValues": {":p": {"S": partition}},
            },
        )
        got += page["Items"]
    same(sorted(got, key=number), sorted(expected, key=number), "items")
    description = wire.must("DescribeTable", {"TableName": "kept"})["Table"]
    same(description["TableStatus"], "ACTIVE", "table status")
    tags = wire.must("ListTagsOfResource", {"ResourceArn": description["TableArn"]})["Tags"]
    same(tags, [{"Key": "made", "Value": "then"}], "tags")
    wire.must("PutItem", {"TableName": "kept", "Item": {"pk": {"S": "new"}, "sk": {"N": "1"}}})


def make():
    """Keeps a folder of this version."""
    with Folder() as folder:
        with Dev(folder) as dev:
            fill(dev.wire())
            version = subprocess.check_output([binary(), "--version"], text=True).split()[1]
            dev.stop()
        archive = HERE / f"{version}.tar.gz"
        if archive.exists():
            print(f"{archive.name} is kept already; a kept folder never changes")
            return
        with tarfile.open(archive, "w:gz", compresslevel=9) as tar:
            tar.add(folder, arcname="data")
        print(f"{archive.name}: {archive.stat().st_size} bytes")


def case_of(archive):
    """A case that opens a copy of one kept folder, twice: the second start reads what the first one wrote."""

    def case():
        with Folder() as folder:
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter="data")
            for _ in range(2):
                with Dev(f"{folder}/data") as dev:
                    read_back(dev.wire())
                    dev.stop()

    return case


def main():
    """Runs the cases, or makes a folder."""
    if sys.argv[1:] == ["make"]:
        make()
        return 0
    suite = Suite("upgrade")
    for archive in sorted(HERE.glob("*.tar.gz")):
        suite.add(archive.name.removesuffix(".tar.gz"), case_of(archive))
    check(suite.cases, "no kept data folder is here")
    return suite.run([])


if __name__ == "__main__":
    sys.exit(main())
