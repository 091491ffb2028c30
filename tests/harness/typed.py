"""DynamoDB JSON and the gRPC messages, both ways, by the descriptors that the server itself serves.

Requests are translated strictly: what protobuf cannot say as the JSON says it (an empty list, a member of the wrong
type, an enum's value that is none, a legacy member) raises `Unsayable`, so that nothing else than what was meant is
ever sent. Where a message has another form than the API's shape, a table below says how; everything else follows
from the names.
"""

import base64
import binascii
import re

import grpc
from botocore import xform_name
from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

SERVICE = "trilith.data.v1.Data"
LEVELS_MAX = 40


class Unsayable(Exception):
    """A request that has no message."""


class Channel:
    """A connection, and what reflection says of the service behind it."""

    def __init__(self, address):
        self.channel = grpc.insecure_channel(
            address,
            options=[
                ("grpc.max_receive_message_length", 32 << 20),
                ("grpc.max_send_message_length", 32 << 20),
                ("grpc.max_metadata_size", 1 << 20),
                ("grpc.absolute_max_metadata_size", 1 << 20),
            ],
        )
        self.database = ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = DescriptorPool(self.database)
        self.service = self.pool.FindServiceByName(SERVICE)

    def message_class(self, descriptor):
        """The Python class of a message."""
        return message_factory.GetMessageClass(descriptor)

    def send(self, service, method, message, metadata=()):
        """One call with a message; raises grpc.RpcError."""
        call = self.channel.unary_unary(
            f"/{service}/{method.name}",
            request_serializer=lambda one: one.SerializeToString(),
            response_deserializer=self.message_class(method.output_type).FromString,
        )
        return call(message, timeout=15, metadata=metadata)

    def request(self, operation, body):
        """(method, message) of a request in JSON; raises `Unsayable`."""
        method = self.service.methods_by_name.get(operation)
        if method is None:
            raise Unsayable(f"no method {operation}")
        if not isinstance(body, dict):
            raise Unsayable("not an object")
        message = self.message_class(method.input_type)()
        try:
            fill(message, REQUESTS.get(operation, lambda same: same)(body))
        except (TypeError, ValueError, AttributeError, KeyError, binascii.Error) as error:
            raise Unsayable(f"{type(error).__name__}: {error}") from None
        return method, message

    def close(self):
        """Drops the connection."""
        self.channel.close()

    def error(self, failed):
        """(name, message, members) of an `RpcError`: the name is the reason of its first detail, a google.rpc.ErrorInfo."""
        status = rpc_status.from_call(failed)
        if status is None or not status.details:
            raise AssertionError(f"a gRPC error without details: {failed.code()} {failed.details()}")
        info = error_details_pb2.ErrorInfo()
        if not status.details[0].Unpack(info):
            raise AssertionError(f"a gRPC error whose details begin with {status.details[0].type_url}")
        members = {}
        for detail in status.details[1:]:
            name = detail.type_url.rpartition("/")[2]
            if name.startswith("trilith."):
                message = self.message_class(self.pool.FindMessageTypeByName(name))()
                detail.Unpack(message)
                members.update(to_json(message))
        return info.reason, status.message, members


def answer(operation, message):
    """A response in the shape of the API's."""
    return ANSWERS.get(operation, lambda same: same)(to_json(message))


# ------------------------------------------------------------------------------------------------------ other forms


def _flat_writes(request):
    """BatchWriteItem is a flat list over gRPC, each element naming its table."""
    requests = []
    for table, writes in _object(request.get("RequestItems")).items():
        _sayable(isinstance(writes, list) and writes, "an empty list of a table")
        for write in writes:
            kinds = {"PutRequest": ("PutItem", "Item"), "DeleteRequest": ("DeleteKey", "Key")}
            one = {"TableName": table}
            for kind, inner in _object(write).items():
                name, member = kinds[kind]
                one[name] = inner[member]
            _sayable(len(one) <= 2, "a write of two kinds")
            requests.append(one)
    rest = {name: one for name, one in request.items() if name != "RequestItems"}
    if requests:
        rest["Requests"] = requests
    return rest


def _flat_actions(request):
    """Each action of a transaction is one message, whose field with the key says what it does."""
    kinds = {"Put": "PutItem", "Update": "UpdateKey", "Delete": "DeleteKey", "ConditionCheck": "CheckKey"}
    items = []
    _sayable(request.get("TransactItems") != [], "an empty list")
    for sent in request.get("TransactItems") or []:
        _sayable(isinstance(sent, dict) and len(sent) == 1, "not exactly one action")
        ((kind, action),) = sent.items()
        member = "Item" if kind == "Put" else "Key"
        one = {name: value for name, value in _object(action).items() if name != member}
        items.append({**one, kinds[kind]: action[member]})
    rest = _another_token({name: one for name, one in request.items() if name != "TransactItems"})
    return {**rest, "TransactItems": items} if items else rest


