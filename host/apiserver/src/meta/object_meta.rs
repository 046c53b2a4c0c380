//! Decodes `metadata` by the types of `ObjectMeta`: rejects wrong types, and
//! drops unknown fields.

use rdd_apiserver_kinds::go_json::type_name;
use serde_json::{Map, Value};

/// The type of a field of `metadata`.
#[derive(Clone, Copy)]
enum MetaFieldType {
    Text,
    Integer,
    Time,
    TextMap,
    TextList,
    OwnerReferences,
    ManagedFields,
}

const FIELDS: &[(&str, MetaFieldType)] = &[
    ("name", MetaFieldType::Text),
    ("generateName", MetaFieldType::Text),
    ("namespace", MetaFieldType::Text),
    ("selfLink", MetaFieldType::Text),
    ("uid", MetaFieldType::Text),
    ("resourceVersion", MetaFieldType::Text),
    ("generation", MetaFieldType::Integer),
    ("creationTimestamp", MetaFieldType::Time),
    ("deletionTimestamp", MetaFieldType::Time),
    ("deletionGracePeriodSeconds", MetaFieldType::Integer),
    ("labels", MetaFieldType::TextMap),
    ("annotations", MetaFieldType::TextMap),
    ("ownerReferences", MetaFieldType::OwnerReferences),
    ("finalizers", MetaFieldType::TextList),
    ("managedFields", MetaFieldType::ManagedFields),
];

const OWNER_TEXTS: [&str; 4] = ["apiVersion", "kind", "name", "uid"];
const OWNER_FLAGS: [&str; 2] = ["controller", "blockOwnerDeletion"];

/// Metadata with a value of the wrong type, in the words of kube-apiserver.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ObjectMetaError {
    /// `metadata` is not an object.
    #[error("json: cannot unmarshal {actual} into Go value of type v1.ObjectMeta")]
    NotObject { actual: &'static str },
    /// `metadata` of a built-in kind is not an object.
    #[error(
        "json: cannot unmarshal {actual} into Go struct field {kind}.metadata of type v1.ObjectMeta"
    )]
    NotObjectIn { actual: &'static str, kind: String },
    /// A field of `metadata`.
    #[error(
        "json: cannot unmarshal {actual} into Go struct field ObjectMeta.{field} of type {expected}"
    )]
    Field {
        actual: &'static str,
        field: String,
        expected: &'static str,
    },
    /// A field of an owner reference.
    #[error(
        "json: cannot unmarshal {actual} into Go struct field OwnerReference.metadata.ownerReferences.{field} of type {expected}"
    )]
    OwnerReference {
        actual: &'static str,
        field: String,
        expected: &'static str,
    },
    /// A time that is not RFC 3339.
    #[error(
        "parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {text:?} as \"2006\""
    )]
    Time { text: String },
}

impl ObjectMetaError {
    /// Returns the error of an object that is decoded as a whole, as those of
    /// built-in kinds are: the path then begins at the object.
    pub(crate) fn within(self, kind: &str) -> Self {
        match self {
            Self::NotObject { actual } => Self::NotObjectIn {
                actual,
                kind: kind.to_owned(),
            },
            Self::Field {
                actual,
                field,
                expected,
            } => Self::Field {
                actual,
                field: format!("metadata.{field}"),
                expected,
            },
            other => other,
        }
    }
}

fn mismatch(value: &Value, field: &str, expected: &'static str) -> ObjectMetaError {
    ObjectMetaError::Field {
        actual: type_name(value),
        field: field.to_owned(),
        expected,
    }
}

