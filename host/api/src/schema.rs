//! Schemas of the Kubernetes types that status fields contain.
//!
//! k8s-openapi has such schemas for all of its types: its feature `schemars` takes
//! a minute of CPU time to compile, and only these two are used.

use schemars::{Schema, SchemaGenerator, json_schema};

/// Schema of a [`Time`](crate::Time).
pub(crate) fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

/// Schema of a list of [`Condition`](crate::Condition)s, a map with the key `type`.
pub(crate) fn conditions(generator: &mut SchemaGenerator) -> Schema {
    let mut last_transition_time = time(generator);
    last_transition_time.insert(
        "description".to_owned(),
        "Time at which the status last changed.".into(),
    );
    json_schema!({
        "type": "array",
        "items": {
            "type": "object",
            "description": "One aspect of the observed state.",
            "properties": {
                "type": {
                    "type": "string",
                    "description": "Type of the condition, in CamelCase.",
                },
                "status": {
                    "type": "string",
                    "description": "Status of the condition: True, False, or Unknown.",
                },
                "reason": {
                    "type": "string",
                    "description": "Machine-readable reason for the status, in CamelCase.",
                },
                "message": {
                    "type": "string",
                    "description": "Human-readable details.",
                },
                "lastTransitionTime": last_transition_time,
                "observedGeneration": {
                    "type": "integer",
                    "format": "int64",
                    "description": "Value of metadata.generation that the status applies to.",
                },
            },
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
        },
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    })
}
