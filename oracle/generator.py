"""Makes random sequences of requests from a seed.

An operation is data alone, without anything of a server in it, so that a sequence can be shortened and sent
again: "update web, at its current version" becomes a request only when it is sent.
"""

import base64
import random
from dataclasses import dataclass
from typing import Any, Optional

GROUP = "oracle.example.com"
JSON, MERGE = "application/json", "application/merge-patch+json"
JSON_PATCH, STRATEGIC, APPLY = (
    "application/json-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)
NAMES = ("a", "b", "c")
MANAGERS = ("left", "right")
SELECTORS = ("", "tier=web", "tier!=web", "tier in (web,db)", "!tier", "tier,env=test", "tier notin (web)", "tier==")

WIDGETS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"widgets.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "selectableFields": [{"jsonPath": ".spec.mode"}],
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "required": ["spec"],
                        "properties": {
                            "spec": {
                                "type": "object",
                                "x-kubernetes-validations": [
                                    {"rule": "!has(self.size) || self.size <= self.limit", "message": "too large"},
                                    {
                                        "rule": "!has(oldSelf.mode) || self.mode == oldSelf.mode || self.mode != 'slow'",
                                        "messageExpression": "'cannot go from ' + oldSelf.mode + ' to ' + self.mode",
                                        "reason": "FieldValueForbidden",
                                        "fieldPath": ".mode",
                                    },
                                ],
                                "properties": {
                                    "size": {"type": "integer", "minimum": 0, "maximum": 20},
                                    "limit": {"type": "integer", "default": 10},
                                    "ratio": {"type": "number", "exclusiveMinimum": True, "minimum": 0},
                                    "mode": {"type": "string", "enum": ["fast", "slow", "off"], "default": "fast"},
                                    "title": {"type": "string", "maxLength": 8, "pattern": "^[a-z]*$", "nullable": True},
                                    "when": {"type": "string", "format": "date-time"},
                                    "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
                                    "ports": {
                                        "type": "array",
                                        "maxItems": 3,
                                        "x-kubernetes-list-type": "map",
                                        "x-kubernetes-list-map-keys": ["port", "protocol"],
                                        "items": {
                                            "type": "object",
                                            "required": ["port"],
                                            "properties": {
                                                "port": {"type": "integer"},
                                                "protocol": {"type": "string", "default": "TCP"},
                                                "name": {"type": "string"},
                                            },
                                        },
                                    },
                                    "steps": {"type": "array", "items": {"type": "string"}},
                                    "options": {"type": "object", "additionalProperties": {"type": "string"}},
                                    "whole": {
                                        "type": "object",
                                        "x-kubernetes-map-type": "atomic",
                                        "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}},
                                    },
                                    "either": {"x-kubernetes-int-or-string": True},
                                    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                                },
                            },
                            "status": {"type": "object", "properties": {"ready": {"type": "boolean"}}},
                        },
                    }
                },
            }
        ],
    },
}


@dataclass(frozen=True)
class Kind:
    """A kind that requests are made for."""

    kind: str
    plural: str
    api: str
    namespaced: bool = True
    custom: bool = False

    def body(self) -> dict:
        return {"apiVersion": self.api.removeprefix("api/").removeprefix("apis/"), "kind": self.kind}


KINDS = {
    kind.plural: kind
    for kind in (
        Kind("ConfigMap", "configmaps", "api/v1"),
        Kind("Secret", "secrets", "api/v1"),
        Kind("Lease", "leases", "apis/coordination.k8s.io/v1"),
        Kind("Role", "roles", "apis/rbac.authorization.k8s.io/v1"),
        Kind("ClusterRole", "clusterroles", "apis/rbac.authorization.k8s.io/v1", namespaced=False),
        Kind("Namespace", "namespaces", "api/v1", namespaced=False),
        Kind("Widget", "widgets", f"apis/{GROUP}/v1", custom=True),
    )
}
# Most requests are for the kinds with the most logic.
KIND_WEIGHTS = {"widgets": 10, "configmaps": 5, "secrets": 3, "leases": 3, "roles": 2, "clusterroles": 1, "namespaces": 1}
VERB_WEIGHTS = {
    "create": 12, "update": 8, "merge": 7, "json-patch": 6, "strategic": 4, "apply": 14, "delete": 6, "get": 2,
    "list": 4, "collection": 1, "table": 1,
}  # fmt: skip