def _another_token(request):
    """The same scripts ran over HTTP a moment ago, and the server remembers their tokens."""
    token = request.get("ClientRequestToken")
    return {**request, "ClientRequestToken": f"typed-{token}"} if isinstance(token, str) else request


def _flat_gets(request):
    """Each item of a read transaction is one message."""
    items = []
    _sayable(request.get("TransactItems") != [], "an empty list")
    for sent in request.get("TransactItems") or []:
        _sayable(isinstance(sent, dict) and isinstance(sent.get("Get"), dict), "no Get")
        items.append(sent["Get"])
    rest = {name: one for name, one in request.items() if name != "TransactItems"}
    return {**rest, "TransactItems": items} if items else rest


def _tables_of_writes(found):
    tables = {}
    for one in found.pop("UnprocessedRequests", []):
        if "PutItem" in one:
            write = {"PutRequest": {"Item": one["PutItem"]}}
        else:
            write = {"DeleteRequest": {"Key": one["DeleteKey"]}}
        tables.setdefault(one["TableName"], []).append(write)
    return {"UnprocessedItems": tables, **_collections(found)}


def _collections(found):
    metrics = found.get("ItemCollectionMetrics")
    if metrics:
        found["ItemCollectionMetrics"] = {name: one["Collections"] for name, one in metrics.items()}
    return found


def _tables_of_items(found):
    tables = {}
    for one in found.pop("Responses", []):
        tables.setdefault(one["TableName"], []).append(one["Item"])
    return {"Responses": tables, **found}


def _statements(found):
    for one in found.get("Responses", []):
        error = {name: one.pop(f"Error{name}") for name in ("Code", "Message", "Item") if f"Error{name}" in one}
        if error:
            one["Error"] = error
    return found


def _continuous_backups(found):
    recovery = {"PointInTimeRecoveryStatus": found.pop("PointInTimeRecoveryStatus")}
    return {"ContinuousBackupsDescription": {**found, "PointInTimeRecoveryDescription": recovery}}


REQUESTS = {
    "BatchWriteItem": _flat_writes,
    "ExecuteTransaction": _another_token,
    "TransactGetItems": _flat_gets,
    "TransactWriteItems": _flat_actions,
}
"""From an operation's request to what its message looks like."""

ANSWERS = {
    "BatchWriteItem": _tables_of_writes,
    "TransactWriteItems": _collections,
    "BatchGetItem": _tables_of_items,
    "BatchExecuteStatement": _statements,
    "SearchVectors": lambda found: {"SearchResults": [], **found},
    "DescribeTimeToLive": lambda found: {"TimeToLiveDescription": found},
    "DescribeContinuousBackups": _continuous_backups,
    "DescribeTableReplicaAutoScaling": lambda found: {"TableAutoScalingDescription": found},
}
"""From what an operation's message looks like to its answer."""


def _capacity(found):
    kinds = [kind for kind in ("ReadCapacityUnits", "WriteCapacityUnits") if kind in found]
    table = found.pop("TableCapacityUnits", None)
    if table is not None:
        found = {**found, "Table": _units(table, kinds)}
    for indexes in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes"):
        if indexes in found:
            found[indexes] = {name: _units(one, kinds) for name, one in found[indexes].items()}
    if "VectorIndexes" in found:
        found["VectorIndexes"] = {
            name: one if isinstance(one, dict) else {"VectorWriteRequestBytes": one}
            for name, one in found["VectorIndexes"].items()
        }
    return found


def _units(one, kinds):
    return one if isinstance(one, dict) else {"CapacityUnits": one, **{kind: one for kind in kinds}}


SHAPES = {
    "ConsumedCapacity": _capacity,
    "TransactionCanceled": lambda found: {"CancellationReasons": found.get("Reasons", [])},
}
"""From what a message looks like, wherever it stands, to the API's shape."""


# --------------------------------------------------------------------------------------------------------- requests


def _sayable(condition, why):
    if not condition:
        raise Unsayable(why)


def _object(value):
    _sayable(value is None or isinstance(value, dict), "not an object")
    return value or {}


SCALARS = {"S": ("s", str), "N": ("n", str), "BOOL": ("bool", bool), "NULL": ("null", bool)}


def fill_value(message, value, level=0):
    """Fills an AttributeValue; one without a type is sent as such."""
    _sayable(isinstance(value, dict) and len(value) <= 1, "a value of several types")
    _sayable(level <= LEVELS_MAX, "nesting that messages cannot have")
    for kind, one in value.items():
        if kind in SCALARS:
            name, expected = SCALARS[kind]
            _sayable(type(one) is expected, f"{kind} of another type")
            setattr(message, name, one)
        elif kind == "B":
            message.b = base64.b64decode(one, validate=True)
        elif kind == "L":
            _sayable(isinstance(one, list), "L that is no list")
            message.l.SetInParent()
            for element in one:
                fill_value(message.l.values.add(), element, level + 1)
        elif kind == "M":
            _sayable(isinstance(one, dict), "M that is no map")
            message.m.SetInParent()
            for name, element in one.items():
                fill_value(message.m.entries[name], element, level + 1)
        else:
            _sayable(kind in ("SS", "NS", "BS") and isinstance(one, list), f"a value of type {kind}")
            target = getattr(message, kind.lower())
            target.SetInParent()
            for element in one:
                target.values.append(base64.b64decode(element, validate=True) if kind == "BS" else element)


