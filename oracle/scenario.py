"""Reads the scenario files, whose format is in README.md, and sends their steps to both servers."""

import json
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterator

from client import Client, Request, Response
from normal import Normalizer, describe, differences

# Controllers act within milliseconds on an idle machine
PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.05
CONTENT_TYPES = {"POST": "application/json", "PUT": "application/json", "DELETE": "application/json"}
REFERENCE = re.compile(r"\{\{([^}]+)\}\}")


class ScenarioError(Exception):
    """A scenario that is not valid, or that cannot go on."""


@dataclass
class Step:
    """A request, and how its responses are compared."""

    title: str
    request: Request
    # Name by which later steps refer to the response
    name: str = ""
    # The request is sent again until this is true.
    until: str = ""
    # Title of the row in docs/differences.md that explains the difference
    differs: str = ""
    # Only elements with these names are compared, in every list.
    keep: tuple = ()
    # The body is that of the response with this name.
    body_of: str = ""
    # The response is not compared.
    ignored: bool = False


@dataclass
class Scenario:
    """A file of steps, with a namespace of its own."""

    name: str
    steps: list = field(default_factory=list)


def read(path: Path) -> Scenario:
    """Reads a file."""
    scenario = Scenario(path.stem)
    for part in re.split(r"^### ", path.read_text(), flags=re.M)[1:]:
        title, _, rest = part.partition("\n")
        try:
            scenario.steps.append(parse_step(title.strip(), rest, scenario.name))
        except ValueError as error:
            raise ScenarioError(f"{path}: step {title.strip()!r}: {error}") from error
    return scenario


def parse_step(title: str, text: str, namespace: str) -> Step:
    head, _, body = text.replace("{ns}", namespace).partition("\n\n")
    lines = [line.strip() for line in head.splitlines() if line.strip() and not line.startswith("#")]
    options: dict = {}
    while lines and lines[0].startswith("@"):
        name, _, value = lines.pop(0)[1:].partition(" ")
        options[name] = value.strip()
    if not lines:
        raise ValueError("it has no request")
    method, _, path = lines.pop(0).partition(" ")
    content_type = CONTENT_TYPES.get(method)
    headers = {"content-type": content_type} if content_type and (body.strip() or "body-of" in options) else {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    request = Request(method, path.strip().replace(" ", "%20"), headers, body.strip().encode() or None)
    step = Step(title, request)
    for name, value in options.items():
        match name:
            case "name" | "until" | "differs":
                setattr(step, name, value)
            case "body-of":
                step.body_of = value
            case "keep":
                step.keep = tuple(value.split())
            case "ignored":
                step.ignored = True
            case _:
                raise ValueError(f"unknown option @{name}")
    return step


def look_up(value: Any, path: str) -> Any:
    """Returns what is at a path such as `status.conditions.Ready.status`: an element of a list is found by
    its index, name, or type."""
    for key in filter(None, path.split(".")):
        if isinstance(value, list) and key.isdigit():
            value = value[int(key)] if int(key) < len(value) else None
        elif isinstance(value, list):
            value = next((item for item in value if key in names_of(item)), None)
        else:
            value = value.get(key) if isinstance(value, dict) else None
    return value


def names_of(item: Any) -> tuple:
    if not isinstance(item, dict):
        return (item,)
    metadata = item.get("metadata")
    return (item.get("name"), item.get("type"), metadata.get("name") if isinstance(metadata, dict) else None)


def holds(condition: str, response: Response) -> bool:
    """Tells whether a condition is true: `404`, or `status.phase = Active`."""
    path, equals, wanted = condition.partition(" = ")
    return str(response.status) == path if not equals else str(look_up(response.json(), path)) == wanted


def keep_only(value: Any, names: tuple) -> Any:
    """Removes the elements of lists that have other names."""
    if isinstance(value, dict):
        return {key: keep_only(item, names) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    named = [item for item in value if isinstance(item, dict) and any(names_of(item))]
    kept = [item for item in value if item not in named or any(name in names for name in names_of(item))]
    return [keep_only(item, names) for item in kept]


class Exchange:
    """The state of one scenario at one server."""

    def __init__(self, client: Client, replaced: dict):
        self.client = client
        self.normalizer = Normalizer({client.address: "<address>", **replaced})
        self.responses: dict = {}

    def fill(self, text: str) -> str:
        """Replaces references such as `{{first.metadata.uid}}` by values of earlier responses."""

        def value(match: re.Match) -> str:
            name, _, path = match[1].partition(".")
            if name not in self.responses:
                raise ScenarioError(f"no earlier step has the name {name!r}")
            found = look_up(self.responses[name].json(), path)
            return found if isinstance(found, str) else json.dumps(found)

        return REFERENCE.sub(value, text)

    def run(self, step: Step) -> dict:
        """Sends a step; returns the normalized response."""
        method, path, headers, body = step.request
        if body is not None:
            body = self.fill(body.decode()).encode()
        if step.body_of:
            body = self.responses[step.body_of].body
        request = Request(method, self.fill(path), headers, body)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            response = self.client.send(request)
            if not step.until or holds(step.until, response):
                break
            if time.monotonic() > deadline:
                raise ScenarioError(
                    f"{self.client.name}: {method} {path}: waited in vain for {step.until!r}: "
                    f"{response.status} {response.body[:500].decode(errors='replace')}"
                )
            time.sleep(POLL_SECONDS)
        if step.name:
            self.responses[step.name] = response
        normalized = self.normalizer.response(response)
        return keep_only(normalized, step.keep) if step.keep else normalized


def run(scenario: Scenario, reference: Client, subject: Client, rows: set) -> Iterator[str]:
    """Runs a scenario on both servers; yields each unexpected difference as text."""
    theirs, ours = Exchange(reference, {}), Exchange(subject, {})
    namespace = Request(
        "POST",
        "/api/v1/namespaces",
        {"content-type": "application/json"},
        json.dumps({"metadata": {"name": scenario.name}}).encode(),
    )
    for client in (reference, subject):
        created = client.send(namespace)
        if created.status != 201:
            raise ScenarioError(f"{client.name}: cannot create the namespace {scenario.name}: {created.status}")
    for step in scenario.steps:
        if step.differs and step.differs not in rows:
            yield f"{scenario.name}: {step.title}\n  docs/differences.md has no row {step.differs!r}"
        left, right = theirs.run(step), ours.run(step)
        found = list(differences(left, right))
        if step.ignored or bool(found) == bool(step.differs):
            continue
        where = f"{scenario.name}: {step.title}\n  {step.request.method} {step.request.path}"
        if step.differs:
            yield f"{where}\n    no difference any longer: remove @differs, and perhaps the row {step.differs!r}"
        else:
            yield f"{where}\n{describe(found)}"


def documented_rows(document: Path) -> set:
    """Returns the first cells of the table of differences."""
    lines = document.read_text().splitlines()
    cells = [re.split(r"(?<!\\)\|", line) for line in lines if line.startswith("| ")]
    return {row[1].strip() for row in cells if len(row) == 6}

