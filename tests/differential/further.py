"""Generated requests beyond single items: transactions, indexes, the legacy parameters, PartiQL."""

import json

from tests.differential.generate import ATTRIBUTES, TABLES, Generator

INDEXED = "diff-idx"
INDEXES = {"by-i1": ["pk", "i1"], "by-g": ["g", "i2"], "by-g-keys": ["g"]}
"""The indexes of one table, with their keys; those that begin with the table's own key are local."""
KINDS = {"pk": "S", "sk": "N", "i1": "S", "i2": "N", "g": "S"}

COMPARISONS = ["EQ", "NE", "IN", "LE", "LT", "GE", "GT", "CONTAINS", "NOT_CONTAINS", "BEGINS_WITH", "NULL", "NOT_NULL", "BETWEEN"]
ARITY = {"NULL": 0, "NOT_NULL": 0, "BETWEEN": 2, "IN": 2}


def indexed_table():
    """CreateTable of the table with indexes."""
    kinds = ("HASH", "RANGE")
    schema = lambda names: [{"AttributeName": name, "KeyType": kinds[i]} for i, name in enumerate(names)]
    index = lambda name, projection: {
        "IndexName": name, "KeySchema": schema(INDEXES[name]), "Projection": projection,
    }
    return {
        "TableName": INDEXED,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": schema(["pk", "sk"]),
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": kind} for name, kind in KINDS.items()],
        "LocalSecondaryIndexes": [index("by-i1", {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["a"]})],
        "GlobalSecondaryIndexes": [index("by-g", {"ProjectionType": "ALL"}), index("by-g-keys", {"ProjectionType": "KEYS_ONLY"})],
    }