def _is_map(field):
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _repeated(field):
    return field.is_repeated if hasattr(field, "is_repeated") else field.label == FieldDescriptor.LABEL_REPEATED


def fill(message, request):
    """Fills a message from JSON whose members are spelled as the API spells them; null is an absent member."""
    if message.DESCRIPTOR.name == "AttributeValue":
        fill_value(message, request)
        return
    _sayable(isinstance(request, dict), "a structure that is no object")
    if message.DESCRIPTOR.name == "Item":
        message.SetInParent()
        request = {"Attributes": request} if request else {}
    fields = message.DESCRIPTOR.fields_by_name
    for name, value in request.items():
        field = fields.get(xform_name(name))
        _sayable(field is not None and name[:1].isupper(), f"no field {name}")
        if value is not None:
            _fill_field(message, field, value)


def _fill_field(message, field, value):
    target = getattr(message, field.name)
    if _is_map(field):
        _sayable(isinstance(value, dict) and value, f"an empty map {field.name}")
        for key, one in value.items():
            if field.message_type.fields_by_name["value"].message_type is None:
                target[key] = one
            else:
                fill(target[key], one)
    elif _repeated(field):
        _sayable(isinstance(value, list) and value, f"an empty list {field.name}")
        for one in value:
            if field.message_type is not None:
                fill(target.add(), one)
            else:
                target.append(_scalar(field, one))
    elif field.message_type is not None:
        target.SetInParent()
        fill(target, value)
    else:
        one = _scalar(field, value)
        _sayable(one != "" or field.has_presence, f"an empty {field.name}")
        setattr(message, field.name, one)


def _prefix(enum):
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", enum.name).upper() + "_"


def _scalar(field, value):
    if field.enum_type is not None:
        return field.enum_type.values_by_name[_prefix(field.enum_type) + value].number
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    _sayable(not (number and field.type == FieldDescriptor.TYPE_BOOL), "a number for a flag")
    _sayable(not (isinstance(value, bool) and field.type != FieldDescriptor.TYPE_BOOL), "a flag")
    _sayable(not isinstance(value, float) or field.type == FieldDescriptor.TYPE_DOUBLE, "a fraction")
    return value


# ---------------------------------------------------------------------------------------------------------- answers


def value_json(message):
    """An AttributeValue as JSON."""
    kind = message.WhichOneof("value")
    one = getattr(message, kind)
    if kind == "b":
        return {"B": base64.b64encode(one).decode()}
    if kind == "l":
        return {"L": [value_json(element) for element in one.values]}
    if kind == "m":
        return {"M": {name: value_json(element) for name, element in one.entries.items()}}
    if kind == "bs":
        return {"BS": [base64.b64encode(element).decode() for element in one.values]}
    if kind in ("ss", "ns"):
        return {kind.upper(): list(one.values)}
    return {kind.upper(): one}


def _title(name):
    return "".join(part.capitalize() for part in name.split("_")).replace("Sse", "SSE").replace("Kms", "KMS").replace("RangeGb", "RangeGB")


def to_json(message):
    """A message as JSON spelled as the API spells it; members that are not set are absent."""
    if message.DESCRIPTOR.name == "AttributeValue":
        return value_json(message)
    if message.DESCRIPTOR.name == "Item":
        return {name: value_json(one) for name, one in message.attributes.items()}
    if message.DESCRIPTOR.full_name == "google.protobuf.Timestamp":
        return message.seconds + message.nanos / 1e9
    found = {}
    for field in message.DESCRIPTOR.fields:
        one = getattr(message, field.name)
        name = _title(field.name)
        if _is_map(field):
            nested = field.message_type.fields_by_name["value"].message_type is not None
            if one:
                found[name] = {key: to_json(value) if nested else value for key, value in one.items()}
        elif _repeated(field):
            if len(one):
                found[name] = [_plain(field, value) for value in one]
        elif field.enum_type is not None and not field.has_presence and one == 0:
            pass  # unspecified
        elif not field.has_presence or message.HasField(field.name):
            found[name] = _plain(field, one)
    return SHAPES.get(message.DESCRIPTOR.name, lambda same: same)(found)


def _plain(field, value):
    if field.message_type is not None:
        return to_json(value)
    if field.enum_type is not None:
        return field.enum_type.values_by_number[value].name.removeprefix(_prefix(field.enum_type))
    return value
