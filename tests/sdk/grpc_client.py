"""The gRPC service through server reflection: no compiled stubs, so what is tested is what any generic client sees."""

import base64
import re

import grpc
from botocore import xform_name
from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

from tests.sdk.clients import Refused

SERVICE = "trilith.data.v1.Data"


class Grpc:
    """Requests and answers in DynamoDB JSON, converted by the descriptors that the server itself serves."""

    title = "gRPC"

    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        self.database = ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = DescriptorPool(self.database)
        self.service = self.pool.FindServiceByName(SERVICE)

    def services(self):
        """The names of the services that reflection lists."""
        return list(self.database.get_services())

    def healthy(self):
        """The answer of the standard health service."""
        method = self.pool.FindServiceByName("grpc.health.v1.Health").FindMethodByName("Check")
        return MessageToDict(self._send("grpc.health.v1.Health", method, None)).get("status")

    def call(self, operation, request):
        """One call."""
        method = self.service.FindMethodByName(operation)
        message = message_factory.GetMessageClass(method.input_type)()
        _fill(message, _flat_request(operation, request))
        try:
            answer = self._send(SERVICE, method, message)
        except grpc.RpcError as error:
            raise _refused(error) from None
        return _batch_answer(operation, _json(answer))

    def _send(self, service, method, message):
        message = message if message is not None else message_factory.GetMessageClass(method.input_type)()
        call = self.channel.unary_unary(
            f"/{service}/{method.name}",
            request_serializer=lambda one: one.SerializeToString(),
            response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
        )
        return call(message, timeout=15)

    def close(self):
        """Drops the connection."""
        self.channel.close()


def _refused(error):
    """The exception's name stands in the first detail of the status, a google.rpc.ErrorInfo."""
    status = rpc_status.from_call(error)
    if status is None or not status.details:
        return AssertionError(f"a gRPC error without details: {error.code()} {error.details()}")
    info = error_details_pb2.ErrorInfo()
    if not status.details[0].Unpack(info):
        return AssertionError(f"a gRPC error whose details begin with {status.details[0].type_url}")
    return Refused(info.reason, status.message)


def _flat_request(operation, request):
    """BatchWriteItem is a flat list over gRPC, each element naming its table."""
    if operation != "BatchWriteItem":
        return request
    requests = []
    for table, writes in request["RequestItems"].items():
        for write in writes:
            if "PutRequest" in write:
                requests.append({"TableName": table, "PutItem": write["PutRequest"]["Item"]})
            else:
                requests.append({"TableName": table, "DeleteKey": write["DeleteRequest"]["Key"]})
    return {**{name: one for name, one in request.items() if name != "RequestItems"}, "Requests": requests}


def _batch_answer(operation, answer):
    """Back into the shape of the API's answer."""
    if answer.get("ConsumedCapacity") == []:
        del answer["ConsumedCapacity"]  # a list that nobody asked for is empty here and absent there
    if operation == "BatchWriteItem":
        return {"UnprocessedItems": {one["TableName"]: [] for one in answer.pop("UnprocessedRequests")}, **answer}
    if operation == "BatchGetItem":
        tables = {}
        for one in answer.pop("Responses"):
            tables.setdefault(one["TableName"], []).append(one["Item"])
        return {"Responses": tables, **answer}
    return answer


SCALARS = {"S": "s", "N": "n", "BOOL": "bool", "NULL": "null"}


def _fill_value(message, value):
    ((kind, one),) = value.items()
    if kind in SCALARS:
        setattr(message, SCALARS[kind], one)
    elif kind == "B":
        message.b = base64.b64decode(one)
    elif kind == "L":
        message.l.SetInParent()
        for element in one:
            _fill_value(message.l.values.add(), element)
    elif kind == "M":
        message.m.SetInParent()
        for name, element in one.items():
            _fill_value(message.m.entries[name], element)
    else:
        target = getattr(message, kind.lower())
        target.SetInParent()
        target.values.extend(map(base64.b64decode, one) if kind == "BS" else one)


def _value(message):
    kind = message.WhichOneof("value")
    one = getattr(message, kind)
    if kind == "b":
        return {"B": base64.b64encode(one).decode()}
    if kind == "l":
        return {"L": [_value(element) for element in one.values]}
    if kind == "m":
        return {"M": {name: _value(element) for name, element in one.entries.items()}}
    if kind == "bs":
        return {"BS": [base64.b64encode(element).decode() for element in one.values]}
    if kind in ("ss", "ns"):
        return {kind.upper(): list(one.values)}
    return {kind.upper(): one}


def _is_map(field):
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _repeated(field):
    return field.is_repeated if hasattr(field, "is_repeated") else field.label == FieldDescriptor.LABEL_REPEATED


def _fill(message, request):
    """Fills a message from JSON whose members are spelled as the API spells them."""
    if message.DESCRIPTOR.name == "AttributeValue":
        _fill_value(message, request)
        return
    if message.DESCRIPTOR.name == "Item":
        message.SetInParent()
        request = {"Attributes": request}
    fields = message.DESCRIPTOR.fields_by_name
    for name, value in request.items():
        field = fields[xform_name(name)]
        target = getattr(message, field.name)
        if _is_map(field):
            for key, one in value.items():
                if field.message_type.fields_by_name["value"].message_type is None:
                    target[key] = one
                else:
                    _fill(target[key], one)
        elif field.message_type is not None:
            for one, place in ((one, None) for one in value) if _repeated(field) else ((value, target),):
                _fill(target.add() if place is None else place, one)
        elif _repeated(field):
            target.extend(_scalar(field, one) for one in value)
        else:
            setattr(message, field.name, _scalar(field, value))


def _prefix(enum):
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", enum.name).upper() + "_"


def _scalar(field, value):
    if field.enum_type is None:
        return value
    return field.enum_type.values_by_name[_prefix(field.enum_type) + value].number


def _title(name):
    return "".join(part.capitalize() for part in name.split("_"))


def _json(message):
    """A message as JSON spelled as the API spells it; members that are not set are absent."""
    if message.DESCRIPTOR.name == "AttributeValue":
        return _value(message)
    if message.DESCRIPTOR.name == "Item":
        return {name: _value(one) for name, one in message.attributes.items()}
    if message.DESCRIPTOR.full_name == "google.protobuf.Timestamp":
        return message.seconds + message.nanos / 1e9
    answer = {}
    for field in message.DESCRIPTOR.fields:
        one = getattr(message, field.name)
        name = _title(field.name)
        if _is_map(field):
            nested = field.message_type.fields_by_name["value"].message_type is not None
            answer[name] = {key: _json(value) if nested else value for key, value in one.items()}
        elif _repeated(field):
            answer[name] = [_plain(field, value) for value in one]
        elif not field.has_presence or message.HasField(field.name):
            answer[name] = _plain(field, one)
    return answer


def _plain(field, value):
    if field.message_type is not None:
        return _json(value)
    if field.enum_type is not None:
        return field.enum_type.values_by_number[value].name.removeprefix(_prefix(field.enum_type))
    return value
