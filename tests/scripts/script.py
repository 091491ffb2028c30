"""The script format: parsing, and matching an answer against a pattern. README.md describes it."""

import dataclasses
import json
import re
import time
import uuid


@dataclasses.dataclass
class Step:
    """One line that does something: kind is table, wait or request; `at` is FILE:LINE."""

    kind: str
    at: str
    words: list
    operation: str = ""
    body: str = ""
    expected: str = ""
    eventually: bool = False


@dataclasses.dataclass
class Case:
    """A title and its steps."""

    title: str
    steps: list


class Malformed(Exception):
    """A script that is not in the format."""


def parse(path):
    """The cases of a file; steps before the first `case` make a case named setup."""
    cases = [Case("setup", [])]
    for at, line in _logical_lines(path):
        word, _, rest = line.partition(" ")
        steps = cases[-1].steps
        if word == "case":
            cases.append(Case(rest.strip(), []))
        elif word in ("table", "wait"):
            steps.append(Step(word, at, rest.split()))
        elif word == ">":
            operation, _, body = rest.strip().partition(" ")
            steps.append(Step("request", at, [], operation.strip(), body.strip()))
        elif word in ("<", "<~"):
            if not steps or steps[-1].kind != "request" or steps[-1].expected:
                raise Malformed(f"{at}: an answer without a request before it")
            steps[-1].expected = rest.strip()
            steps[-1].eventually = word == "<~"
        else:
            raise Malformed(f"{at}: {word!r} is no directive")
    for case in cases:
        for step in case.steps:
            if step.kind == "request" and not step.expected:
                raise Malformed(f"{step.at}: a request without the answer expected")
    return [case for case in cases if case.steps]


def _logical_lines(path):
    """(FILE:LINE, text) with continuations joined and comments dropped."""
    joined, at = None, ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line[0].isspace():
            if joined is None:
                raise Malformed(f"{path.name}:{number}: a continuation of nothing")
            joined += "\n" + line.strip()
            continue
        if joined is not None:
            yield at, joined
        joined, at = line.rstrip(), f"{path.name}:{number}"
    if joined is not None:
        yield at, joined


_REPEAT = re.compile(r"\$\((\d+)\*(.*?)\)", re.DOTALL)
_LAST = re.compile(r'"\$last/([^"]*)"')


def expand(text, last=None):
    """Replaces `$(N*text)` and `"$last/path"`."""
    text = _REPEAT.sub(lambda found: found.group(2) * int(found.group(1)), text)
    return _LAST.sub(lambda found: json.dumps(_at(last, found.group(1))), text)


def _at(value, path):
    for part in path.split("/"):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


PREFIX = "1 validation error detected: "


def differs(answer, expected, loose=False):
    """None when the answer is as expected; else one line that says where it is not. See `mismatch` for `loose`."""
    status, _, pattern = expected.partition(" ")
    pattern = pattern.strip()
    if str(answer.status) != status:
        return f"status {answer.status} instead of {status}: {answer.body[:300]!r}"
    if status == "200" or pattern.startswith("{"):
        try:
            found = answer.json
        except ValueError:
            return f"the body is not JSON: {answer.body[:200]!r}"
        return mismatch(json.loads(expand(pattern)) if pattern else {}, found, "", loose)
    return _error_differs(answer, pattern)


def _error_differs(answer, pattern):
    name, text, exact = pattern, None, True
    if ": " in pattern and re.match(r"^\w+: ", pattern):
        name, _, text = pattern.partition(": ")
    elif " ~ " in pattern:
        (name, _, text), exact = pattern.partition(" ~ "), False
    if answer.error != name:
        return f"{answer.error} instead of {name}: {answer.body[:300]!r}"
    if text is None:
        return None
    text, message = expand(text), answer.message
    if message.endswith("...") and len(message) > 1000:
        # gRPC cuts texts to what headers can bear.
        message = message.removesuffix("...")
        text = text[: len(message)]
    bare = message.removeprefix(PREFIX)
    right = (text in (message, bare) or text.removeprefix(PREFIX) == bare) if exact else text in message
    return None if right else f"text {message[:400]!r} instead of {text[:400]!r}"


