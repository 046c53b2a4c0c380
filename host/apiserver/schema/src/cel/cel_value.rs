//! Converts JSON values without a schema to CEL values.

use std::collections::HashMap;
use std::sync::Arc;

use cel::Value;
use cel::objects::{Key, Map};
use serde_json::Value as Json;

/// Returns a map.
pub(crate) fn cel_map(entries: HashMap<Key, Value>) -> Value {
    Value::Map(Map {
        map: Arc::new(entries),
    })
}

/// Returns a string.
pub(crate) fn cel_string(text: &str) -> Value {
    Value::String(Arc::new(text.to_owned()))
}

/// Converts a value without a schema.
pub(crate) fn untyped_value(value: &Json) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => number
            .as_i64()
            .map(Value::Int)
            .or_else(|| number.as_f64().map(Value::Float))
            .unwrap_or(Value::Null),
        Json::String(string) => cel_string(string),
        Json::Array(items) => Value::List(Arc::new(items.iter().map(untyped_value).collect())),
        Json::Object(fields) => cel_map(
            fields
                .iter()
                .map(|(name, value)| (Key::from(name.clone()), untyped_value(value)))
                .collect(),
        ),
    }
}
