"""Sends random sequences to both servers, and shortens one after which they differ."""

import json
import re
import time
import urllib.parse
from typing import Any, NamedTuple, Optional

from client import Client, Request, Response
from generator import APPLY, GROUP, JSON, JSON_PATCH, KINDS, MERGE, STRATEGIC, WIDGETS, Generator
from normal import Normalizer, describe, differences

CONTENT_TYPES = {"merge": MERGE, "json-patch": JSON_PATCH, "strategic": STRATEGIC, "apply": APPLY}
METHODS = {"create": "POST", "update": "PUT", "delete": "DELETE", "collection": "DELETE", "get": "GET", "list": "GET", "table": "GET"}
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
# A shortened sequence is tried at most this often.
SHORTENING_LIMIT = 300
READY_SECONDS = 60.0
POLL_SECONDS = 0.1


def is_empty_table(operation: dict, found: list) -> bool:
    return operation["verb"] == "table" and found == [("body.rows", None, [])]


def is_page_before_nothing(operation: dict, found: list) -> bool:
    return "limit" in operation["query"] and found == [("body.metadata.continue", "<continue>", "<absent>")]


def is_given_up(operation: dict, found: list) -> bool:
    if operation["verb"] != "apply":
        return False
    values = {path: (theirs, ours) for path, theirs, ours in found}
    message, absent = values.get("body.message", ("", ""))
    if absent == "<absent>":
        return NULL_AFTER_APPLY.search(message) is not None
    # There is another error beside it.
    theirs, ours = values.get("body.details.causes", ([], []))
    others = [cause for cause in theirs if not NULL_AFTER_APPLY.search(cause["message"])]
    return set(values) == {"body.message", "body.details.causes"} and len(others) < len(theirs) and others == ours


def is_part_of_errors(operation: dict, found: list) -> bool:
    if operation["verb"] != "apply" or [path for path, _, _ in found] != ["body.message"]:
        return False
    theirs, ours = (set(re.findall(r"\.[^\s:]+: [^\n]+", message)) for message in found[0][1:])
    return "field not declared in schema" in found[0][1] and theirs < ours


def names_another_value(operation: dict, found: list) -> bool:
    paths = {path for path, _, _ in found}
    is_message = paths in ({"body.message"}, {"body.message", "body.details.causes[0].message"})
    named = [[WRONG_VALUE.search(message) for message in messages] for _, *messages in found]
    return is_message and all(theirs and ours and theirs[0] != ours[0] for theirs, ours in named)


# What a message names of the value that has the wrong type: its field, or the value itself.
WRONG_VALUE = re.compile(r'Go struct field [\w.]+|unrecognized type: \w+|parsing time "[^"]*"|illegal base64 data at input byte \d+')
# A map, a list, or an object that is null after its last field was given up.
NULL_AFTER_APPLY = re.compile(r'must be of type (object|array): "null"')
# Differences that are explained: the row in docs/differences.md, and how they are recognized. What follows
# may differ because of them, so a sequence ends there.
KNOWN = (
    ("an empty list or map", is_empty_table),
    ("a page of a list with a selector, after which nothing matches", is_page_before_nothing),
    ("apply that gives up the last field of a map or an object", is_given_up),
    ("several errors in an applied configuration", is_part_of_errors),
    ("several values of a wrong type in one body", names_another_value),
)


def is_known(operation: dict, found: list) -> bool:
    return any(recognizes(operation, found) for _, recognizes in KNOWN)


class Difference(NamedTuple):
    """A step after which the servers differed."""

    index: int
    request: Request
    found: list

    def fingerprint(self) -> set:
        return {(path, str(theirs)[:80], str(ours)[:80]) for path, theirs, ours in self.found}


