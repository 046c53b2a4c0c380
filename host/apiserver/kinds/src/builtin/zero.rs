//! Which fields of the built-in types are written although they are empty,
//! and which are not.

use serde_json::{Map, Value};

use crate::schemas;

/// An empty value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Zero {
    Null,
    Text,
    False,
    Object,
}

impl Zero {
    pub(super) fn value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Text => Value::String(String::new()),
            Self::False => Value::Bool(false),
            Self::Object => Value::Object(Map::new()),
        }
    }
}

/// Fields that tell empty from absent: upstream's pointers.
const POINTERS: [(&str, &[&str]); 12] = [
    ("ConfigMap", &["immutable"]),
    ("Secret", &["immutable"]),
    ("ServiceAccount", &["automountServiceAccountToken"]),
    ("OwnerReference", &["controller", "blockOwnerDeletion"]),
    ("ObjectMeta", &["deletionGracePeriodSeconds"]),
    (
        "LeaseSpec",
        &[
            "holderIdentity",
            "leaseDurationSeconds",
            "leaseTransitions",
            "strategy",
            "preferredHolder",
        ],
    ),
    ("CustomResourceDefinitionVersion", &["deprecationWarning"]),
    ("CustomResourceSubresourceScale", &["labelSelectorPath"]),
    ("WebhookClientConfig", &["url"]),
    ("ServiceReference", &["path", "port"]),
    ("ValidationRule", &["optionalOldSelf", "reason"]),
    (
        "JSONSchemaProps",
        &[
            "additionalItems",
            "additionalProperties",
            "items",
            "maximum",
            "maxLength",
            "minimum",
            "minLength",
            "maxItems",
            "minItems",
            "multipleOf",
            "maxProperties",
            "minProperties",
            "default",
            "example",
            "x-kubernetes-preserve-unknown-fields",
            "x-kubernetes-list-type",
            "x-kubernetes-map-type",
        ],
    ),
];

/// Fields that are written even when they are empty, by the end of the
/// schema's name.
const ALWAYS: [(&str, &[(&str, Zero)]); 24] = [
    (
        "core.v1.Namespace",
        &[
            ("metadata", Zero::Object),
            ("spec", Zero::Object),
            ("status", Zero::Object),
        ],
    ),
    (
        "NamespaceCondition",
        &[
            ("type", Zero::Text),
            ("status", Zero::Text),
            ("lastTransitionTime", Zero::Null),
        ],
    ),
    ("ConfigMap", &[("metadata", Zero::Object)]),
    ("Secret", &[("metadata", Zero::Object)]),
    ("ServiceAccount", &[("metadata", Zero::Object)]),
    (
        "Lease",
        &[("metadata", Zero::Object), ("spec", Zero::Object)],
    ),
    (
        "core.v1.Event",
        &[
            ("metadata", Zero::Object),
            ("involvedObject", Zero::Object),
            ("source", Zero::Object),
            ("firstTimestamp", Zero::Null),
            ("lastTimestamp", Zero::Null),
            ("eventTime", Zero::Null),
            ("reportingComponent", Zero::Text),
            ("reportingInstance", Zero::Text),
        ],
    ),
    ("core.v1.EventSeries", &[("lastObservedTime", Zero::Null)]),
    (
        "events.v1.Event",
        &[
            ("metadata", Zero::Object),
            ("eventTime", Zero::Null),
            ("regarding", Zero::Object),
            ("deprecatedSource", Zero::Object),
            ("deprecatedFirstTimestamp", Zero::Null),
            ("deprecatedLastTimestamp", Zero::Null),
        ],
    ),
    ("events.v1.EventSeries", &[("lastObservedTime", Zero::Null)]),
    (
        "OwnerReference",
        &[
            ("apiVersion", Zero::Text),
            ("kind", Zero::Text),
            ("name", Zero::Text),
            ("uid", Zero::Text),
        ],
    ),
    (
        "CustomResourceDefinition",
        &[
            ("metadata", Zero::Object),
            ("spec", Zero::Object),
            ("status", Zero::Object),
        ],
    ),
    (
        "CustomResourceDefinitionSpec",
        &[
            ("group", Zero::Text),
            ("names", Zero::Object),
            ("scope", Zero::Text),
            ("versions", Zero::Null),
        ],
    ),
    (
        "CustomResourceDefinitionNames",
        &[("plural", Zero::Text), ("kind", Zero::Text)],
    ),
    (
        "CustomResourceDefinitionVersion",
        &[
            ("name", Zero::Text),
            ("served", Zero::False),
            ("storage", Zero::False),
        ],
    ),
    (
        "CustomResourceDefinitionStatus",
        &[
            ("conditions", Zero::Null),
            ("acceptedNames", Zero::Object),
            ("storedVersions", Zero::Null),
        ],
    ),
    (
        "CustomResourceDefinitionCondition",
        &[
            ("type", Zero::Text),
            ("status", Zero::Text),
            ("lastTransitionTime", Zero::Null),
        ],
    ),
    (
        "CustomResourceColumnDefinition",
        &[
            ("name", Zero::Text),
            ("type", Zero::Text),
            ("jsonPath", Zero::Text),
        ],
    ),
    (
        "CustomResourceSubresourceScale",
        &[
            ("specReplicasPath", Zero::Text),
            ("statusReplicasPath", Zero::Text),
        ],
    ),
    ("CustomResourceConversion", &[("strategy", Zero::Text)]),
    (
        "WebhookConversion",
        &[("conversionReviewVersions", Zero::Null)],
    ),
    (
        "ServiceReference",
        &[("namespace", Zero::Text), ("name", Zero::Text)],
    ),
    ("SelectableField", &[("jsonPath", Zero::Text)]),
    ("ValidationRule", &[("rule", Zero::Text)]),
];