class Generator:
    """A source of operations."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)

    def sequence(self, steps: int) -> list:
        return [self.operation() for _ in range(steps)]

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def pick(self, weights: dict) -> str:
        return self.random.choices(list(weights), list(weights.values()))[0]

    def some(self, values: dict) -> dict:
        """Returns some of the entries; a value is a function that makes one."""
        return {key: make() for key, make in values.items() if self.chance(0.4)}

    def operation(self) -> dict:
        kind, verb = KINDS[self.pick(KIND_WEIGHTS)], self.pick(VERB_WEIGHTS)
        operation: dict = {"verb": verb, "kind": kind.plural, "name": self.random.choice(NAMES), "query": {}}
        if verb in ("list", "collection", "table"):
            # A deletion of all namespaces or cluster roles would delete those of the servers.
            if verb == "collection" and not kind.namespaced:
                operation["verb"] = "list"
            operation["query"] = self.list_query(kind)
            return operation
        if verb == "get":
            return operation
        if verb == "delete":
            return operation | {"body": self.delete_options(), "query": self.dry_run()}
        operation["query"] = self.write_query(verb)
        if kind.custom and verb != "create" and self.chance(0.15):
            operation["subresource"] = "status"
        operation["version"] = self.pick({"none": 6, "current": 3, "stale": 1}) if verb in ("update", "merge", "apply") else "none"
        operation["body"] = self.json_patch(kind) if verb == "json-patch" else self.object(kind, verb)
        if "subresource" in operation:
            operation["body"] = self.status(operation["body"])
        return operation

    def status(self, body: Any) -> Any:
        """Makes a body for `/status`. Other fields in it are in a scenario: docs/differences.md has a row for them."""
        status = self.random.choice(({"ready": True}, {"ready": False}, {"ready": self.value()}, {}, {"surplus": 1}))
        if isinstance(body, list):
            return [{"op": self.random.choice(("add", "replace", "remove")), "path": "/status", "value": status}]
        return {key: body[key] for key in ("apiVersion", "kind") if key in body} | {"status": status}

    def dry_run(self) -> dict:
        return {"dryRun": "All"} if self.chance(0.05) else {}

    def write_query(self, verb: str) -> dict:
        query = self.dry_run()
        if verb == "apply":
            query["fieldManager"] = self.random.choice(MANAGERS)
            if self.chance(0.3):
                query["force"] = "true"
        elif self.chance(0.3):
            query["fieldManager"] = self.random.choice(MANAGERS)
        if self.chance(0.3):
            query["fieldValidation"] = self.random.choice(("Strict", "Warn", "Ignore"))
        return query

    def list_query(self, kind: Kind) -> dict:
        query: dict = {}
        if selector := self.random.choice(SELECTORS):
            query["labelSelector"] = selector
        if self.chance(0.3):
            fields = ["metadata.name=a", "metadata.name!=b", "metadata.namespace=x", "spec.mode=fast", "nope=1"]
            query["fieldSelector"] = self.random.choice(fields)
        if self.chance(0.2):
            query["limit"] = "1"
        return query

    def delete_options(self) -> Optional[dict]:
        options: dict = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if self.chance(0.1):
            options["preconditions"] = {"uid": "00000000-0000-0000-0000-000000000000"}
        if self.chance(0.2):
            # The other policies leave the end to a controller, at any time.
            options["propagationPolicy"] = self.random.choice(("Background", "Sideways"))
        if self.chance(0.1):
            options["gracePeriodSeconds"] = self.random.choice((0, 5, -1))
        return options if len(options) > 2 else None

    def metadata(self) -> dict:
        labels = {"tier": lambda: self.random.choice(("web", "db", "")), "env": lambda: self.random.choice(("test", "prod", "no good"))}
        choices = {
            "labels": lambda: self.some(labels),
            "annotations": lambda: self.some({"note": self.word, "example.com/x": self.word}),
        }
        result = self.some(choices)
        if self.chance(0.1):
            result["finalizers"] = self.random.choice((["example.com/hold"], [], ["example.com/hold", "example.com/b"], ["bad finalizer"]))
        return result

    def word(self) -> str:
        return self.random.choice(("", "x", "one two", "ü", "1", "true", "0x1F", "null", "a\nb\n", "<&>"))

    def value(self) -> Any:
        """Returns a value that may be of the wrong type."""
        return self.random.choice((None, 0, 7, 15, 21, -1, 2.5, "7", "x", True, [], {}, ["x"], {"x": 1}))

    def object(self, kind: Kind, verb: str) -> dict:
        body: dict = {} if verb in ("merge", "strategic") else kind.body()
        if metadata := self.metadata():
            body["metadata"] = metadata
        body |= getattr(self, kind.plural)()
        if verb in ("merge", "strategic") and self.chance(0.2):
            body = self.with_null(body)
        if self.chance(0.05):
            body["unknown"] = self.value()
        return body

    def with_null(self, body: dict) -> dict:
        """Replaces a value somewhere by null, which removes it in a patch."""
        if not body:
            return body
        key = self.random.choice(sorted(body))
        inner = body[key]
        return body | {key: self.with_null(inner) if isinstance(inner, dict) and inner and self.chance(0.7) else None}

    def configmaps(self) -> dict:
        body: dict = self.some({"data": lambda: self.some({"k": self.word, "l": self.word, "m": self.word})})
        if self.chance(0.1):
            body["binaryData"] = self.some({"k": lambda: "AAE=", "bin": lambda: self.random.choice(("AAE=", "not base64"))})
        if self.chance(0.05):
            body["immutable"] = self.chance(0.5)
        return body

    def secrets(self) -> dict:
        encoded = lambda: base64.b64encode(self.word().encode()).decode()  # noqa: E731
        body: dict = self.some({"data": lambda: self.some({"k": encoded, "l": encoded}), "stringData": lambda: self.some({"k": self.word})})
        if self.chance(0.2):
            body["type"] = self.random.choice(("Opaque", "example.com/own", "kubernetes.io/basic-auth"))
        return body

    def leases(self) -> dict:
        times = ("2026-01-02T03:04:05.000006Z", "2026-01-02T03:04:05Z", "yesterday")
        fields = {
            "holderIdentity": self.word,
            "leaseDurationSeconds": lambda: self.random.choice((15, 1, 0, -5, "15")),
            "leaseTransitions": lambda: self.random.choice((0, 1, -1)),
            "renewTime": lambda: self.random.choice(times),
        }
        return {"spec": self.some(fields)}

    def roles(self) -> dict:
        fields = {
            "verbs": lambda: self.random.choice((["get"], ["*"], ["get", "list"], [])),
            "apiGroups": lambda: self.random.choice(([""], ["apps"], [])),
            "resources": lambda: self.random.choice((["configmaps"], ["*"], ["configmaps", "secrets"])),
            "resourceNames": lambda: ["a"],
            "nonResourceURLs": lambda: ["/healthz"],
        }
        return self.some({"rules": lambda: [self.some(fields) for _ in range(self.random.randrange(3))]})

    clusterroles = roles

    def namespaces(self) -> dict:
        return {}

    def widgets(self) -> dict:
        port = {
            "port": lambda: self.random.choice((80, 81)),
            "protocol": lambda: self.random.choice(("TCP", "UDP")),
            "name": self.word,
        }
        fields = {
            "size": lambda: self.random.choice((0, 1, 7, 11, 15, 21)),
            "limit": lambda: self.random.choice((5, 12, 20)),
            "ratio": lambda: self.random.choice((1, 0.5, 0, 1e21, 100000000.0)),
            "mode": lambda: self.random.choice(("fast", "slow", "off", "odd")),
            "title": lambda: self.random.choice(("x", "longer than it may be", "UPPER", None)),
            "when": lambda: self.random.choice(("2026-01-02T03:04:05Z", "soon")),
            "tags": lambda: self.random.choices(("x", "y", "z"), k=self.random.randrange(3)),
            "ports": lambda: [self.some(port) | ({"port": 80} if self.chance(0.7) else {}) for _ in range(self.random.randrange(4))],
            "steps": lambda: self.random.choices(("p", "q", "r"), k=self.random.randrange(4)),
            "options": lambda: self.some({"u": self.word, "v": self.word}),
            "whole": lambda: self.some({"x": lambda: 1, "y": lambda: 2}),
            "either": lambda: self.random.choice((1, "50%")),
            "free": lambda: self.some({"m": self.value, "n": self.value}),
        }
        spec = self.some(fields)
        if self.chance(0.1):
            spec[self.random.choice(sorted(fields))] = self.value()
        if self.chance(0.05):
            spec["surplus"] = 1
        body: dict = {"spec": spec}
        if self.chance(0.15):
            body["status"] = self.some({"ready": lambda: self.chance(0.5)})
        return body

    def json_patch(self, kind: Kind) -> list:
        root = {"configmaps": "data", "secrets": "data", "roles": "rules", "clusterroles": "rules"}.get(kind.plural, "spec")
        paths = ["/metadata/labels/tier", "/metadata/labels", "/metadata/annotations/note", f"/{root}", f"/{root}/k"]
        if kind.plural == "widgets":
            paths += ["/spec/size", "/spec/mode", "/spec/ports/0", "/spec/ports/-", "/spec/tags/-", "/spec/steps/1", "/spec/free/m"]
        steps = []
        for _ in range(self.random.randrange(1, 4)):
            op = self.random.choice(("add", "add", "add", "replace", "remove", "test", "copy", "move"))
            step: dict = {"op": op, "path": self.random.choice(paths)}
            if op in ("add", "replace", "test"):
                step["value"] = self.random.choice((self.word(), self.value()))
            if op in ("copy", "move"):
                step["from"] = self.random.choice(paths)
            steps.append(step)
        return steps
