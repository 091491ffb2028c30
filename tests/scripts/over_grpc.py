"""The scripts' requests over gRPC: JSON into typed messages, typed answers and status details back into JSON."""

import json

import grpc

from tests.harness import typed
from tests.harness.wire import Answer

STREAMS = "DynamoDBStreams_20120810."
OF_STREAMS = ("ListStreams", "DescribeStream")
# Items in the details of an error may be large here.
METADATA = (("trilith-details-max-bytes", str(600 << 10)),)
STATUSES = {grpc.StatusCode.INTERNAL: 500, grpc.StatusCode.UNAVAILABLE: 503}


class Door:
    """A connection that is asked as if it were the HTTP one."""

    def __init__(self, address):
        self.channel = typed.Channel(address)

    def send(self, operation, body):
        """The answer as HTTP would have it, or None for a request that no message can say."""
        name = operation.removeprefix(STREAMS)
        if (name in OF_STREAMS) != (name != operation):
            return None
        try:
            method, message = self.channel.request(name, _parsed(body))
        except typed.Unsayable:
            return None
        try:
            found = self.channel.send(typed.SERVICE, method, message, METADATA)
        except grpc.RpcError as failed:
            return self._refused(failed)
        return _answer(200, typed.answer(name, found))

    def _refused(self, failed):
        name, text, members = self.channel.error(failed)
        body = {"__type": f"com.amazonaws.dynamodb.v20120810#{name}", "message": text, **members}
        return _answer(STATUSES.get(failed.code(), 400), body)


def _answer(status, body):
    return Answer(status, {}, json.dumps(body).encode())


def _parsed(body):
    def once(pairs):
        found = dict(pairs)
        if len(found) != len(pairs):
            raise typed.Unsayable("a member twice")
        return found

    try:
        return json.loads(body, object_pairs_hook=once)
    except (ValueError, RecursionError):
        raise typed.Unsayable("no JSON") from None