fn lists<T>(table: &[(&str, &'static [T])], type_name: &str) -> &'static [T] {
    table
        .iter()
        .find(|(name, _)| *name == type_name)
        .map_or(&[], |(_, fields)| fields)
}

/// The fields that a type always writes, by its schema's name.
pub(super) fn always_written(name: &str) -> &'static [(&'static str, Zero)] {
    let short = schemas::short_name(name);
    ALWAYS
        .iter()
        .find(|(suffix, _)| *suffix == short || (suffix.contains('.') && name.ends_with(suffix)))
        .map_or(&[], |(_, fields)| fields)
}

/// Whether a type leaves a field out because it is empty.
pub(super) fn vanishes(type_name: &str, field: &str, value: &Value) -> bool {
    let empty = match value {
        Value::Null => true,
        Value::Bool(set) => !set,
        Value::Number(n) => n.as_i64() == Some(0) || n.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        // A structure is written even when nothing is in it, a map is not.
        Value::Object(map) => map.is_empty() && is_map(type_name, field),
    };
    empty && !lists(&POINTERS, type_name).contains(&field) && !is_required(type_name, field)
}

fn is_required(type_name: &str, field: &str) -> bool {
    ALWAYS
        .iter()
        .filter(|(name, _)| schemas::short_name(name) == type_name)
        .any(|(_, fields)| fields.iter().any(|(name, _)| *name == field))
}

/// Fields that are maps, which are left out when they are empty.
fn is_map(type_name: &str, field: &str) -> bool {
    const MAPS: [(&str, &[&str]); 4] = [
        ("ObjectMeta", &["labels", "annotations"]),
        ("ConfigMap", &["data", "binaryData"]),
        ("Secret", &["data", "stringData"]),
        (
            "JSONSchemaProps",
            &[
                "properties",
                "patternProperties",
                "definitions",
                "dependencies",
            ],
        ),
    ];
    lists(&MAPS, type_name).contains(&field)
}
