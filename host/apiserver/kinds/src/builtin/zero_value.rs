//! The fields of the built-in types that are written even if they have Go's zero
//! value, and those that are omitted.

use serde_json::{Map, Value};

use crate::schemas;

/// A zero value as JSON.
#[derive(Clone, Copy, Debug)]
pub(super) enum ZeroValue {
    Null,
    String,
    False,
    Object,
}

impl ZeroValue {
    pub(super) fn to_json(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::String => Value::String(String::new()),
            Self::False => Value::Bool(false),
            Self::Object => Value::Object(Map::new()),
        }
    }
}

/// Fields in which an empty value differs from an absent one. Upstream declares
/// them as pointers.
const POINTER_FIELDS: [(&str, &[&str]); 18] = [
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
    ("ValidatingAdmissionPolicySpec", &["failurePolicy"]),
    ("MatchResources", &["matchPolicy"]),
    ("NamedRuleWithOperations", &["scope"]),
    ("RuleWithOperations", &["scope"]),
    ("Validation", &["reason"]),
    ("ParamRef", &["parameterNotFoundAction"]),
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

/// Fields that are written even if they are empty, by the suffix of the schema's
/// name. Upstream declares them without `omitempty`.
const ALWAYS_WRITTEN: [(&str, &[(&str, ZeroValue)]); 39] = [
    (
        "core.v1.Namespace",
        &[
            ("metadata", ZeroValue::Object),
            ("spec", ZeroValue::Object),
            ("status", ZeroValue::Object),
        ],
    ),
    (
        "NamespaceCondition",
        &[
            ("type", ZeroValue::String),
            ("status", ZeroValue::String),
            ("lastTransitionTime", ZeroValue::Null),
        ],
    ),
    ("ConfigMap", &[("metadata", ZeroValue::Object)]),
    ("Secret", &[("metadata", ZeroValue::Object)]),
    ("ServiceAccount", &[("metadata", ZeroValue::Object)]),
    (
        "Lease",
        &[("metadata", ZeroValue::Object), ("spec", ZeroValue::Object)],
    ),
    (
        "core.v1.Event",
        &[
            ("metadata", ZeroValue::Object),
            ("involvedObject", ZeroValue::Object),
            ("source", ZeroValue::Object),
            ("firstTimestamp", ZeroValue::Null),
            ("lastTimestamp", ZeroValue::Null),
            ("eventTime", ZeroValue::Null),
            ("reportingComponent", ZeroValue::String),
            ("reportingInstance", ZeroValue::String),
        ],
    ),
    (
        "core.v1.EventSeries",
        &[("lastObservedTime", ZeroValue::Null)],
    ),
    (
        "events.v1.Event",
        &[
            ("metadata", ZeroValue::Object),
            ("eventTime", ZeroValue::Null),
            ("regarding", ZeroValue::Object),
            ("deprecatedSource", ZeroValue::Object),
            ("deprecatedFirstTimestamp", ZeroValue::Null),
            ("deprecatedLastTimestamp", ZeroValue::Null),
        ],
    ),
    (
        "events.v1.EventSeries",
        &[("lastObservedTime", ZeroValue::Null)],
    ),
    (
        "OwnerReference",
        &[
            ("apiVersion", ZeroValue::String),
            ("kind", ZeroValue::String),
            ("name", ZeroValue::String),
            ("uid", ZeroValue::String),
        ],
    ),
    (
        "CustomResourceDefinition",
        &[
            ("metadata", ZeroValue::Object),
            ("spec", ZeroValue::Object),
            ("status", ZeroValue::Object),
        ],
    ),
    (
        "CustomResourceDefinitionSpec",
        &[
            ("group", ZeroValue::String),
            ("names", ZeroValue::Object),
            ("scope", ZeroValue::String),
            ("versions", ZeroValue::Null),
        ],
    ),
    (
        "CustomResourceDefinitionNames",
        &[("plural", ZeroValue::String), ("kind", ZeroValue::String)],
    ),
    (
        "CustomResourceDefinitionVersion",
        &[
            ("name", ZeroValue::String),
            ("served", ZeroValue::False),
            ("storage", ZeroValue::False),
        ],
    ),
    (
        "CustomResourceDefinitionStatus",
        &[
            ("conditions", ZeroValue::Null),
            ("acceptedNames", ZeroValue::Object),
            ("storedVersions", ZeroValue::Null),
        ],
    ),
    (
        "CustomResourceDefinitionCondition",
        &[
            ("type", ZeroValue::String),
            ("status", ZeroValue::String),
            ("lastTransitionTime", ZeroValue::Null),
        ],
    ),
    (
        "CustomResourceColumnDefinition",
        &[
            ("name", ZeroValue::String),
            ("type", ZeroValue::String),
            ("jsonPath", ZeroValue::String),
        ],
    ),
    (
        "CustomResourceSubresourceScale",
        &[
            ("specReplicasPath", ZeroValue::String),
            ("statusReplicasPath", ZeroValue::String),
        ],
    ),
    (
        "CustomResourceConversion",
        &[("strategy", ZeroValue::String)],
    ),
    (
        "WebhookConversion",
        &[("conversionReviewVersions", ZeroValue::Null)],
    ),
    (
        "ServiceReference",
        &[
            ("namespace", ZeroValue::String),
            ("name", ZeroValue::String),
        ],
    ),
    ("SelectableField", &[("jsonPath", ZeroValue::String)]),
    ("ValidationRule", &[("rule", ZeroValue::String)]),
    (
        "ValidatingAdmissionPolicy",
        &[
            ("metadata", ZeroValue::Object),
            ("spec", ZeroValue::Object),
            ("status", ZeroValue::Object),
        ],
    ),
    (
        "ValidatingAdmissionPolicyBinding",
        &[("metadata", ZeroValue::Object), ("spec", ZeroValue::Object)],
    ),
    (
        "Role",
        &[("metadata", ZeroValue::Object), ("rules", ZeroValue::Null)],
    ),
    (
        "ClusterRole",
        &[("metadata", ZeroValue::Object), ("rules", ZeroValue::Null)],
    ),
    (
        "RoleBinding",
        &[
            ("metadata", ZeroValue::Object),
            ("roleRef", ZeroValue::Object),
        ],
    ),
    (
        "ClusterRoleBinding",
        &[
            ("metadata", ZeroValue::Object),
            ("roleRef", ZeroValue::Object),
        ],
    ),
    ("PolicyRule", &[("verbs", ZeroValue::Null)]),
    (
        "Subject",
        &[("kind", ZeroValue::String), ("name", ZeroValue::String)],
    ),
    (
        "RoleRef",
        &[
            ("apiGroup", ZeroValue::String),
            ("kind", ZeroValue::String),
            ("name", ZeroValue::String),
        ],
    ),
    ("Validation", &[("expression", ZeroValue::String)]),
    (
        "AuditAnnotation",
        &[
            ("key", ZeroValue::String),
            ("valueExpression", ZeroValue::String),
        ],
    ),
    (
        "MatchCondition",
        &[
            ("name", ZeroValue::String),
            ("expression", ZeroValue::String),
        ],
    ),
    (
        "Variable",
        &[
            ("name", ZeroValue::String),
            ("expression", ZeroValue::String),
        ],
    ),
    (
        "ExpressionWarning",
        &[
            ("fieldRef", ZeroValue::String),
            ("warning", ZeroValue::String),
        ],
    ),
    (
        "LabelSelectorRequirement",
        &[("key", ZeroValue::String), ("operator", ZeroValue::String)],
    ),
];

fn fields_of<T>(table: &[(&str, &'static [T])], type_name: &str) -> &'static [T] {
    table
        .iter()
        .find(|(name, _)| *name == type_name)
        .map_or(&[], |(_, fields)| fields)
}

/// Returns the fields of a type that are always written, by its schema's name.
pub(super) fn always_written_fields(name: &str) -> &'static [(&'static str, ZeroValue)] {
    let short = schemas::short_name(name);
    ALWAYS_WRITTEN
        .iter()
        .find(|(suffix, _)| *suffix == short || (suffix.contains('.') && name.ends_with(suffix)))
        .map_or(&[], |(_, fields)| fields)
}

/// Returns whether a field is omitted because it is empty.
pub(super) fn is_omitted(type_name: &str, field: &str, value: &Value) -> bool {
    let empty = match value {
        Value::Null => true,
        Value::Bool(set) => !set,
        Value::Number(n) => n.as_i64() == Some(0) || n.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        // An empty struct is written, an empty map is omitted.
        Value::Object(map) => map.is_empty() && is_map(type_name, field),
    };
    empty
        && !fields_of(&POINTER_FIELDS, type_name).contains(&field)
        && !is_always_written(type_name, field)
}

fn is_always_written(type_name: &str, field: &str) -> bool {
    ALWAYS_WRITTEN
        .iter()
        .filter(|(name, _)| schemas::short_name(name) == type_name)
        .any(|(_, fields)| fields.iter().any(|(name, _)| *name == field))
}

/// Returns whether a field is a map rather than a struct.
fn is_map(type_name: &str, field: &str) -> bool {
    const MAPS: [(&str, &[&str]); 5] = [
        ("ObjectMeta", &["labels", "annotations"]),
        ("ConfigMap", &["data", "binaryData"]),
        ("Secret", &["data", "stringData"]),
        ("LabelSelector", &["matchLabels"]),
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
    fields_of(&MAPS, type_name).contains(&field)
}
