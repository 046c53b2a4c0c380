//! The query and path parameters of operations.

use serde_json::{Value, json};

/// The name, the OpenAPI type, and the description.
type QueryParameter = (&'static str, &'static str, &'static str);

const PRETTY: QueryParameter = ("pretty", "string", "If 'true', the response is indented.");
const DRY_RUN: QueryParameter = (
    "dryRun",
    "string",
    "If 'All', the request is processed completely, but not persisted.",
);
const FIELD_MANAGER: QueryParameter = (
    "fieldManager",
    "string",
    "The name of the field manager that makes the change; at most 128 printable characters.",
);
const FIELD_VALIDATION: QueryParameter = (
    "fieldValidation",
    "string",
    "How unknown and duplicate fields are handled: Ignore drops them, Warn (the default) drops them with a warning, Strict rejects the request.",
);
const FORCE: QueryParameter = (
    "force",
    "boolean",
    "Only for apply: takes over fields that other managers own instead of failing with a conflict.",
);
const RESOURCE_VERSION: QueryParameter = (
    "resourceVersion",
    "string",
    "How recent the response must be; unset means the latest state, 0 means any.",
);

/// The parameters of `get`.
pub(super) const GET: &[QueryParameter] = &[RESOURCE_VERSION];
/// The parameters of `post` and `put`.
pub(super) const WRITE: &[QueryParameter] = &[DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION];
/// The parameters of `patch`.
pub(super) const PATCH: &[QueryParameter] = &[DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION, FORCE];
/// The parameters of `delete`.
pub(super) const DELETE: &[QueryParameter] = &[
    DRY_RUN,
    (
        "gracePeriodSeconds",
        "integer",
        "Seconds before the object is deleted; not negative, zero means immediately.",
    ),
    (
        "ignoreStoreReadErrorWithClusterBreakingPotential",
        "boolean",
        "Whether to delete an object that cannot be read from the storage.",
    ),
    (
        "orphanDependents",
        "boolean",
        "Deprecated: use propagationPolicy.",
    ),
    (
        "propagationPolicy",
        "string",
        "How the dependents of the object are handled: Orphan, Background, or Foreground.",
    ),
];
/// The parameters of `list`, `watch`, and `deletecollection`.
pub(super) const LIST: &[QueryParameter] = &[
    (
        "allowWatchBookmarks",
        "boolean",
        "Whether a watch may send events of type BOOKMARK.",
    ),
    (
        "continue",
        "string",
        "The token of the previous page, at which this page continues.",
    ),
    (
        "fieldSelector",
        "string",
        "Restricts the response by fields of the objects; empty means all objects.",
    ),
    (
        "labelSelector",
        "string",
        "Restricts the response by labels of the objects; empty means all objects.",
    ),
    (
        "limit",
        "integer",
        "The maximum number of objects in one page.",
    ),
    RESOURCE_VERSION,
    (
        "resourceVersionMatch",
        "string",
        "How resourceVersion is applied: Exact or NotOlderThan.",
    ),
    (
        "sendInitialEvents",
        "boolean",
        "Whether a watch starts with an event for each existing object, followed by a bookmark.",
    ),
    (
        "timeoutSeconds",
        "integer",
        "Ends the request after this number of seconds.",
    ),
    (
        "watch",
        "boolean",
        "Whether to stream changes instead of returning a list.",
    ),
];

/// Converts query parameters to OpenAPI.
pub(super) fn to_json(parameters: &[QueryParameter]) -> Vec<Value> {
    let all = parameters.iter().chain([&PRETTY]);
    all.map(|(name, kind, description)| {
        json!({
            "name": name,
            "in": "query",
            "description": description,
            "schema": {"type": kind, "uniqueItems": true},
        })
    })
    .collect()
}

/// Returns the parameters that a path contains.
pub(super) fn path_parameters(path: &str, kind: &str) -> Vec<Value> {
    [
        ("name", format!("name of the {kind}")),
        ("namespace", "namespace of the objects".into()),
    ]
    .into_iter()
    .filter(|(name, _)| path.contains(&format!("{{{name}}}")))
    .map(|(name, description)| {
        json!({
            "name": name,
            "in": "path",
            "required": true,
            "description": description,
            "schema": {"type": "string", "uniqueItems": true},
        })
    })
    .collect()
}