class Further(Generator):
    """All of [`Generator`]'s requests, and these."""

    def request(self):
        """(operation, request)."""
        if self.maybe(0.45):
            return super().request()
        kinds = {
            self.transact_write: 4,
            self.transact_get: 2,
            self.indexed_put: 3,
            self.indexed_read: 5,
            self.legacy_write: 4,
            self.legacy_read: 4,
            self.statement: 8,
            self.statements: 2,
            self.statement_transaction: 2,
        }
        return self.random.choices(list(kinds), list(kinds.values()))[0]()

    # --------------------------------------------------------------------------------------------------- transactions

    def transact_write(self):
        """TransactWriteItems."""
        items = []
        for _ in range(self.random.randrange(0 if self.wrong() else 1, 4)):
            table, use = self.table() or "diff-hash", {"names": {}, "values": {}}
            kind = self.pick(["Put", "Update", "Delete", "ConditionCheck"])
            one = {"TableName": table}
            if kind == "Put":
                one["Item"] = self.item(table)
            else:
                one["Key"] = self.key(table)
            if kind == "Update":
                one["UpdateExpression"] = self.spoil(self.update(use))
            self.conditional(one, use, 1.0 if kind == "ConditionCheck" and not self.wrong() else 0.3)
            self.placeholders(one, use)
            if self.maybe(0.2):
                one["ReturnValuesOnConditionCheckFailure"] = self.pick(["ALL_OLD", "NONE"])
            items.append({} if self.wrong(0.3) else {kind: one})
        return "TransactWriteItems", self.common({"TransactItems": items}, "TransactWriteItems")

    def transact_get(self):
        """TransactGetItems."""
        items = []
        for _ in range(self.random.randrange(0 if self.wrong() else 1, 4)):
            table, use = self.table() or "diff-hash", {"names": {}, "values": {}}
            one = {"TableName": table, "Key": self.key(table)}
            if self.maybe(0.3):
                one["ProjectionExpression"] = self.spoil(self.projection(use))
                self.placeholders(one, use)
                one.pop("ExpressionAttributeValues", None)
            items.append({"Get": one})
        return "TransactGetItems", self.common({"TransactItems": items}, "TransactGetItems")

    # -------------------------------------------------------------------------------------------------------- indexes

    def indexed_key(self, name):
        """A value of a key attribute of the indexed table, mostly of its type."""
        return self.key_value(KINDS[name])

    def indexed_put(self):
        """PutItem or DeleteItem in the table with indexes."""
        key = {"pk": self.indexed_key("pk"), "sk": self.indexed_key("sk")}
        if self.maybe(0.2):
            return "DeleteItem", {"TableName": INDEXED, "Key": key}
        item = {**key, **{name: self.indexed_key(name) for name in ("i1", "i2", "g") if self.maybe(0.7)}}
        item.update({name: self.value() for name in self.random.sample(["a", "b"], self.random.randrange(3))})
        return "PutItem", self.common({"TableName": INDEXED, "Item": item}, "PutItem")

    def indexed_read(self):
        """Query or Scan of an index."""
        name = self.pick(list(INDEXES))
        keys, use = INDEXES[name], {"names": {}, "values": {}}
        request = {"TableName": INDEXED, "IndexName": name}
        if self.wrong():
            request["IndexName"] = self.pick(["nope-index", "ab"])
        if keys[0] == "pk" and self.maybe(0.5) or self.wrong():
            request["ConsistentRead"] = True
        if self.maybe(0.3):
            self.page(request, INDEXED, use)
            request.pop("Limit", None)
            return "Scan", self.common(request, "Scan")
        use["values"][":h"] = self.indexed_key(keys[0])
        text = f"{keys[0]} = :h"
        if len(keys) > 1 and self.maybe(0.5):
            use["values"][":r"] = self.indexed_key(keys[1])
            text += f" AND {keys[1]} {self.pick(['=', '<', '>=', '>'])} :r"
        request["KeyConditionExpression"] = self.spoil(text)
        if self.maybe(0.2):
            request["ScanIndexForward"] = False
        self.page(request, INDEXED, use)
        # Items with equal keys come in an order of the implementation's own.
        request.pop("Limit", None)
        return "Query", self.common(request, "Query")

    # --------------------------------------------------------------------------------------------------------- legacy

    def comparison(self):
        """A legacy comparison with its values."""
        operator = self.pick(COMPARISONS)
        count = ARITY.get(operator, 1)
        if self.wrong():
            count = self.random.randrange(4)
        kind = "N" if operator == "BETWEEN" and not self.wrong() else None
        found = {"ComparisonOperator": "NOPE" if self.wrong(0.3) else operator}
        if count:
            found["AttributeValueList"] = [self.value(kind=kind) for _ in range(count)]
        return found

    def expected(self):
        """`Expected`, with or without operators."""
        found = {}
        for _ in range(self.random.choice([1, 1, 2])):
            if self.maybe(0.4):
                one = {"Exists": False} if self.maybe(0.4) else {"Value": self.value()}
                if self.wrong():
                    one = self.pick([{"Exists": True}, {"Exists": False, "Value": {"S": "x"}}, {}])
            else:
                one = self.comparison()
            found[self.pick(ATTRIBUTES)] = one
        return found

    def legacy_write(self):
        """PutItem, DeleteItem or UpdateItem with `Expected` and `AttributeUpdates`."""
        table = self.pick(list(TABLES))
        operation = self.pick(["PutItem", "DeleteItem", "UpdateItem", "UpdateItem"])
        request = {"TableName": table}
        if operation == "PutItem":
            request["Item"] = self.item(table)
        else:
            request["Key"] = self.key(table)
        if operation == "UpdateItem":
            updates = {}
            for _ in range(self.random.choice([1, 1, 2])):
                action = self.pick(["PUT", "ADD", "DELETE"])
                kinds = {"PUT": None, "ADD": self.pick(["N", "SS", "NS"]), "DELETE": self.pick(["SS", "NS"])}
                one = {"Action": "NOPE" if self.wrong(0.3) else action}
                if action != "DELETE" or self.maybe(0.5):
                    one["Value"] = self.value(kind=None if self.wrong() else kinds[action])
                updates[self.pick(ATTRIBUTES)] = one
            request["AttributeUpdates"] = updates
        if self.maybe(0.5):
            request["Expected"] = self.expected()
            if self.maybe(0.3):
                request["ConditionalOperator"] = self.pick(["AND", "OR"])
        if self.wrong():
            request["ConditionExpression"] = "attribute_exists(a)"
        return operation, self.common(request, operation)

    def legacy_read(self):
        """Query or Scan with conditions and filters of the old kind."""
        table = self.pick(list(TABLES))
        keys = TABLES[table]
        request = {"TableName": table, "ConsistentRead": True}
        filters = {self.pick(ATTRIBUTES): self.comparison() for _ in range(self.random.choice([0, 1, 1, 2]))}
        if self.maybe(0.2):
            request["AttributesToGet"] = self.random.sample(ATTRIBUTES, 2)
        if filters and self.maybe(0.3):
            request["ConditionalOperator"] = self.pick(["AND", "OR"])
        if self.maybe(0.4):
            request["ScanFilter"] = filters
            return "Scan", self.common(request, "Scan")
        conditions = {keys[0][0]: {"ComparisonOperator": "EQ", "AttributeValueList": [self.key_value(keys[0][1])]}}
        if len(keys) > 1 and self.maybe(0.5):
            operator = self.pick(["EQ", "LT", "GE", "GT", "LE"])
            conditions[keys[1][0]] = {"ComparisonOperator": operator, "AttributeValueList": [self.key_value(keys[1][1])]}
        if self.wrong():
            conditions[self.pick([*ATTRIBUTES, "sk"])] = self.comparison()
        request["KeyConditions"] = conditions
        if filters:
            request["QueryFilter"] = filters
        return "Query", self.common(request, "Query")

    # -------------------------------------------------------------------------------------------------------- PartiQL

    def literal(self, parameters, value=None):
        """A value in a statement: as it is written, or as a parameter."""
        value = self.value() if value is None else value
        ((kind, one),) = value.items() if len(value) == 1 else (("X", None),)
        if kind == "S" and isinstance(one, str) and self.maybe(0.6):
            return "'" + one.replace("'", "''") + "'"
        if kind == "N" and isinstance(one, str) and self.maybe(0.6):
            return one or "''"
        if kind in ("BOOL", "NULL") and self.maybe(0.6):
            return {"BOOL": "true" if one is True else "false"}.get(kind, "NULL")
        if kind == "SS" and isinstance(one, list) and all(isinstance(e, str) for e in one) and self.maybe(0.5):
            return "<<" + ", ".join(f"'{e}'" for e in one) + ">>"
        parameters.append(value)
        return "?"

    def place(self):
        """A path in a statement."""
        name = self.pick([*ATTRIBUTES, '"a"', '"b.c"'])
        while self.maybe(0.15):
            name += self.pick([".b", ".c", "[0]", "[1]"])
        return name

    def where(self, parameters, level=0):
        """A condition of a statement beside the key."""
        roll = self.random.random()
        if level < 2 and roll < 0.25:
            return f" {self.pick(['AND', 'OR'])} ".join(self.where(parameters, level + 1) for _ in range(2))
        if level < 2 and roll < 0.35:
            return f"NOT ({self.where(parameters, level + 1)})"
        place = self.place()
        if roll < 0.5:
            return self.pick(
                [f"{place} IS MISSING", f"{place} IS NOT MISSING", f"{place} IS NULL", f"attribute_exists({place})",
                 f"attribute_type({place}, 'S')", f"size({place}) > 1"]
            )
        if roll < 0.6:
            return f"{self.pick(['begins_with', 'contains'])}({place}, {self.literal(parameters, {'S': 'a'})})"
        if roll < 0.7:
            return f"{place} BETWEEN {self.literal(parameters, {'N': '1'})} AND {self.literal(parameters, {'N': '5'})}"
        if roll < 0.8:
            return f"{place} IN [{self.literal(parameters)}, {self.literal(parameters)}]"
        return f"{place} {self.pick(['=', '<>', '<', '<=', '>', '>='])} {self.literal(parameters)}"

    def keyed(self, table, parameters, whole=True):
        """The equalities of a key."""
        keys = TABLES[table]
        if not whole:
            keys = keys[:1]
        return " AND ".join(f"{name} = {self.literal(parameters, self.key_value(kind))}" for name, kind in keys)

    def statement_of(self, kinds, returning=True):
        """(text, parameters)."""
        parameters, table = [], self.pick(list(TABLES))
        name = f'"{table}"' if not self.wrong(0.3) else self.pick(['"diff-none"', '"ab"', table, '""'])
        kind = self.pick(kinds)
        if kind == "INSERT":
            members = [f"'{key}': {self.literal(parameters, self.key_value(of))}" for key, of in TABLES[table]]
            members += [f"'{self.pick(ATTRIBUTES)}': {self.literal(parameters)}" for _ in range(self.random.randrange(3))]
            return self.spoil(f"INSERT INTO {name} VALUE {{{', '.join(members)}}}"), parameters
        if kind == "GET":
            return self.spoil(f"SELECT * FROM {name} WHERE {self.keyed(table, parameters)}"), parameters
        if kind == "EXISTS":
            where = f"{self.keyed(table, parameters)} AND {self.where(parameters, 2)}"
            return self.spoil(f"EXISTS(SELECT * FROM {name} WHERE {where})"), parameters
        if kind == "SELECT":
            columns = "*" if self.maybe(0.6) else ", ".join(self.random.sample(ATTRIBUTES, 2))
            where = self.keyed(table, parameters, whole=self.maybe(0.5)) if self.maybe(0.8) else ""
            if self.maybe(0.5):
                where = f"{where} AND ({self.where(parameters)})" if where else self.where(parameters)
            text = f"SELECT {columns} FROM {name}" + (f" WHERE {where}" if where else "")
            if where and self.maybe(0.15):
                text += f" ORDER BY {self.pick([key for key, _ in TABLES[table]])} {self.pick(['ASC', 'DESC'])}"
            return self.spoil(text), parameters
        if kind == "UPDATE":
            changes = []
            for _ in range(self.random.choice([1, 1, 2])):
                place = self.place()
                change = self.pick(
                    [f"SET {place} = ", "SET n = n + ", f"REMOVE {place}", "SET l = list_append(l, ", "SET ss = set_add(ss, <<'x'>>)",
                     "SET ss = set_delete(ss, <<'a'>>)"]
                )
                if change.endswith("+ "):
                    change += self.literal(parameters, {"N": "1"})
                elif change.endswith(", "):
                    change += self.literal(parameters, {"L": [{"N": "1"}]}) + ")"
                elif change.endswith("= "):
                    change += self.literal(parameters)
                changes.append(change)
            # Parameters stand in the order of the text.
            text = f"UPDATE {name} {' '.join(changes)} WHERE "
        else:
            text = f"DELETE FROM {name} WHERE "
        text += self.keyed(table, parameters)
        if self.maybe(0.3):
            text += f" AND {self.where(parameters, 1)}"
        if returning and self.maybe(0.4):
            text += f" RETURNING {self.pick(['ALL OLD', 'ALL NEW', 'MODIFIED OLD', 'MODIFIED NEW'] if kind == 'UPDATE' else ['ALL OLD'])} *"
        return self.spoil(text), parameters

    def one_statement(self, kinds, returning=True):
        """A statement as a request has it."""
        text, parameters = self.statement_of(kinds, returning)
        # What was made and not taken must not be sent: as many as there are marks.
        found = {"Statement": text}
        if parameters:
            found["Parameters"] = parameters if not self.wrong(0.3) else parameters[:-1] or parameters * 2
        return found

    def statement(self):
        """ExecuteStatement."""
        request = self.one_statement(["SELECT", "SELECT", "GET", "INSERT", "UPDATE", "UPDATE", "DELETE"])
        if request["Statement"].startswith("SELECT"):
            request["ConsistentRead"] = True
        return "ExecuteStatement", self.common(request, "ExecuteStatement")

    def statements(self):
        """BatchExecuteStatement."""
        kinds = ["GET"] if self.maybe(0.4) else ["INSERT", "UPDATE", "DELETE"]
        several = [self.one_statement(kinds) for _ in range(self.random.randrange(1, 4))]
        return "BatchExecuteStatement", {"Statements": several}

    def statement_transaction(self):
        """ExecuteTransaction."""
        kinds = ["GET"] if self.maybe(0.4) else ["INSERT", "UPDATE", "DELETE", "EXISTS"]
        several = [self.one_statement(kinds, returning=self.wrong()) for _ in range(self.random.randrange(1, 4))]
        return "ExecuteTransaction", {"TransactStatements": several}


def is_eventual(operation, request):
    """Whether the answer may be behind the last write."""
    return operation in ("Query", "Scan") and request.get("IndexName") in ("by-g", "by-g-keys")


def writes(operation, request):
    """Whether a request may change something."""
    if operation in ("ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction"):
        return "SELECT *" not in json.dumps(request) or "EXISTS" in json.dumps(request)
    return operation in ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems")
