"""Answers of two implementations side by side: what counts as the same, and how a difference is named."""

import dataclasses
import json
import re

PREFIX = "1 validation error detected: "


def outcome(answer):
    """An answer without what may differ: (status, error, text) or (200, None, body)."""
    if not answer.ok:
        return (400 if 400 <= answer.status < 500 else answer.status, answer.error, answer.message)
    try:
        body = answer.json
    except ValueError:
        return (200, "not JSON", answer.body.decode(errors="replace"))
    return (200, None, _plain(body))


def _plain(value, name=""):
    """Sets and unordered lists in one order; capacities and metrics are another suite's matter."""
    if isinstance(value, list):
        found = [_plain(one) for one in value]
        return sorted(found, key=json.dumps) if name in ("SS", "NS", "BS", "Unordered") else found
    if isinstance(value, dict):
        return {
            key: _plain(one, key)
            for key, one in sorted(value.items())
            if key not in ("ConsumedCapacity", "ItemCollectionMetrics")
        }
    return value


def same(operation, ours, theirs):
    """Whether two outcomes are one."""
    if ours[0] != theirs[0] or ours[1] != theirs[1]:
        return False
    if ours[0] == 200:
        return _ordered(operation, ours[2]) == _ordered(operation, theirs[2])
    return ours[2].removeprefix(PREFIX) == theirs[2].removeprefix(PREFIX)


def _ordered(operation, body):
    """Scans and batches have no order."""
    if operation in ("Scan", "Query", "ExecuteStatement") and "Items" in body:
        # A token or a key to go on from is an implementation's own.
        body = {key: one for key, one in body.items() if key != "NextToken"}
    if operation in ("Scan", "ExecuteStatement") and "Items" in body:
        return {**body, "Items": sorted(body["Items"], key=json.dumps)}
    if operation == "BatchGetItem":
        tables = {name: sorted(items, key=json.dumps) for name, items in body.get("Responses", {}).items()}
        return {**body, "Responses": tables}
    return body


def skeleton(outcome):
    """An outcome without its values, so that like differences are counted together."""
    status, error, text = outcome
    if status == 200:
        return "200"
    text = text.removeprefix(PREFIX)
    if "failed to satisfy constraint" in text:
        text = re.sub(r"Value .*? at '", "Value V at '", text, flags=re.DOTALL)
    text = re.sub(r'token: ".*', "token…", text, flags=re.DOTALL)
    text = re.sub(r"(path one|path two|attribute name|attribute value|keyword|operand type|key|keys|operand|function): .*", r"\1…", text)
    return f"{status} {error}: {text[:160]}"


@dataclasses.dataclass
class Rule:
    """A difference with a ruling: regular expressions on OPERATION REQUEST, on our outcome and on theirs."""

    request: re.Pattern
    ours: re.Pattern
    theirs: re.Pattern
    because: str


class Explained:
    """The rulings of `explained.txt`: blocks of `request`, `ours`, `theirs` (each may be left out) and `because`."""

    def __init__(self, text):
        self.rules = []
        for block in re.split(r"\n\s*\n", text):
            lines = [line for line in block.splitlines() if line.strip() and not line.startswith("#")]
            if not lines:
                continue
            members = dict(line.split(": ", 1) for line in lines)
            patterns = [re.compile(members.pop(name, ""), re.DOTALL) for name in ("request", "ours", "theirs")]
            self.rules.append(Rule(*patterns, members.pop("because")))
            if members:
                raise ValueError(f"explained.txt: {', '.join(members)} in a ruling")
        self.used = [0] * len(self.rules)

    def covers(self, operation, request, ours, theirs):
        """Whether a ruling explains this difference."""
        asked = f"{operation} {json.dumps(request)}"
        for index, rule in enumerate(self.rules):
            if rule.request.search(asked) and rule.ours.search(_line(ours)) and rule.theirs.search(_line(theirs)):
                self.used[index] += 1
                return True
        return False


def _line(found):
    status, error, text = found
    return f"{status} {json.dumps(text)}" if status == 200 else f"{status} {error}: {text}"