/// Decodes the metadata of an object in place: checks types, removes nulls and
/// unknown fields, and normalizes times. Returns the paths of the unknown fields.
///
/// # Errors
/// A value has the wrong type.
pub(crate) fn decode_object_meta(object: &mut Value) -> Result<Vec<String>, ObjectMetaError> {
    let mut unknown = Vec::new();
    let Some(meta) = object.get_mut("metadata") else {
        return Ok(unknown);
    };
    let meta = match meta {
        Value::Object(meta) => meta,
        Value::Null => {
            *meta = Value::Object(Map::new());
            return Ok(unknown);
        }
        other => {
            return Err(ObjectMetaError::NotObject {
                actual: type_name(other),
            });
        }
    };
    let keys: Vec<String> = meta.keys().cloned().collect();
    for key in keys {
        let Some((_, kind)) = FIELDS.iter().find(|(name, _)| *name == key) else {
            unknown.push(format!("metadata.{key}"));
            meta.remove(&key);
            continue;
        };
        let Some(value) = meta.get_mut(&key) else {
            continue;
        };
        if value.is_null() {
            meta.remove(&key);
            continue;
        }
        check_field(&key, *kind, value, &mut unknown)?;
    }
    Ok(unknown)
}

fn check_field(
    key: &str,
    kind: MetaFieldType,
    value: &mut Value,
    unknown: &mut Vec<String>,
) -> Result<(), ObjectMetaError> {
    let has_type = match kind {
        MetaFieldType::Text => value.is_string(),
        MetaFieldType::Integer => value.as_i64().is_some(),
        MetaFieldType::Time => return normalize_time(key, value),
        MetaFieldType::TextMap => match value {
            Value::Object(map) => {
                for inner in map.values_mut() {
                    if inner.is_null() {
                        *inner = Value::String(String::new());
                    } else if !inner.is_string() {
                        return Err(mismatch(inner, key, "string"));
                    }
                }
                true
            }
            _ => false,
        },
        MetaFieldType::TextList => match value {
            Value::Array(items) => match items.iter().find(|item| !item.is_string()) {
                Some(item) => return Err(mismatch(item, key, "string")),
                None => true,
            },
            _ => false,
        },
        MetaFieldType::OwnerReferences => match value {
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    check_owner_reference(index, item, unknown)?;
                }
                true
            }
            _ => false,
        },
        MetaFieldType::ManagedFields => match value {
            Value::Array(items) => match items.iter().find(|item| !item.is_object()) {
                Some(item) => return Err(mismatch(item, key, "v1.ManagedFieldsEntry")),
                None => true,
            },
            _ => false,
        },
    };
    if has_type {
        return Ok(());
    }
    let expected = match kind {
        MetaFieldType::Text | MetaFieldType::Time => "string",
        MetaFieldType::Integer => "int64",
        MetaFieldType::TextMap => "map[string]string",
        MetaFieldType::TextList => "[]string",
        MetaFieldType::OwnerReferences => "[]v1.OwnerReference",
        MetaFieldType::ManagedFields => "[]v1.ManagedFieldsEntry",
    };
    Err(mismatch(value, key, expected))
}

fn normalize_time(key: &str, value: &mut Value) -> Result<(), ObjectMetaError> {
    let Some(text) = value.as_str() else {
        return Err(mismatch(value, key, "string"));
    };
    let parsed: jiff::Timestamp = text.parse().map_err(|_| ObjectMetaError::Time {
        text: text.to_owned(),
    })?;
    *value = Value::String(crate::timestamp::rfc3339_seconds(parsed));
    Ok(())
}

fn check_owner_reference(
    index: usize,
    value: &mut Value,
    unknown: &mut Vec<String>,
) -> Result<(), ObjectMetaError> {
    let Value::Object(map) = value else {
        return Err(mismatch(value, "ownerReferences", "v1.OwnerReference"));
    };
    let keys: Vec<String> = map.keys().cloned().collect();
    for key in keys {
        let Some(inner) = map.get(&key) else { continue };
        let (has_type, expected) = if OWNER_TEXTS.contains(&key.as_str()) {
            (inner.is_string(), "string")
        } else if OWNER_FLAGS.contains(&key.as_str()) {
            (inner.is_boolean(), "bool")
        } else {
            unknown.push(format!("metadata.ownerReferences[{index}].{key}"));
            map.remove(&key);
            continue;
        };
        if inner.is_null() {
            map.remove(&key);
        } else if !has_type {
            return Err(ObjectMetaError::OwnerReference {
                actual: type_name(inner),
                field: key,
                expected,
            });
        }
    }
    for key in OWNER_TEXTS {
        map.entry(key)
            .or_insert_with(|| Value::String(String::new()));
    }
    Ok(())
}
