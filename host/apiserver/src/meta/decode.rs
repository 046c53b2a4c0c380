//! Reads `metadata` as the typed structure that it is: wrong types are
//! refused, unknown fields are dropped and named.

use serde_json::{Map, Value};

#[derive(Clone, Copy)]
enum Type {
    Text,
    Integer,
    Time,
    TextMap,
    TextList,
    Owners,
    Managed,
}

const FIELDS: &[(&str, Type)] = &[
    ("name", Type::Text),
    ("generateName", Type::Text),
    ("namespace", Type::Text),
    ("selfLink", Type::Text),
    ("uid", Type::Text),
    ("resourceVersion", Type::Text),
    ("generation", Type::Integer),
    ("creationTimestamp", Type::Time),
    ("deletionTimestamp", Type::Time),
    ("deletionGracePeriodSeconds", Type::Integer),
    ("labels", Type::TextMap),
    ("annotations", Type::TextMap),
    ("ownerReferences", Type::Owners),
    ("finalizers", Type::TextList),
    ("managedFields", Type::Managed),
];

const OWNER_TEXTS: [&str; 4] = ["apiVersion", "kind", "name", "uid"];
const OWNER_FLAGS: [&str; 2] = ["controller", "blockOwnerDeletion"];

fn name_of(value: &Value) -> &'static str {
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
        name_of(value)
    )
}

/// Checks and cleans the metadata of an object in place; gives the paths of
/// unknown fields, or the sentence that says which type is wrong.
pub(crate) fn read(object: &mut Value) -> Result<Vec<String>, String> {
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
                name_of(other)
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
        check(&key, *kind, value, &mut unknown)?;
    }
    Ok(unknown)
}

fn check(
    key: &str,
    kind: Type,
    value: &mut Value,
    unknown: &mut Vec<String>,
) -> Result<(), String> {
    let fine = match kind {
        Type::Text => value.is_string(),
        Type::Integer => value.as_i64().is_some(),
        Type::Time => return time(key, value),
        Type::TextMap => match value {
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
        Type::TextList => match value {
            Value::Array(items) => match items.iter().find(|item| !item.is_string()) {
                Some(item) => return Err(mismatch(item, key, "string")),
                None => true,
            },
            _ => false,
        },
        Type::Owners => match value {
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    owner(index, item, unknown)?;
                }
                true
            }
            _ => false,
        },
        Type::Managed => match value {
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
        Type::Text | Type::Time => "string",
        Type::Integer => "int64",
        Type::TextMap => "map[string]string",
        Type::TextList => "[]string",
        Type::Owners => "[]v1.OwnerReference",
        Type::Managed => "[]v1.ManagedFieldsEntry",
    };
    Err(mismatch(value, key, wanted))
}

fn time(key: &str, value: &mut Value) -> Result<(), String> {
    let Some(text) = value.as_str() else {
        return Err(mismatch(value, key, "string"));
    };
    let parsed: jiff::Timestamp = text.parse().map_err(|_| {
        format!("parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {text:?} as \"2006\"")
    })?;
    *value = Value::String(crate::timestamp::rfc3339_seconds(parsed));
    Ok(())
}

fn owner(index: usize, value: &mut Value, unknown: &mut Vec<String>) -> Result<(), String> {
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
                name_of(inner),
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
