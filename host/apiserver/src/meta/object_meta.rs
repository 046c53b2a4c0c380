//! Reads `metadata` as the typed structure that it is: wrong types are
//! refused, unknown fields are dropped and named.

use serde_json::{Map, Value};

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

fn json_type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn mismatch(value: &Value, field: &str, wanted: &str) -> String {
    format!(
        "json: cannot unmarshal {} into Go struct field ObjectMeta.{field} of type {wanted}",
        json_type_name(value)
    )
}

/// Checks and cleans the metadata of an object in place; gives the paths of
/// unknown fields, or the sentence that says which type is wrong.
pub(crate) fn decode_object_meta(object: &mut Value) -> Result<Vec<String>, String> {
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
            return Err(format!(
                "json: cannot unmarshal {} into Go value of type v1.ObjectMeta",
                json_type_name(other)
            ));
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
) -> Result<(), String> {
    let fine = match kind {
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
    if fine {
        return Ok(());
    }
    let wanted = match kind {
        MetaFieldType::Text | MetaFieldType::Time => "string",
        MetaFieldType::Integer => "int64",
        MetaFieldType::TextMap => "map[string]string",
        MetaFieldType::TextList => "[]string",
        MetaFieldType::OwnerReferences => "[]v1.OwnerReference",
        MetaFieldType::ManagedFields => "[]v1.ManagedFieldsEntry",
    };
    Err(mismatch(value, key, wanted))
}

fn normalize_time(key: &str, value: &mut Value) -> Result<(), String> {
    let Some(text) = value.as_str() else {
        return Err(mismatch(value, key, "string"));
    };
    let parsed: jiff::Timestamp = text.parse().map_err(|_| {
        format!("parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {text:?} as \"2006\"")
    })?;
    *value = Value::String(crate::clock::seconds(parsed));
    Ok(())
}

fn check_owner_reference(
    index: usize,
    value: &mut Value,
    unknown: &mut Vec<String>,
) -> Result<(), String> {
    let Value::Object(map) = value else {
        return Err(mismatch(value, "ownerReferences", "v1.OwnerReference"));
    };
    let keys: Vec<String> = map.keys().cloned().collect();
    for key in keys {
        let Some(inner) = map.get(&key) else { continue };
        let wanted = if OWNER_TEXTS.contains(&key.as_str()) {
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
        } else if !wanted.0 {
            return Err(format!(
                "json: cannot unmarshal {} into Go struct field OwnerReference.metadata.ownerReferences.{key} of type {}",
                json_type_name(inner),
                wanted.1
            ));
        }
    }
    for key in OWNER_TEXTS {
        map.entry(key)
            .or_insert_with(|| Value::String(String::new()));
    }
    Ok(())
}