class Side:
    """The state of one run of a sequence at one server."""

    def __init__(self, client: Client, prefix: str):
        self.client, self.prefix = client, prefix
        self.normalizer = Normalizer({client.address: "<address>", prefix: "<run>"})
        self.versions: dict = {}
        self.begin = ""

    def request(self, operation: dict) -> Request:
        """Makes the request of an operation."""
        verb, kind = operation["verb"], KINDS[operation["kind"]]
        name = operation["name"] if kind.namespaced else f"{self.prefix}-{operation['name']}"
        path = f"/{kind.api}/namespaces/{self.prefix}/{kind.plural}" if kind.namespaced else f"/{kind.api}/{kind.plural}"
        query = dict(operation["query"])
        if verb not in ("create", "list", "collection", "table"):
            path += f"/{name}"
        elif not kind.namespaced and verb != "create":
            # Those of the servers themselves are not compared.
            query["labelSelector"] = f"run={self.prefix}" + (f",{query['labelSelector']}" if query.get("labelSelector") else "")
        if subresource := operation.get("subresource"):
            path += f"/{subresource}"
        if query:
            path += f"?{urllib.parse.urlencode(query)}"
        headers, body = {}, operation.get("body")
        if verb == "table":
            headers["accept"] = TABLE
        if body is not None:
            headers["content-type"] = CONTENT_TYPES.get(verb, JSON)
            if isinstance(body, dict) and verb not in ("delete", "collection"):
                body = self.complete(operation, body, name)
        content = None if body is None else json.dumps(body).encode()
        return Request(METHODS.get(verb, "PATCH"), path, headers, content)

    def complete(self, operation: dict, body: dict, name: str) -> dict:
        """Adds what depends on the run to an object."""
        metadata = body.get("metadata") or {}
        if operation["verb"] in ("create", "update", "apply"):
            metadata = {"name": name, **metadata}
        versions = self.versions.get((operation["kind"], operation["name"]), [])
        if operation["version"] == "current" and versions:
            metadata = {**metadata, "resourceVersion": versions[-1]}
        elif operation["version"] == "stale" and versions:
            metadata = {**metadata, "resourceVersion": versions[0]}
        if not KINDS[operation["kind"]].namespaced and operation["verb"] != "strategic":
            metadata = {**metadata, "labels": {**(metadata.get("labels") or {}), "run": self.prefix}}
        return {**body, "metadata": metadata} if metadata else body

    def send(self, operation: dict) -> tuple:
        request = self.request(operation)
        response = self.client.send(request)
        self.note(operation, response)
        return request, self.normalizer.response(response)

    def note(self, operation: dict, response: Response) -> None:
        """Remembers the version of an object."""
        content = response.json()
        metadata = content.get("metadata") if isinstance(content, dict) else None
        version = metadata.get("resourceVersion") if isinstance(metadata, dict) and metadata.get("name") else None
        if version and "dryRun" not in operation["query"]:
            self.versions.setdefault((operation["kind"], operation["name"]), []).append(version)

    def create_namespace(self) -> None:
        body = json.dumps({"metadata": {"name": self.prefix}}).encode()
        response = self.client.send(Request("POST", "/api/v1/namespaces", {"content-type": JSON}, body))
        if response.status != 201:
            raise RuntimeError(f"{self.client.name}: cannot create the namespace {self.prefix}: {response.status}")
        self.begin = response.json()["metadata"]["resourceVersion"]

    def events(self, plural: str) -> Request:
        """Makes a watch of everything that happened to a kind, which ends after a second."""
        path = f"/{KINDS[plural].api}/namespaces/{self.prefix}/{plural}"
        return Request("GET", f"{path}?watch=true&timeoutSeconds=1&resourceVersion={self.begin}", {})

    def remove(self) -> None:
        """Deletes what a run leaves, as far as it is in no namespace."""
        self.client.send(Request("DELETE", f"/api/v1/namespaces/{self.prefix}", {}))
        for api, plural in ((kind.api, kind.plural) for kind in KINDS.values() if not kind.namespaced):
            for name in ("a", "b", "c"):
                path = f"/{api}/{plural}/{self.prefix}-{name}"
                self.client.send(Request("PATCH", path, {"content-type": MERGE}, b'{"metadata":{"finalizers":null}}'))
                self.client.send(Request("DELETE", path, {}))


