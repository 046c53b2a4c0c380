"""Makes the responses of two servers comparable: what differs between any two runs becomes a symbol.

A UID or a resource version becomes its number among those that its object had: `<uid 2 of web>` is the
UID of the second object of that name. So a version that does not change, or should not, is seen.
"""

import calendar
import json
import re
import time
from os.path import commonprefix
from typing import Any, Iterator

from client import Response
from wire import decode

UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
STAMP = re.compile(r"\b(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z")
SUFFIX = re.compile(r"\b([a-z0-9-]*generated-)[bcdfghjklmnpqrstvwxz2456789]{5}\b")
# An object within a message, whose fields have another order: docs/differences.md has a row for that.
QUOTED_OBJECT = re.compile(r'(Invalid value: )"\{\\"apiVersion.*\}"(?=: )', re.S)
# The age of an object in a table
AGE = re.compile(r"(\d+m)?\d+s")
VERSIONS = [
    re.compile(r"(ResourceVersion in (?:the )?(?:precondition|record) \()\d+"),
    re.compile(r"(resourceVersion\\?\"?: ?\\?\"?)\d+"),
    re.compile(r"(resource version: )\d+( \(\d+\))?"),
    re.compile(r"(, current: )\d+"),
]
# Headers that clients act on
HEADERS = ("content-type", "warning", "allow", "www-authenticate", "retry-after", "cache-control")
# Controllers write these at any time, so their versions have no relation to the requests.
WRITTEN_BY_CONTROLLERS = ("CustomResourceDefinition", "Namespace", "ValidatingAdmissionPolicy", "ClusterRole")
# Times within this many seconds are those of this run.
RECENT_SECONDS = 86400
# Of the texts that are shown: the length, and what is shown before the difference.
LONGEST, CONTEXT = 400, 60


def is_recent(seconds: float) -> bool:
    return abs(seconds - time.time()) < RECENT_SECONDS


class Normalizer:
    """One per server and scenario."""

    def __init__(self, replaced: dict):
        """`replaced` maps texts, such as the server's address, to symbols."""
        self.replaced = replaced
        self.symbols: dict = {}

    def response(self, response: Response) -> dict:
        """Returns what is compared of a response."""
        result: dict = {"status": response.status}
        result["headers"] = {name: self.text(response.headers[name]) for name in HEADERS if name in response.headers}
        kind = response.headers.get("content-type", "")
        content = response.json()
        if "protobuf" in kind:
            content = decode(response.body)
        elif content is None:
            content = response.body.decode(errors="backslashreplace").splitlines()
        result["body"] = self.walk(content, None)
        return result

    def symbol(self, what: str, owner: str, value: str) -> str:
        values = self.symbols.setdefault((what, owner), [])
        if value not in values:
            values.append(value)
        return f"<{what} {values.index(value) + 1} of {owner}>"

    def walk(self, value: Any, kind: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, int) and not isinstance(value, bool) and is_recent(value):
            return "<time>"
        if isinstance(value, list):
            return [self.walk(item, kind) for item in value]
        if not isinstance(value, dict):
            return value
        kind = value.get("kind", kind)
        result = {self.text(key): self.walk(value[key], kind) for key in sorted(value)}
        if isinstance(result.get("uid"), str):
            result["uid"] = self.symbol("uid", str(result.get("name")), value["uid"])
        version = value.get("resourceVersion")
        if isinstance(version, str) and version not in ("", "0"):
            named = "name" in value and kind not in WRITTEN_BY_CONTROLLERS
            result["resourceVersion"] = self.symbol("version", f"{kind}/{result['name']}", version) if named else "<version>"
        if isinstance(value.get("continue"), str) and value["continue"]:
            result["continue"] = "<continue>"
        if isinstance(result.get("managedFields"), list):
            result["managedFields"].sort(key=lambda entry: json.dumps(entry, sort_keys=True))
        if kind == "Status":
            self.sort_causes(result)
            first, *lines = str(result.get("message")).splitlines() or [""]
            result["message"] = "\n".join([first, *sorted(lines)])
        return result

    @staticmethod
    def sort_causes(status: dict) -> None:
        """kube-apiserver collects some causes from maps, whose order is random, and repeats some."""
        details = status.get("details")
        if not isinstance(details, dict) or not isinstance(details.get("causes"), list):
            return
        unique = {json.dumps(cause, sort_keys=True): cause for cause in details["causes"]}
        details["causes"] = [unique[key] for key in sorted(unique)]
        first, *lines = str(status.get("message")).splitlines() or [""]
        # One error has no brackets.
        start, separator, errors = first.partition(" is invalid: ")
        if separator:
            errors = errors.removeprefix("[").removesuffix("]")
            first = start + separator + ", ".join(sorted(set(errors.split(", "))))
        status["message"] = "\n".join([first, *lines])

    def text(self, text: str) -> str:
        for found, symbol in self.replaced.items():
            text = text.replace(found, symbol)
        if AGE.fullmatch(text):
            return "<age>"
        text = UUID.sub("<uid>", text)
        text = STAMP.sub(self.stamp, text)
        text = SUFFIX.sub(r"\1<suffix>", text)
        text = QUOTED_OBJECT.sub(r"\1<object>", text)
        for pattern in VERSIONS:
            text = pattern.sub(r"\1<version>", text)
        return text

    @staticmethod
    def stamp(match: re.Match) -> str:
        seconds = calendar.timegm(time.strptime(match[1], "%Y-%m-%dT%H:%M:%S"))
        fraction = ".ffffff" if match[2] else ""
        return f"<time{fraction}>" if is_recent(seconds) else match[0]


def differences(theirs: Any, ours: Any, path: str = "") -> Iterator[tuple]:
    """Yields the places at which two normalized values differ: path, value there, value here."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted({*theirs, *ours}):
            yield from differences(theirs.get(key, "<absent>"), ours.get(key, "<absent>"), f"{path}.{key}" if path else key)
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for index, (left, right) in enumerate(zip(theirs, ours)):
            yield from differences(left, right, f"{path}[{index}]")
    elif type(theirs) is not type(ours) or theirs != ours:
        yield path, theirs, ours


def describe(found: list, limit: int = 6) -> str:
    """Formats differences for people."""
    lines = []
    for path, theirs, ours in found[:limit]:
        theirs, ours = as_text(theirs), as_text(ours)
        equal = len(commonprefix([theirs, ours]))
        start = equal - CONTEXT if equal > 2 * CONTEXT else 0
        lines += [f"    {path}", f"      kube-apiserver: {excerpt(theirs, start)}", f"      rdd:            {excerpt(ours, start)}"]
    if len(found) > limit:
        lines.append(f"    and {len(found) - limit} more")
    return "\n".join(lines)


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def excerpt(text: str, start: int) -> str:
    return ("…" if start else "") + text[start : start + LONGEST] + ("…" if len(text) > start + LONGEST else "")
