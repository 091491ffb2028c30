"""A DynamoDB client of a hundred lines: one connection, no retries, nothing hidden.

Suites that count acknowledged writes need to know exactly what was sent and what came back; an SDK retries behind
one's back. Bodies are DynamoDB JSON both ways.
"""

import http.client
import json
import socket
import zlib

# The server of this version accepts any signature; the header must still be there and well formed.
AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=local/20261121/us-east-1/dynamodb/aws4_request, "
    "SignedHeaders=host;x-amz-date;x-amz-target, Signature=" + "0" * 64
)
HEADERS = {
    "Content-Type": "application/x-amz-json-1.0",
    "Authorization": AUTHORIZATION,
    "X-Amz-Date": "20261121T000000Z",
}
PREFIX = "DynamoDB_20120810."


class Answer:
    """Status, headers and the raw and parsed body of one response."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self):
        """The body as JSON; an empty body is an empty object."""
        return json.loads(self.body) if self.body else {}

    @property
    def ok(self):
        """Whether the operation was done."""
        return self.status == 200

    @property
    def error(self):
        """The bare name of the exception, or None."""
        if self.ok:
            return None
        try:
            return self.json.get("__type", "").rpartition("#")[2]
        except (ValueError, AttributeError):
            return f"not JSON: {self.body[:80]!r}"

    @property
    def message(self):
        """The text of the exception, under either spelling."""
        body = self.json
        return body.get("message", body.get("Message", ""))

    def crc_matches(self):
        """Whether x-amz-crc32 is the CRC-32 of the body as sent."""
        return self.headers.get("x-amz-crc32") == str(zlib.crc32(self.body))

    def __repr__(self):
        return f"Answer({self.status}, {self.body[:300]!r})"


class Wire:
    """One keep-alive connection to an HTTP address 'host:port'. Not for several threads at once."""

    def __init__(self, address, timeout=15.0):
        host, _, port = address.rpartition(":")
        self.host, self.port, self.timeout = host.strip("[]"), int(port), timeout
        self.connection = None

    def send(self, target, body, headers=()):
        """POSTs raw bytes to an X-Amz-Target; raises OSError or HTTPException when the connection breaks."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
            self.connection.connect()
            self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sent = dict(HEADERS)
        if target is not None:
            sent["X-Amz-Target"] = target
        sent.update(headers)
        try:
            self.connection.request("POST", "/", body, sent)
            response = self.connection.getresponse()
            answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
            if response.will_close:
                self.close()
            return answer
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def call(self, operation, request):
        """One operation with a JSON request; returns the Answer, whatever its status."""
        return self.send(PREFIX + operation, json.dumps(request).encode())

    def must(self, operation, request):
        """One operation that has to succeed; returns the response JSON."""
        answer = self.call(operation, request)
        if not answer.ok:
            raise AssertionError(f"{operation} answered {answer.status} {answer.body[:300]!r}")
        return answer.json

    def close(self):
        """Drops the connection."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


BROKEN = (OSError, http.client.HTTPException)
"""What a request raises when the process behind it dies."""


def get(address, path, timeout=5.0):
    """GET on an address; returns (status, text)."""
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=timeout)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def metrics(admin):
    """The Prometheus page as {name: [(labels, value)]}; labels are a dict."""
    status, text = get(admin, "/metrics")
    if status != 200:
        raise AssertionError(f"/metrics answered {status}")
    found = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        series, _, value = line.rpartition(" ")
        name, _, rest = series.partition("{")
        labels = {}
        for pair in filter(None, rest.rstrip("}").split(",")):
            label, _, quoted = pair.partition("=")
            labels[label.strip()] = quoted.strip('"')
        found.setdefault(name, []).append((labels, float(value)))
    return found


def create_table(wire, name, sort=None, **more):
    """A table with string key `pk` (and sort key `sk` of the given type), waited for until it is ACTIVE."""
    import time

    schema = [{"AttributeName": "pk", "KeyType": "HASH"}]
    types = [{"AttributeName": "pk", "AttributeType": "S"}]
    if sort:
        schema.append({"AttributeName": "sk", "KeyType": "RANGE"})
        types.append({"AttributeName": "sk", "AttributeType": sort})
    request = {
        "TableName": name,
        "KeySchema": schema,
        "AttributeDefinitions": types,
        "BillingMode": "PAY_PER_REQUEST",
    }
    wire.must("CreateTable", {**request, **more})
    deadline = time.monotonic() + 10
    while wire.must("DescribeTable", {"TableName": name})["Table"]["TableStatus"] != "ACTIVE":
        if time.monotonic() > deadline:
            raise AssertionError(f"table {name} is not ACTIVE after 10 s")
        time.sleep(0.02)
