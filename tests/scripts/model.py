"""Every constraint of the service's model, violated once: presence, lengths, ranges, patterns and enums of each member of
each operation that works here, with the text that the service gives (contract 14.1).

The cases are made from botocore's model at run time, so a member that a new version adds is checked from the first day.
Members that are not built must still be refused by name. `RULINGS` holds where the service is known to do otherwise
than its model says.
"""

import botocore.session

from tests.harness import wire
from tests.harness.suite import Suite, check

DEPTH_MAX = 7
NOT_BUILT = "not supported yet"
ENOUGH = 100_000
"""A length that no member takes; longer bounds are left to the scripts."""

BASE = {
    # Not required by the model, and yet nothing can be made without them.
    "CreateTable": {
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    },
    "UpdateTable": {"DeletionProtectionEnabled": False},
}
"""Members that a request has besides those that the model requires."""

RULINGS = {
    # What is created has a name, never an ARN: the bounds of names hold.
    ("CreateTable", "tableName", "min"): "Member must have length greater than or equal to 3",
    ("CreateTable", "tableName", "max"): "Member must have length less than or equal to 255",
}
"""Texts that differ from the model's: (operation, path, kind of constraint)."""

ELSEWHERE = {
    # The names behind placeholders are judged with the expressions that use them.
    "expressionAttributeNames.pkk.member",
    "requestItems.pkk.member.expressionAttributeNames.pkk.member",
    *(
        f"transactItems.1.member.{action}.expressionAttributeNames.pkk.member"
        for action in ("get", "put", "update", "delete", "conditionCheck")
    ),
}
"""Places that other checks look after."""

LATER = {
    "CreateTable": {
        "streamSpecification", "resourcePolicy", "globalTableSourceArn",
        "localSecondaryIndexes", "globalSecondaryIndexes",
    },
    "UpdateTable": {
        "streamSpecification", "replicaUpdates", "globalTableWitnessUpdates",
        "globalSecondaryIndexUpdates",
    },
}
"""Members of features that are not built: a request that asks nothing of them is as if it had none."""


class Model:
    """The shapes of a service."""

    def __init__(self, name="dynamodb"):
        self.service = botocore.session.get_session().get_service_model(name)

    def operations(self):
        """Their names."""
        return self.service.operation_names

    def input(self, operation):
        """The shape of a request; None for one without members."""
        return self.service.operation_model(operation).input_shape


def sample(shape, depth=0):
    """A value of a shape without violations."""
    kind = shape.type_name
    if kind == "structure":
        if shape.name == "AttributeValue":
            return {"S": "a"}
        required = shape.required_members
        return {name: sample(shape.members[name], depth + 1) for name in required}
    if kind == "list":
        return [sample(shape.member, depth + 1) for _ in range(max(1, shape.metadata.get("min", 0)))]
    if kind == "map":
        return {"pkk": sample(shape.value, depth + 1)}
    if kind == "string":
        if shape.enum:
            return shape.enum[0]
        if "ResourceArn" in shape.name or shape.name == "StreamArn":
            return "arn:aws:dynamodb:us-east-1:000000000000:table/model"
        return "a" * max(5, shape.metadata.get("min", 0))
    if kind in ("integer", "long"):
        return max(1, shape.metadata.get("min", 0))
    if kind == "boolean":
        return False
    if kind == "blob":
        return "YQ=="
    return 1


def lower(name):
    """As the texts spell a member."""
    return name[:1].lower() + name[1:]


def violations(shape):
    """(what, value, text) of each constraint on the shape itself."""
    meta, kind = shape.metadata, shape.type_name
    least, most = meta.get("min"), meta.get("max")
    if kind == "string":
        if shape.enum:
            yield "enum", "NOPE", f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
            return
        if meta.get("pattern"):
            yield "pattern", "a b c" + "a" * (least or 0), f"Member must satisfy regular expression pattern: {meta['pattern']}"
        if least:
            yield "min", "a" * (least - 1), f"Member must have length greater than or equal to {least}"
        if most and most < ENOUGH:
            yield "max", "a" * (most + 1), f"Member must have length less than or equal to {most}"
    elif kind in ("integer", "long"):
        if least is not None:
            yield "min", least - 1, f"Member must have value greater than or equal to {least}"
        if most is not None:
            yield "max", most + 1, f"Member must have value less than or equal to {most}"
    elif kind in ("list", "map"):
        one = shape.member if kind == "list" else shape.value
        if least:
            yield "min", [] if kind == "list" else {}, f"Member must have length greater than or equal to {least}"
        if most and most < 1000:
            values = [sample(one) for _ in range(most + 1)]
            yield (
                "max",
                values if kind == "list" else {f"pk{number:03}": value for number, value in enumerate(values)},
                f"Member must have length less than or equal to {most}",
            )


def cases(shape, wrap, path, depth=0):
    """(path, what, request, text): each constraint at or below a place, the request being `wrap(value)`."""
    if depth > DEPTH_MAX or shape.name == "AttributeValue":
        return
    if path:
        for what, value, text in violations(shape):
            yield path, what, wrap(value), text
    kind = shape.type_name
    if kind == "structure":
        base = sample(shape)
        for name in shape.required_members:
            without = {other: value for other, value in base.items() if other != name}
            yield f"{path}.{lower(name)}".lstrip("."), "required", wrap(without), "Member must not be null"
        for name, member in shape.members.items():
            inner = lambda value, name=name: wrap({**base, name: value})
            yield from cases(member, inner, f"{path}.{lower(name)}".lstrip("."), depth + 1)
    elif kind == "list":
        yield from cases(shape.member, lambda value: wrap([value]), f"{path}.1.member", depth + 1)
    elif kind == "map":
        yield from cases(shape.value, lambda value: wrap({"pkk": value}), f"{path}.pkk.member", depth + 1)


def verdict(answer, path, text):
    """None where the answer tells the violation; else what it says."""
    if answer.status != 400 or answer.error != "ValidationException":
        return f"{answer.status} {answer.error}: {answer.message[:200]}"
    found = answer.message
    if "validation error" in found and f"at '{path}' failed to satisfy constraint" in found and text in found:
        return None
    # A bound on the elements of a list or map is told of the list or map.
    parent = path.rpartition(".1.member")[0] or path.rpartition(".pkk.member")[0]
    if parent and f"at '{parent}' failed to satisfy constraint" in found and text in found:
        return None
    return found[:300]


def suite_for(server):
    """One case an operation."""
    suite = Suite("model")
    model = Model()
    for operation in model.operations():
        suite.add(operation, lambda operation=operation: run(server, model, operation))
    return suite


def run(server, model, operation):
    """Violates every constraint of an operation."""
    shape = model.input(operation)
    with server.wire() as client:
        if client.call(operation, {}).error == "UnknownOperationException":
            return "not here"
        done, left, wrong = 0, 0, []
        base = BASE.get(operation, {})
        for path, what, request, text in cases(shape, lambda value: {**base, **value}, ""):
            if path in ELSEWHERE:
                continue
            text = RULINGS.get((operation, path, what), text)
            answer = client.call(operation, request)
            trouble = verdict(answer, path, text)
            if trouble and (NOT_BUILT in trouble or path.partition(".")[0] in LATER.get(operation, ())):
                left += 1
                continue
            done += 1
            if trouble:
                wrong.append(f"{path} ({what}): expected {text!r}, found {trouble!r}")
        check(not wrong, f"{len(wrong)} of {done} constraints: " + "\n      ".join(wrong[:40]))
        return f"{done} constraints, {left} of members not built"
