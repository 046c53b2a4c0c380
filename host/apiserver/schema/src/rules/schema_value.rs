//! Converts JSON values to CEL values according to their schemas.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cel::Value;
use cel::objects::Key;
use serde_json::Value as Json;

use crate::cel::{call_library, cel_map, cel_string, escape_field_name, untyped_value};
use crate::formats::parse_duration;
use crate::node::{SchemaNode, SchemaType};
use crate::pruning::META_FIELDS;

/// The fields of metadata that rules can access.
const VISIBLE_METADATA_FIELDS: [&str; 2] = ["name", "generateName"];

/// Returns the key of a field that rules cannot refer to but that counts in comparisons of the object. No name in a
/// rule equals it.
fn hidden_key(name: &str) -> Key {
    Key::String(Arc::new(format!("\0{name}")))
}

/// Converts a value to the type that its schema declares. A value of another type is converted as untyped JSON, on
/// which rules fail.
pub(super) fn to_cel_value(node: &SchemaNode, is_resource: bool, value: &Json) -> Value {
    match value {
        Json::String(string) => {
            formatted_string(node, string).unwrap_or_else(|| cel_string(string))
        }
        Json::Number(number) => match (node.schema_type, number.as_i64()) {
            (Some(SchemaType::Number), _) | (_, None) => {
                number.as_f64().map_or(Value::Null, Value::Float)
            }
            (_, Some(integer)) => Value::Int(integer),
        },
        Json::Array(items) => {
            let item = |value| match node.items.as_deref() {
                Some(item) => to_cel_value(item, item.embedded_resource, value),
                None => untyped_value(value),
            };
            Value::List(Arc::new(items.iter().map(item).collect()))
        }
        Json::Object(fields) => {
            let mut entries = HashMap::with_capacity(fields.len());
            for (name, value) in fields {
                if is_resource && META_FIELDS.contains(&name.as_str()) {
                    entries.insert(Key::from(name.clone()), resource_field(name, value));
                } else if let Some(property) = node.properties.get(name) {
                    let key = escape_field_name(name).map_or_else(|| hidden_key(name), Key::from);
                    entries.insert(
                        key,
                        to_cel_value(property, property.embedded_resource, value),
                    );
                } else if let Some(schema) = node.additional_properties.schema() {
                    entries.insert(
                        Key::from(name.clone()),
                        to_cel_value(schema, schema.embedded_resource, value),
                    );
                } else {
                    entries.insert(hidden_key(name), untyped_value(value));
                }
            }
            cel_map(entries)
        }
        other => untyped_value(other),
    }
}

/// Converts `apiVersion`, `kind`, or `metadata` of a resource.
fn resource_field(name: &str, value: &Json) -> Value {
    match value {
        Json::Object(fields) if name == "metadata" => {
            let visible = VISIBLE_METADATA_FIELDS
                .into_iter()
                .filter_map(|name| Some((name, fields.get(name)?)));
            cel_map(
                visible
                    .map(|(name, value)| (Key::from(name), untyped_value(value)))
                    .collect(),
            )
        }
        value => untyped_value(value),
    }
}

/// Converts a string whose format CEL represents as another type: bytes, durations, and timestamps.
fn formatted_string(node: &SchemaNode, string: &str) -> Option<Value> {
    if node.int_or_string {
        return None;
    }
    match node.validation.format.as_ref()?.name.as_str() {
        "byte" => STANDARD
            .decode(string)
            .ok()
            .map(|bytes| Value::Bytes(Arc::new(bytes))),
        "duration" => call_constructor("duration", format!("{}ns", parse_duration(string)?)),
        "date-time" => call_constructor("timestamp", string.to_uppercase()),
        "date" => call_constructor("timestamp", format!("{string}T00:00:00Z")),
        _ => None,
    }
}

/// Calls a library function that converts a string to a value.
fn call_constructor(function: &str, argument: String) -> Option<Value> {
    call_library(function, None, vec![Value::String(Arc::new(argument))]).ok()
}
