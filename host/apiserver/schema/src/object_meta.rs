//! Decoding and pruning of the metadata of embedded resources.

use serde_json::{Map, Value};

use crate::error::FieldError;
use crate::node::SchemaNode;
use crate::path::PathRef;
use crate::removed_fields::record_removed;

/// The type of a field of `metadata`.
#[derive(Clone, Copy, PartialEq)]
enum MetaFieldType {
    String,
    Integer,
    Time,
    StringMap,
    StringList,
    /// A list of objects, with the name of their Go type and their fields.
    ObjectList(&'static str, &'static [&'static str]),
}

const OWNER_FIELDS: [&str; 6] = [
    "apiVersion",
    "kind",
    "name",
    "uid",
    "controller",
    "blockOwnerDeletion",
];
const MANAGER_FIELDS: [&str; 7] = [
    "manager",
    "operation",
    "apiVersion",
    "time",
    "fieldsType",
    "fieldsV1",
    "subresource",
];

fn field_type(name: &str) -> Option<MetaFieldType> {
    Some(match name {
        "name" | "generateName" | "namespace" | "selfLink" | "resourceVersion" | "uid" => {
            MetaFieldType::String
        }
        "generation" | "deletionGracePeriodSeconds" => MetaFieldType::Integer,
        "creationTimestamp" | "deletionTimestamp" => MetaFieldType::Time,
        "labels" | "annotations" => MetaFieldType::StringMap,
        "finalizers" => MetaFieldType::StringList,
        "ownerReferences" => MetaFieldType::ObjectList("v1.OwnerReference", &OWNER_FIELDS),
        "managedFields" => MetaFieldType::ObjectList("v1.ManagedFieldsEntry", &MANAGER_FIELDS),
        _ => return None,
    })
}

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

/// Returns the error of upstream's decoder for a value of the wrong type; `None` if the value can be decoded.
fn decode_error(name: &str, field: MetaFieldType, value: &Value) -> Option<String> {
    let mismatch = |value: &Value, expected: &str| {
        let actual = json_type_name(value);
        Some(format!(
            "json: cannot unmarshal {actual} into Go struct field ObjectMeta.{name} of type {expected}"
        ))
    };
    let string_error = |value: &Value| {
        (!value.is_string() && !value.is_null())
            .then(|| mismatch(value, "string"))
            .flatten()
    };
    match (field, value) {
        (_, Value::Null) | (MetaFieldType::String, Value::String(_)) => None,
        (MetaFieldType::String, _) => {
            mismatch(value, if name == "uid" { "types.UID" } else { "string" })
        }
        (MetaFieldType::Integer, value) => (!value.is_i64())
            .then(|| mismatch(value, "int64"))
            .flatten(),
        (MetaFieldType::Time, Value::String(time)) => time
            .parse::<jiff::Timestamp>()
            .is_err()
            .then(|| format!("parsing time {value} as RFC 3339 failed")),
        (MetaFieldType::Time, _) => mismatch(value, "string"),
        (MetaFieldType::StringMap, Value::Object(map)) => map.values().find_map(string_error),
        (MetaFieldType::StringMap, _) => mismatch(value, "map[string]string"),
        (MetaFieldType::StringList, Value::Array(list)) => list.iter().find_map(string_error),
        (MetaFieldType::StringList, _) => mismatch(value, "[]string"),
        (MetaFieldType::ObjectList(kind, _), Value::Array(list)) => list
            .iter()
            .find(|entry| !entry.is_object())
            .and_then(|entry| mismatch(entry, kind)),
        (MetaFieldType::ObjectList(kind, _), _) => mismatch(value, &format!("[]{kind}")),
    }
}

/// Fails if an object contains an embedded resource whose metadata cannot be decoded.
pub(crate) fn check(node: &SchemaNode, object: &Value) -> Result<(), FieldError> {
    visit(node, object, false, &PathRef::Root(""))
}

fn visit(
    node: &SchemaNode,
    value: &Value,
    is_resource: bool,
    path: &PathRef<'_>,
) -> Result<(), FieldError> {
    match value {
        Value::Object(map) => {
            if is_resource {
                check_resource(map, path)?;
            }
            for (name, value) in map {
                if let Some(property) = node.properties.get(name) {
                    visit(
                        property,
                        value,
                        property.embedded_resource,
                        &path.field(name),
                    )?;
                } else if let Some(schema) = node.additional_properties.schema() {
                    visit(schema, value, schema.embedded_resource, &path.key(name))?;
                }
            }
        }
        Value::Array(items) => {
            if let Some(item) = &node.items {
                for (index, value) in items.iter().enumerate() {
                    visit(item, value, item.embedded_resource, &path.index(index))?;
                }
            }
        }
        _ => {}
    }
    Ok(())
}

fn check_resource(map: &Map<String, Value>, path: &PathRef<'_>) -> Result<(), FieldError> {
    for name in ["apiVersion", "kind"] {
        if let Some(value) = map.get(name).filter(|value| !value.is_string()) {
            return Err(FieldError::invalid(
                path.field(name),
                value.clone(),
                "must be a string",
            ));
        }
    }
    let Some(metadata) = map.get("metadata") else {
        return Ok(());
    };
    let error = match metadata {
        Value::Null => None,
        Value::Object(fields) => fields
            .iter()
            .find_map(|(name, value)| decode_error(name, field_type(name)?, value)),
        other => Some(format!(
            "json: cannot unmarshal {} into Go value of type v1.ObjectMeta",
            json_type_name(other)
        )),
    };
    error.map_or(Ok(()), |detail| {
        Err(FieldError::invalid(
            path.field("metadata"),
            metadata.clone(),
            detail,
        ))
    })
}

/// Removes unknown fields from an embedded resource's metadata; adds their paths to `removed`.
pub(crate) fn prune(metadata: &mut Value, path: &PathRef<'_>, removed: &mut Vec<String>) {
    let Value::Object(fields) = metadata else {
        return;
    };
    fields.retain(|name, value| {
        let path = path.field(name);
        match field_type(name) {
            None => {
                record_removed(removed, &path);
                return false;
            }
            Some(MetaFieldType::ObjectList(_, known)) => {
                for (index, entry) in value.as_array_mut().into_iter().flatten().enumerate() {
                    if let Value::Object(entry) = entry {
                        entry.retain(|name, _| {
                            let keep = known.contains(&name.as_str());
                            if !keep {
                                record_removed(removed, &path.index(index).field(name));
                            }
                            keep
                        });
                    }
                }
            }
            Some(_) => {}
        }
        true
    });
}
