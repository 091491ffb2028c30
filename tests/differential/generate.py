"""Requests, valid and invalid, from a seed.

A request is drawn from a grammar of the operation's members; at every place there is a small chance of something that
does not belong there. Keys, names and values come from small domains, so that requests meet the same items.
"""

import base64
import copy

TABLES = {
    "diff-hash": [("pk", "S")],
    "diff-both": [("pk", "S"), ("sk", "N")],
    "diff-bin": [("pk", "B"), ("sk", "S")],
}
ATTRIBUTES = ["a", "b", "c", "l", "m", "n", "s", "ns", "ss", "bs", "flag", "nil"]


class Generator:
    """A stream of (operation, request)."""

    def __init__(self, random, fault=0.06):
        self.random = random
        self.fault = fault

    def wrong(self, factor=1.0):
        """Whether to do something wrong here."""
        return self.random.random() < self.fault * factor

    def maybe(self, chance):
        """True with this chance."""
        return self.random.random() < chance

    def pick(self, options):
        """One of them."""
        return self.random.choice(options)

    # ---------------------------------------------------------------------------------------------------------- values

    def number(self):
        """A number's text."""
        if self.wrong(0.7):
            return self.pick(
                ["", "abc", "1e", "0x1", "1e126", "1e-131", "1" * 39, "NaN", "-", "1,5", " 1", "--1", "1e200", "Infinity"]
            )
        return self.pick(
            ["0", "1", "2", "3", "10", "-1", "1.5", "1.50", "+4", "1e2", "1E+2", "-0", "0.001", "1e-130", "9e125", "007"]
            + [str(self.random.randrange(100))] * 8
        )

    def value(self, level=0, kind=None):
        """An AttributeValue."""
        if self.wrong(0.6):
            return self.pick(
                [
                    {},
                    {"S": "x", "N": "1"},
                    {"NULL": False},
                    {"SS": []},
                    {"NS": []},
                    {"BS": []},
                    {"SS": ["a", "a"]},
                    {"NS": ["1", "1.0"]},
                    {"BS": ["YQ==", "YQ=="]},
                    {"S": 1},
                    {"N": 1},
                    {"BOOL": "true"},
                    {"B": "@@"},
                    {"X": "y"},
                    {"L": "x"},
                    {"M": []},
                    {"S": None},
                    {"SS": [None]},
                    {"NS": ["x"]},
                    {"SS": [1]},
                ]
            )
        kinds = ["S"] * 5 + ["N"] * 5 + ["B", "BOOL", "NULL", "SS", "NS", "BS"] + (["L", "L", "M", "M"] if level < 3 else [])
        kind = kind or self.pick(kinds)
        if kind == "S":
            return {"S": self.pick(["", "a", "b", "ab", "abc", "x y", "ä", "zz", "a"])}
        if kind == "N":
            return {"N": self.number()}
        if kind == "B":
            return {"B": base64.b64encode(self.pick([b"", b"a", b"ab", b"\x00", b"\xff"])).decode()}
        if kind == "BOOL":
            return {"BOOL": self.maybe(0.5)}
        if kind == "NULL":
            return {"NULL": True}
        if kind == "SS":
            return {"SS": self.random.sample(["a", "b", "c", ""], self.random.randrange(1, 4))}
        if kind == "NS":
            return {"NS": self.random.sample(["1", "2", "3", "1.5"], self.random.randrange(1, 4))}
        if kind == "BS":
            return {"BS": self.random.sample(["YQ==", "Yg==", "Yw=="], self.random.randrange(1, 3))}
        if kind == "L":
            return {"L": [self.value(level + 1) for _ in range(self.random.randrange(4))]}
        return {"M": {self.pick(ATTRIBUTES): self.value(level + 1) for _ in range(self.random.randrange(3))}}

    def key_value(self, kind):
        """A key attribute of a type."""
        if self.wrong(0.5):
            return self.value()
        if self.wrong(0.2):
            return {kind: "" if kind != "N" else "x"}
        if kind == "S":
            return {"S": self.pick(["p", "q", "r"])}
        if kind == "N":
            return {"N": self.pick(["1", "2", "3", "4", "-1", "1.5"])}
        return {"B": self.pick(["YQ==", "Yg=="])}

    def key(self, table):
        """A key of a table."""
        found = {name: self.key_value(kind) for name, kind in TABLES.get(table, TABLES["diff-hash"])}
        if self.wrong(0.5):
            found.pop(self.pick(list(found)))
        if self.wrong(0.5):
            found[self.pick(["a", "sk", "x"])] = self.value()
        return found

    def item(self, table):
        """An item of a table."""
        found = self.key(table)
        for _ in range(self.random.randrange(6)):
            found[self.pick(ATTRIBUTES)] = self.value()
        return found

    def table(self):
        """A table's name."""
        if self.wrong(0.3):
            return self.pick(["diff-none", "ab", "a b c", "x" * 256, "", "arn:aws:dynamodb:x", None])
        return self.pick(list(TABLES))

    # ----------------------------------------------------------------------------------------------------- expressions

    def path(self, use):
        """A document path; placeholders are noted in `use`."""
        name = self.pick(ATTRIBUTES)
        if self.maybe(0.35):
            alias = self.pick(["#a", "#b", "#n1", "#_x"])
            use["names"].setdefault(alias, self.pick(["a", "b", "size", "name", "pk", "a.b", "l", "m"]))
            name = alias
        if self.wrong(0.35):
            name = self.pick(["name", "size", "1a", "#", "a-b", "_x", "#undefined", "date", "a..b", "a[", "a[x]", "a[-1]"])
        while self.maybe(0.22):
            name += self.pick([".b", ".c", "[0]", "[1]", ".#a", "[0].a"])
            if name.endswith("#a"):
                use["names"].setdefault("#a", "a")
        return name

    def operand_value(self, use, kind=None):
        """A value placeholder."""
        alias = self.pick([":a", ":b", ":c", ":d", ":v1"])
        if self.wrong(0.25):
            return self.pick([":undefined", ":", "1", "'x'", '"x"'])
        use["values"].setdefault(alias, self.value(kind=kind))
        return alias

    def operand(self, use):
        """An operand of a comparison."""
        if self.maybe(0.45):
            return self.operand_value(use)
        if self.maybe(0.12):
            return f"size({self.path(use)})"
        return self.path(use)

    def function(self, use):
        """A function of a condition."""
        name = self.pick(
            ["attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains"]
        )
        if self.wrong(0.6):
            name = self.pick(["size", "if_not_exists", "list_append", "nope", "Attribute_exists", "exists", "SIZE"])
        if name in ("attribute_exists", "attribute_not_exists"):
            arguments = [self.path(use)]
        elif name == "attribute_type":
            alias = ":t"
            use["values"].setdefault(alias, {"S": self.pick(["S", "N", "L", "M", "SS", "BOOL", "NULL", "B"])})
            if self.wrong():
                use["values"][alias] = self.pick([{"S": "X"}, {"N": "1"}, {"S": ""}])
            arguments = [self.path(use), alias]
        else:
            arguments = [self.operand(use), self.operand(use)]
        if self.wrong(0.6):
            arguments = self.pick([[], arguments[:1], arguments + arguments[:1], arguments + [self.path(use)]])
        return f"{name}({', '.join(arguments)})"

    def condition(self, use, level=0):
        """A condition expression."""
        roll = self.random.random()
        if level < 3 and roll < 0.3:
            joined = f" {self.pick(['AND', 'OR', 'and', 'Or'])} "
            return joined.join(self.condition(use, level + 1) for _ in range(2))
        if level < 3 and roll < 0.36:
            return f"NOT {self.condition(use, level + 1)}"
        if level < 3 and roll < 0.46:
            return f"({self.condition(use, level + 1)})"
        if roll < 0.62:
            return self.function(use)
        if roll < 0.72:
            kind = self.pick(["N", "S", None])
            return f"{self.operand(use)} BETWEEN {self.operand_value(use, kind)} AND {self.operand_value(use, kind)}"
        if roll < 0.80:
            several = ", ".join(self.operand(use) for _ in range(self.random.randrange(0 if self.wrong() else 1, 4)))
            return f"{self.operand(use)} IN ({several})"
        comparator = self.pick(["=", "<>", "<", "<=", ">", ">="])
        if self.wrong(0.3):
            comparator = self.pick(["==", "!=", "LIKE", "", "=>", "IS"])
        return f"{self.operand(use)} {comparator} {self.operand(use)}"

    def update(self, use):
        """An update expression."""
        clauses = []
        for clause in self.random.sample(["SET", "REMOVE", "ADD", "DELETE"], self.random.choice([1, 1, 1, 2, 2, 3])):
            actions = [self.action(clause, use) for _ in range(self.random.choice([1, 1, 2]))]
            clauses.append(f"{clause if self.maybe(0.9) else clause.lower()} {', '.join(actions)}")
        if self.wrong(0.4):
            clauses.append(self.pick(["SET a = a", "REMOVE", "SET", "PUT a :a", "SET pk = pk", "REMOVE pk"]))
        return " ".join(clauses)

    def action(self, clause, use):
        """One action of a clause."""
        path = self.path(use)
        if clause == "REMOVE":
            return path
        if clause in ("ADD", "DELETE"):
            kind = self.pick(["SS", "NS", "BS"] + (["N"] * 3 if clause == "ADD" else []))
            if self.wrong():
                kind = None
            between = " = " if self.wrong(0.3) else " "
            return f"{path}{between}{self.operand_value(use, kind)}"
        roll = self.random.random()
        if roll < 0.45:
            return f"{path} = {self.operand_value(use)}"
        if roll < 0.55:
            return f"{path} = {self.path(use)}"
        if roll < 0.75:
            one, other = self.set_operand(use), self.set_operand(use)
            return f"{path} = {one} {self.pick(['+', '-'])} {other}"
        return f"{path} = {self.set_function(use)}"

    def set_operand(self, use):
        """An operand of + or -."""
        roll = self.random.random()
        if roll < 0.6:
            return self.operand_value(use, "N" if not self.wrong() else None)
        if roll < 0.85:
            return self.path(use)
        return self.set_function(use)

    def set_function(self, use):
        """if_not_exists or list_append."""
        if self.maybe(0.5):
            first = self.operand_value(use) if self.wrong() else self.path(use)
            return f"if_not_exists({first}, {self.operand_value(use)})"
        if self.wrong():
            return self.pick(["size(a)", "list_append(a)", "if_not_exists(a)", "nope(a, :a)", "contains(a, :a)"])
        return f"list_append({self.pick(['l', self.path(use)])}, {self.operand_value(use, 'L' if self.maybe(0.8) else None)})"

    def key_condition(self, table, use):
        """A key condition expression."""
        keys = TABLES.get(table, TABLES["diff-hash"])
        name, kind = keys[0]
        use["values"][":pk"] = self.key_value(kind)
        text = f"{name} = :pk" if self.maybe(0.8) else f":pk = {name}"
        if self.wrong():
            text = self.pick([f"{name} > :pk", f"begins_with({name}, :pk)", f"({name} = :pk)", f"a = :pk", f"NOT {name} = :pk"])
        if len(keys) > 1 and self.maybe(0.6) or self.wrong():
            name, kind = keys[-1] if len(keys) > 1 else ("sk", "S")
            use["values"][":x"] = self.key_value(kind)
            roll = self.random.random()
            if roll < 0.5:
                more = f"{name} {self.pick(['=', '<', '<=', '>', '>='])} :x"
            elif roll < 0.8:
                use["values"][":y"] = self.key_value(kind)
                more = f"{name} BETWEEN :x AND :y"
            else:
                more = f"begins_with({name}, :x)"
            if self.wrong():
                more = self.pick([f"{name} <> :x", f"{name} IN (:x)", f"attribute_exists({name})", f"a = :x", f"{name} = :x AND {name} < :x", f"contains({name}, :x)"])
            joined = "OR" if self.wrong(0.5) else "AND"
            text = f"{text} {joined} {more}" if self.maybe(0.9) else f"{more} {joined} {text}"
        return text

    def projection(self, use):
        """A projection expression."""
        text = ", ".join(self.path(use) for _ in range(self.random.randrange(1, 4)))
        return self.pick([text + ",", ", a", "a b", "size(a)", ""]) if self.wrong(0.5) else text

    def spoil(self, text):
        """Now and then breaks a text."""
        if not self.wrong(0.6) or not text:
            return text
        at = self.random.randrange(len(text))
        return self.pick(
            [
                text[:at],
                text[at:],
                text[:at] + self.pick(["(", ")", ",", " ", "#", ":", "=", "!", "$", "'", ".", "[", "\t", "é"]) + text[at:],
                "",
                " ",
                f"({text})",
                f"(({text}))",
                text[:at] + text[at + 1 :],
            ]
        )

    def placeholders(self, request, use):
        """Adds the maps that the expressions use, now and then not quite."""
        names, values = copy.deepcopy(use["names"]), copy.deepcopy(use["values"])
        if self.wrong(0.4):
            names[self.pick(["#unused", "bad", "#", "#a-b", ":x", ""])] = self.pick(["a", "", "x"])
        if self.wrong(0.4):
            values[self.pick([":unused", "bad", ":", ":a-b", "#x", ""])] = self.value()
        if self.wrong(0.2) and names:
            names.pop(self.pick(list(names)))
        if self.wrong(0.2) and values:
            values.pop(self.pick(list(values)))
        if names or self.wrong(0.3):
            request["ExpressionAttributeNames"] = names
        if values or self.wrong(0.3):
            request["ExpressionAttributeValues"] = values

    # ------------------------------------------------------------------------------------------------------ operations

    def common(self, request, operation):
        """Members that many operations have."""
        if self.maybe(0.25):
            request["ReturnConsumedCapacity"] = self.pick(["TOTAL", "INDEXES", "NONE"])
            if self.wrong():
                request["ReturnConsumedCapacity"] = self.pick(["ALL", "", "total"])
        if operation in ("PutItem", "UpdateItem", "DeleteItem") and self.maybe(0.5):
            allowed = ["NONE", "ALL_OLD"]
            if operation == "UpdateItem" or self.wrong():
                allowed += ["ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"]
            request["ReturnValues"] = "BAD" if self.wrong(0.5) else self.pick(allowed)
        if self.wrong(0.3):
            request.pop(self.pick(list(request)), None)
        return {name: value for name, value in request.items() if value is not None}

    def request(self):
        """(operation, request)."""
        kinds = {
            self.put: 5,
            self.get: 3,
            self.update_item: 8,
            self.delete: 3,
            self.query: 5,
            self.scan: 5,
            self.batch_get: 2,
            self.batch_write: 2,
        }
        make = self.random.choices(list(kinds), list(kinds.values()))[0]
        return make()

    def conditional(self, request, use, chance=0.5):
        """A ConditionExpression, now and then."""
        if self.maybe(chance):
            request["ConditionExpression"] = self.spoil(self.condition(use))

    def put(self):
        """PutItem."""
        table, use = self.table(), {"names": {}, "values": {}}
        request = {"TableName": table, "Item": self.item(table)}
        self.conditional(request, use, 0.4)
        self.placeholders(request, use)
        return "PutItem", self.common(request, "PutItem")

    def get(self):
        """GetItem."""
        table, use = self.table(), {"names": {}, "values": {}}
        request = {"TableName": table, "Key": self.key(table), "ConsistentRead": True}
        if self.maybe(0.5):
            request["ProjectionExpression"] = self.spoil(self.projection(use))
        elif self.maybe(0.2):
            request["AttributesToGet"] = [self.pick(ATTRIBUTES) for _ in range(self.random.randrange(0 if self.wrong() else 1, 3))]
        self.placeholders(request, use)
        request.pop("ExpressionAttributeValues", None)
        return "GetItem", self.common(request, "GetItem")

    def update_item(self):
        """UpdateItem."""
        table, use = self.table(), {"names": {}, "values": {}}
        request = {"TableName": table, "Key": self.key(table)}
        if self.maybe(0.95):
            request["UpdateExpression"] = self.spoil(self.update(use))
        self.conditional(request, use, 0.25)
        self.placeholders(request, use)
        return "UpdateItem", self.common(request, "UpdateItem")

    def delete(self):
        """DeleteItem."""
        table, use = self.table(), {"names": {}, "values": {}}
        request = {"TableName": table, "Key": self.key(table)}
        self.conditional(request, use)
        self.placeholders(request, use)
        return "DeleteItem", self.common(request, "DeleteItem")

    def page(self, request, table, use):
        """Members of both Query and Scan."""
        if self.maybe(0.4):
            request["FilterExpression"] = self.spoil(self.condition(use))
        if self.maybe(0.3):
            request["ProjectionExpression"] = self.spoil(self.projection(use))
        if self.maybe(0.25):
            request["Select"] = self.pick(["ALL_ATTRIBUTES", "COUNT", "SPECIFIC_ATTRIBUTES"])
            if self.wrong(2):
                request["Select"] = self.pick(["ALL_PROJECTED_ATTRIBUTES", "ALL", ""])
        if self.maybe(0.25):
            request["Limit"] = self.pick([0, -1]) if self.wrong() else self.random.randrange(1, 5)
        if self.wrong():
            request["ExclusiveStartKey"] = self.key(table)
        if self.wrong(0.2):
            request["IndexName"] = self.pick(["nope-index", "ab", "a b c"])
        self.placeholders(request, use)

    def query(self):
        """Query."""
        table, use = self.table(), {"names": {}, "values": {}}
        request = {"TableName": table, "ConsistentRead": True}
        if self.maybe(0.97):
            request["KeyConditionExpression"] = self.spoil(self.key_condition(table, use))
        if self.maybe(0.2):
            request["ScanIndexForward"] = self.maybe(0.5)
        self.page(request, table, use)
        return "Query", self.common(request, "Query")

    def scan(self):
        """Scan."""
        table, use = self.table(), {"names": {}, "values": {}}
        request = {"TableName": table, "ConsistentRead": True}
        self.page(request, table, use)
        request.pop("Limit", None) if not self.wrong(3) else None
        if self.wrong():
            request["Segment"] = self.pick([0, 1, 5, -1])
        if self.wrong():
            request["TotalSegments"] = self.pick([1, 1, 0, 1000001])
        return "Scan", self.common(request, "Scan")

    def batch_get(self):
        """BatchGetItem."""
        tables = {}
        for _ in range(self.random.choice([1, 1, 2])):
            table, use = self.table() or "diff-hash", {"names": {}, "values": {}}
            one = {"Keys": [self.key(table) for _ in range(self.random.randrange(0 if self.wrong() else 1, 4))]}
            if self.maybe(0.3):
                one["ProjectionExpression"] = self.spoil(self.projection(use))
            if self.maybe(0.3):
                one["ConsistentRead"] = True
            self.placeholders(one, use)
            one.pop("ExpressionAttributeValues", None)
            tables[table] = one
        return "BatchGetItem", self.common({"RequestItems": tables}, "BatchGetItem")

    def batch_write(self):
        """BatchWriteItem."""
        tables = {}
        for _ in range(self.random.choice([1, 1, 2])):
            table = self.table() or "diff-hash"
            writes = []
            for _ in range(self.random.randrange(0 if self.wrong() else 1, 4)):
                put, delete = {"PutRequest": {"Item": self.item(table)}}, {"DeleteRequest": {"Key": self.key(table)}}
                one = put if self.maybe(0.6) else delete
                if self.wrong(0.4):
                    one = self.pick([{}, {**put, **delete}, {"PutRequest": {}}, {"DeleteRequest": {}}])
                writes.append(one)
            tables[table] = writes
        return "BatchWriteItem", self.common({"RequestItems": tables}, "BatchWriteItem")
