//! The parameters of the operations.

use serde_json::{Value, json};

/// Name, OpenAPI type, what it does.
type QueryParameter = (&'static str, &'static str, &'static str);

const PRETTY: QueryParameter = ("pretty", "string", "If 'true', the answer is indented.");
const DRY_RUN: QueryParameter = (
    "dryRun",
    "string",
    "With 'All' the request is judged in full, but nothing is stored.",
);
const FIELD_MANAGER: QueryParameter = (
    "fieldManager",
    "string",
    "Who makes the change, for field ownership; at most 128 printable characters.",
);
const FIELD_VALIDATION: QueryParameter = (
    "fieldValidation",
    "string",
    "What becomes of unknown and duplicate fields: Ignore drops them, Warn (the default) drops them with a warning, Strict refuses the request.",
);
const FORCE: QueryParameter = (
    "force",
    "boolean",
    "Only for apply: take over fields that other managers own instead of reporting a conflict.",
);
const RESOURCE_VERSION: QueryParameter = (
    "resourceVersion",
    "string",
    "How fresh the answer must be; unset means the newest state, 0 means any.",
);

/// Of `get`.
pub(super) const GET: &[QueryParameter] = &[RESOURCE_VERSION];
/// Of `post` and `put`.
pub(super) const WRITE: &[QueryParameter] = &[DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION];
/// Of `patch`.
pub(super) const PATCH: &[QueryParameter] = &[DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION, FORCE];
/// Of `delete`.
pub(super) const DELETE: &[QueryParameter] = &[
    DRY_RUN,
    (
        "gracePeriodSeconds",
        "integer",
        "Seconds before the object goes; not negative, zero means at once.",
    ),
    (
        "ignoreStoreReadErrorWithClusterBreakingPotential",
        "boolean",
        "Whether to delete an object that cannot be read from the store.",
    ),
    (
        "orphanDependents",
        "boolean",
        "Deprecated: use propagationPolicy.",
    ),
    (
        "propagationPolicy",
        "string",
        "What becomes of the objects that this one owns: Orphan, Background or Foreground.",
    ),
];
/// Of `list`, `watch` and `deletecollection`.
pub(super) const LIST: &[QueryParameter] = &[
    (
        "allowWatchBookmarks",
        "boolean",
        "Whether a watch may send events of type BOOKMARK.",
    ),
    (
        "continue",
        "string",
        "Where the next page begins: the token of the page before.",
    ),
    (
        "fieldSelector",
        "string",
        "Restricts the answer by fields of the objects; empty means everything.",
    ),
    (
        "labelSelector",
        "string",
        "Restricts the answer by labels of the objects; empty means everything.",
    ),
    ("limit", "integer", "Most objects of one page."),
    RESOURCE_VERSION,
    (
        "resourceVersionMatch",
        "string",
        "How resourceVersion is meant: Exact or NotOlderThan.",
    ),
    (
        "sendInitialEvents",
        "boolean",
        "Whether a watch begins with an event for each object there is, followed by a bookmark.",
    ),
    (
        "timeoutSeconds",
        "integer",
        "Ends the call after that many seconds.",
    ),
    (
        "watch",
        "boolean",
        "Whether to stream changes instead of answering with a list.",
    ),
];

/// Parameters as OpenAPI writes them.
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

/// The variables of a path.
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