class SequenceRunner:
    """Runs sequences, each in a namespace of its own."""

    def __init__(self, reference: Client, subject: Client):
        self.clients = (reference, subject)
        self.runs = 0

    def define(self) -> None:
        """Creates the custom kind, and waits until it is served."""
        path = f"/apis/{GROUP}/v1/widgets"
        for client in self.clients:
            body = json.dumps(WIDGETS).encode()
            client.send(Request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {"content-type": JSON}, body))
            deadline = time.monotonic() + READY_SECONDS
            while client.send(Request("GET", path, {})).status != 200:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{client.name}: {path} is not served")
                time.sleep(POLL_SECONDS)

    def run(self, operations: list, watch: bool = True) -> Optional[Difference]:
        """Returns the first difference."""
        self.runs += 1
        sides = [Side(client, f"run{self.runs:05}") for client in self.clients]
        try:
            for side in sides:
                side.create_namespace()
            for index, operation in enumerate(operations):
                (request, theirs), (_, ours) = [side.send(operation) for side in sides]
                if found := list(differences(theirs, ours)):
                    if is_known(operation, found):
                        return None
                    return Difference(index, request, found)
            return self.compare_events(sides, operations) if watch else None
        finally:
            for side in sides:
                side.remove()

    def compare_events(self, sides: list, operations: list) -> Optional[Difference]:
        """Compares what watches of all namespaced kinds have seen."""
        for plural in sorted({operation["kind"] for operation in operations if KINDS[operation["kind"]].namespaced}):
            requests = [side.events(plural) for side in sides]
            theirs, ours = [side.normalizer.response(side.client.send(request)) for side, request in zip(sides, requests)]
            if found := list(differences(theirs, ours)):
                return Difference(len(operations), requests[0], found)
        return None

    def shorten(self, operations: list, difference: Difference) -> tuple:
        """Removes operations as long as the same difference remains; returns the rest, and its difference."""
        at_end = difference.index == len(operations)
        operations = operations[: difference.index + 1]
        start, wanted = self.runs, difference.fingerprint()
        size = max(1, (len(operations) - 1) // 2)
        while size and self.runs - start < SHORTENING_LIMIT:
            index, removed = 0, False
            while index < len(operations) - (0 if at_end else 1) and self.runs - start < SHORTENING_LIMIT:
                end = min(index + size, len(operations) - (0 if at_end else 1))
                shorter = operations[:index] + operations[end:]
                found = self.run(shorter, watch=at_end)
                last = len(shorter) if at_end else len(shorter) - 1
                if found and found.index == last and (at_end or found.fingerprint() & wanted):
                    operations, difference, removed = shorter, found, True
                else:
                    index = end
            if not removed:
                size //= 2
        return operations, difference


def report(runner: SequenceRunner, operations: list, difference: Difference) -> str:
    """Formats a shortened sequence as the requests to send."""
    side = Side(runner.clients[0], "NAMESPACE")
    lines = []
    for operation in operations:
        request = side.request(operation)
        version = operation.get("version", "none")
        lines.append(f"    {request.method} {request.path}" + (f"   # at its {version} version" if version != "none" else ""))
        for name, value in request.headers.items():
            lines.append(f"      {name}: {value}")
        if request.body:
            lines.append(f"      {request.body.decode()}")
    if difference.index == len(operations):
        lines.append(f"    GET {difference.request.path}")
    return "\n".join([*lines, "  differ in", describe(difference.found)])


def run(runner: SequenceRunner, seed: int, steps: int, length: int) -> tuple:
    """Runs sequences of `length` operations until there were `steps`. Returns the number of operations, and
    the reports of the differences, one per sequence."""
    runner.define()
    done, reports, seen = 0, [], set()
    number = 0
    while done < steps:
        operations = Generator(seed + number).sequence(min(length, steps - done))
        difference = runner.run(operations)
        done += len(operations) if difference is None else difference.index
        number += 1
        if difference is None:
            continue
        key: Any = frozenset((path, str(theirs)[:60]) for path, theirs, _ in difference.found)
        if key in seen:
            continue
        seen.add(key)
        shorter, last = runner.shorten(operations, difference)
        reports.append(f"sequence of seed {seed + number - 1}, {len(shorter)} of {len(operations)} requests:\n{report(runner, shorter, last)}")
        print(reports[-1], flush=True)
    return done, reports