def mismatch(pattern, found, path, loose=False):
    """None, or where and how `found` does not match. Loosely, as messages of protobuf need it: a member that is absent
    on one side and empty, zero or false on the other is the same."""
    where = path or "/"
    if isinstance(pattern, str) and pattern.startswith("$"):
        return _matcher(pattern, found, where)
    if isinstance(pattern, dict):
        if "$unordered" in pattern:
            return _unordered(pattern["$unordered"], found, where, loose)
        return _object(pattern, found, path, loose)
    if isinstance(pattern, list):
        if not isinstance(found, list) or len(found) != len(pattern):
            return f"{where}: expected {_short(pattern)}, found {_short(found)}"
        for index, (one, other) in enumerate(zip(pattern, found)):
            wrong = mismatch(one, other, f"{path}/{index}", loose)
            if wrong:
                return wrong
        return None
    # 1 and 1.0 are one number; true is none.
    same = pattern == found and isinstance(pattern, bool) == isinstance(found, bool)
    return None if same else f"{where}: expected {_short(pattern)}, found {_short(found)}"


TYPES = {"S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS", "BS"}


def _is_empty(name, value):
    # The empty value of an attribute is one all the same.
    return name not in TYPES and value in ({}, [], "", 0, "$number", "$bool", "$text")


def _object(pattern, found, path, loose):
    where = path or "/"
    if not isinstance(found, dict):
        return f"{where}: expected an object, found {_short(found)}"
    more = pattern.get("$more", False)
    members = {name: value for name, value in pattern.items() if name != "$more"}
    if len(members) == 1 and next(iter(members)) in ("SS", "NS", "BS") and not more:
        name = next(iter(members))
        if set(found) != {name}:
            return f"{where}: expected {_short(pattern)}, found {_short(found)}"
        return _unordered(members[name], found[name], f"{path}/{name}", loose)
    missing = [name for name in members if name not in found]
    extra = [] if more else [name for name in found if name not in members]
    if loose:
        missing = [name for name in missing if not _is_empty(name, members[name])]
        extra = [name for name in extra if not _is_empty(name, found[name])]
    if missing or extra:
        return f"{where}: missing {missing}, unexpected {extra} in {_short(found)}"
    for name, value in members.items():
        if name not in found:
            continue
        wrong = mismatch(value, found[name], f"{path}/{name}", loose)
        if wrong:
            return wrong
    return None


def _unordered(pattern, found, where, loose=False):
    if not isinstance(found, list) or len(found) != len(pattern):
        return f"{where}: expected {len(pattern)} elements, found {_short(found)}"
    left = list(found)
    for one in pattern:
        for index, other in enumerate(left):
            if mismatch(one, other, where, loose) is None:
                del left[index]
                break
        else:
            return f"{where}: no element like {_short(one)} in {_short(found)}"
    return None


def _matcher(pattern, found, where):
    kind, _, argument = pattern.partition(":")
    is_number = isinstance(found, (int, float)) and not isinstance(found, bool)
    checks = {
        "$any": lambda: True,
        "$text": lambda: isinstance(found, str),
        "$number": lambda: is_number,
        "$bool": lambda: isinstance(found, bool),
        "$uuid": lambda: isinstance(found, str) and str(uuid.UUID(found)) == found.lower(),
        "$now": lambda: is_number and abs(found - time.time()) < 3600,
        "$starts": lambda: isinstance(found, str) and found.startswith(argument),
        "$has": lambda: isinstance(found, str) and argument in found,
    }
    if kind not in checks:
        raise Malformed(f"{pattern!r} is no matcher")
    try:
        right = checks[kind]()
    except ValueError:
        right = False
    return None if right else f"{where}: {_short(found)} does not match {pattern}"


def _short(value):
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 300 else text[:300] + "…"
