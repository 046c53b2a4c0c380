//! Objects as rules see them.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cel::Value;
use cel::objects::{Key, Map};
use serde_json::Value as Json;

use super::escape::escape;
use super::functions::library;
use crate::formats::parse_duration;
use crate::node::{Node, Type};
use crate::pruning::META_FIELDS;

/// The fields of metadata that rules may see.
const METADATA_NAMES: [&str; 2] = ["name", "generateName"];

fn map(entries: HashMap<Key, Value>) -> Value {
    Value::Map(Map {
        map: Arc::new(entries),
    })
}

fn text(text: &str) -> Value {
    Value::String(Arc::new(text.to_owned()))
}

/// A field that rules cannot name. It counts when values are compared, and no name in a rule is like it.
fn hidden(name: &str) -> Key {
    Key::String(Arc::new(format!("\0{name}")))
}

/// A value as its schema declares it. A value that does not fit is left as JSON has it: rules fail on it then.
pub(super) fn convert(node: &Node, resource: bool, value: &Json) -> Value {
    match value {
        Json::String(string) => typed_text(node, string).unwrap_or_else(|| text(string)),
        Json::Number(number) => match (node.kind, number.as_i64()) {
            (Some(Type::Number), _) | (_, None) => {
                number.as_f64().map_or(Value::Null, Value::Float)
            }
            (_, Some(integer)) => Value::Int(integer),
        },
        Json::Array(items) => {
            let item = |value| match node.items.as_deref() {
                Some(item) => convert(item, item.embedded, value),
                None => plain(value),
            };
            Value::List(Arc::new(items.iter().map(item).collect()))
        }
        Json::Object(fields) => {
            let mut entries = HashMap::with_capacity(fields.len());
            for (name, value) in fields {
                if resource && META_FIELDS.contains(&name.as_str()) {
                    entries.insert(Key::from(name.clone()), meta_field(name, value));
                } else if let Some(property) = node.properties.get(name) {
                    let key = escape(name).map_or_else(|| hidden(name), Key::from);
                    entries.insert(key, convert(property, property.embedded, value));
                } else if let Some(schema) = node.additional.schema() {
                    entries.insert(
                        Key::from(name.clone()),
                        convert(schema, schema.embedded, value),
                    );
                } else {
                    entries.insert(hidden(name), plain(value));
                }
            }
            map(entries)
        }
        other => plain(other),
    }
}

fn meta_field(name: &str, value: &Json) -> Value {
    match value {
        Json::Object(fields) if name == "metadata" => {
            let visible = METADATA_NAMES
                .into_iter()
                .filter_map(|name| Some((name, fields.get(name)?)));
            map(visible
                .map(|(name, value)| (Key::from(name), plain(value)))
                .collect())
        }
        value => plain(value),
    }
}

fn typed_text(node: &Node, string: &str) -> Option<Value> {
    if node.int_or_string {
        return None;
    }
    match node.checks.format.as_ref()?.name.as_str() {
        "byte" => STANDARD
            .decode(string)
            .ok()
            .map(|bytes| Value::Bytes(Arc::new(bytes))),
        "duration" => made("duration", format!("{}ns", parse_duration(string)?)),
        "date-time" => made("timestamp", string.to_uppercase()),
        "date" => made("timestamp", format!("{string}T00:00:00Z")),
        _ => None,
    }
}

/// A value that a function of the libraries makes of a text.
fn made(function: &str, from: String) -> Option<Value> {
    library(function, None, vec![Value::String(Arc::new(from))]).ok()
}

fn plain(value: &Json) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => number
            .as_i64()
            .map(Value::Int)
            .or_else(|| number.as_f64().map(Value::Float))
            .unwrap_or(Value::Null),
        Json::String(string) => text(string),
        Json::Array(items) => Value::List(Arc::new(items.iter().map(plain).collect())),
        Json::Object(fields) => map(fields
            .iter()
            .map(|(name, value)| (Key::from(name.clone()), plain(value)))
            .collect()),
    }
}
