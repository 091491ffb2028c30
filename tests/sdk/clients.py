"""The clients of the matrix behind one method: `call(operation, request)` with DynamoDB JSON both ways.

Each client uses its library as its users do; what is converted here is only the spelling of binary values and dates,
which libraries turn into types of their language.
"""

import base64
import datetime
import json
import os
import subprocess

import boto3
import botocore.exceptions
from botocore import xform_name
from botocore.config import Config

CREDENTIALS = {"aws_access_key_id": "local", "aws_secret_access_key": "local", "region_name": "us-east-1"}
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_PAGER": "",
    "AWS_EC2_METADATA_DISABLED": "true",
    # No profile of the person who runs the tests decides what they do.
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


STREAMS = ("ListStreams", "DescribeStream")
"""Operations of the streams service, which libraries keep apart."""


class Unknown(Exception):
    """An operation that the library does not have."""


class Refused(Exception):
    """The exception that the server answered, by its bare name."""

    def __init__(self, name, message=""):
        super().__init__(f"{name}: {message}")
        self.name = name


def map_binaries(value, change):
    """A copy of DynamoDB JSON with `change` applied to what stands under B and in BS."""
    if isinstance(value, list):
        return [map_binaries(one, change) for one in value]
    if isinstance(value, dict):
        if set(value) == {"B"} and not isinstance(value["B"], (dict, list)):
            return {"B": change(value["B"])}
        if set(value) == {"BS"} and isinstance(value["BS"], (list, tuple, set)):
            return {"BS": [change(one) for one in value["BS"]]}
        return {name: map_binaries(one, change) for name, one in value.items()}
    if isinstance(value, datetime.datetime):
        return value.timestamp()
    return value


def to_text(data):
    """base64, as it stands on the wire."""
    return base64.b64encode(bytes(data)).decode()


class Boto3:
    """boto3's low-level client."""

    title = "boto3"

    def __init__(self, endpoint):
        options = {"endpoint_url": endpoint, "config": Config(retries={"total_max_attempts": 1}), **CREDENTIALS}
        self.client = boto3.client("dynamodb", **options)
        self.streams = boto3.client("dynamodbstreams", **options)

    def call(self, operation, request):
        """One call."""
        method = getattr(self.streams if operation in STREAMS else self.client, xform_name(operation), None)
        if method is None:
            raise Unknown(operation)
        try:
            answer = method(**map_binaries(request, base64.b64decode))
        except botocore.exceptions.ClientError as error:
            raise Refused(error.response["Error"]["Code"], error.response["Error"]["Message"]) from None
        answer.pop("ResponseMetadata", None)
        return map_binaries(answer, to_text)

    def close(self):
        """Drops the connections."""
        self.client.close()
        self.streams.close()


class Cli:
    """The AWS CLI, a process a call."""

    title = "AWS CLI"

    def __init__(self, endpoint):
        self.command = [
            os.environ.get("TRILITH_AWS", "aws"),
            "--endpoint-url",
            endpoint,
            "--output",
            "json",
        ]
        self.environment = {**os.environ, **ENVIRONMENT, "AWS_MAX_ATTEMPTS": "1"}

    def call(self, operation, request):
        """One call. `--no-paginate`, because the CLI joins pages by itself otherwise.

        Version 1 of the CLI takes a binary as text and encodes it itself, so the binaries of the steps are valid text.
        """
        request = map_binaries(request, lambda text: base64.b64decode(text).decode())
        run = subprocess.run(
            [
                *self.command,
                "dynamodbstreams" if operation in STREAMS else "dynamodb",
                xform_name(operation, "-"),
                "--no-paginate",
                "--cli-input-json",
                json.dumps(request),
            ],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        if run.returncode != 0:
            _, found, rest = run.stderr.partition("An error occurred (")
            if not found and "argument operation: " in run.stderr:
                raise Unknown(operation)
            if not found:
                raise AssertionError(run.stderr.strip()[-400:])
            raise Refused(rest.partition(")")[0], rest.partition(": ")[2].strip())
        return json.loads(run.stdout) if run.stdout.strip() else {}

    def close(self):
        """Nothing is kept."""


class JavaScript:
    """The AWS SDK for JavaScript, in one Node.js process that answers line by line."""

    title = "SDK for JavaScript"

    def __init__(self, endpoint):
        here = os.path.dirname(__file__)
        self.process = subprocess.Popen(
            [os.environ.get("TRILITH_NODE", "node"), os.path.join(here, "js", "client.cjs"), endpoint],
            env={**os.environ, **ENVIRONMENT, "NODE_NO_WARNINGS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def call(self, operation, request):
        """One call."""
        self.process.stdin.write(json.dumps({"operation": operation, "request": request}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"the Node.js process ended with {self.process.wait(10)}")
        answer = json.loads(line)
        if answer.get("unknown"):
            raise Unknown(operation)
        if "error" in answer:
            raise Refused(answer["error"], answer["message"])
        return answer["result"]

    def close(self):
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait(10)
