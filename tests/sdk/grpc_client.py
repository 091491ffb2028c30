"""The gRPC service through server reflection: no compiled stubs, so what is tested is what any generic client sees."""

import grpc
from google.protobuf.json_format import MessageToDict

from tests.harness import typed
from tests.harness.typed import SERVICE
from tests.sdk.clients import Refused


class Grpc:
    """Requests and answers in DynamoDB JSON, converted by the descriptors that the server itself serves."""

    title = "gRPC"

    def __init__(self, address):
        self.channel = typed.Channel(address)

    @property
    def pool(self):
        """The descriptors."""
        return self.channel.pool

    def services(self):
        """The names of the services that reflection lists."""
        return list(self.channel.database.get_services())

    def healthy(self):
        """The answer of the standard health service."""
        method = self.pool.FindServiceByName("grpc.health.v1.Health").FindMethodByName("Check")
        message = self.channel.message_class(method.input_type)()
        return MessageToDict(self.channel.send("grpc.health.v1.Health", method, message)).get("status")

    def call(self, operation, request):
        """One call."""
        method, message = self.channel.request(operation, request)
        try:
            found = self.channel.send(SERVICE, method, message)
        except grpc.RpcError as error:
            name, text, _ = self.channel.error(error)
            raise Refused(name, text) from None
        return typed.answer(operation, found)

    def close(self):
        """Drops the connection."""
        self.channel.close()
