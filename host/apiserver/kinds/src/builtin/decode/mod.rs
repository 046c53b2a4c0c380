//! Typed decoding: converts a JSON object to the canonical form of the built-in
//! type that its schema describes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::zero_value::{self, ZeroValue};
use crate::go_json;
use crate::schemas;

/// The maximum number of unknown fields that are returned. An object can have a
/// hundred thousand.
const MAX_UNKNOWN_FIELDS: usize = 200;

/// Why an object cannot be decoded as its kind's type. The messages are what
/// upstream writes after `KIND in version "V" cannot be handled as a KIND: `.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A value has the wrong JSON type.
    #[error(
        "json: cannot unmarshal {found} into Go struct field {owner}.{field} of type {expected}"
    )]
    WrongType {
        /// The type of the value: `string`, `number 1.5`, …
        found: String,
        /// The innermost struct that contains the field.
        owner: String,
        /// The dotted path of the field from the root.
        field: String,
        /// The expected type: `string`, `int32`, …
        expected: String,
    },
    /// The object as a whole is not a JSON object.
    #[error("json: cannot unmarshal {found} into Go value of type v1.{kind}")]
    NotAnObject {
        /// The type of the value.
        found: &'static str,
        /// The expected kind.
        kind: String,
    },
    /// A base64 value cannot be decoded.
    #[error("illegal base64 data at input byte {index}")]
    InvalidBase64 {
        /// The index of the first invalid byte.
        index: usize,
    },
    /// A time cannot be parsed.
    #[error("parsing time {text:?} as {layout:?}: cannot parse {rest:?} as {element:?}")]
    InvalidTime {
        /// The value.
        text: String,
        /// The layout that the field has, in Go's form.
        layout: &'static str,
        /// The part of the value that is not as the layout's next element.
        rest: String,
        /// That element.
        element: &'static str,
    },
}

/// Decodes `object` in place as the type that the schema `name` describes. Removes
/// unknown fields and returns their paths.
pub(super) fn decode(name: &str, object: &mut Value) -> Result<Vec<String>, DecodeError> {
    let kind = schemas::short_name(name);
    if !object.is_object() {
        return Err(DecodeError::NotAnObject {
            found: go_json::type_name(object),
            kind: kind.into(),
        });
    }
    let mut decoder = Decoder {
        unknown: Vec::new(),
        path: String::new(),
        field: Vec::new(),
        first_error: None,
    };
    decoder.decode_named(name, kind, object)?;
    match decoder.first_error {
        Some(error) => Err(error),
        None => Ok(decoder.unknown),
    }
}

/// The state of decoding one object.
struct Decoder {
    unknown: Vec<String>,
    /// The current path, such as `spec.list[0].name`.
    path: String,
    /// The current path without indices and map keys.
    field: Vec<String>,
    /// The first value of a wrong type. Like upstream, decoding goes on, and reports a
    /// time that is not valid instead.
    first_error: Option<DecodeError>,
}

impl Decoder {
    /// Decodes a value as the type that the schema `name` describes.
    fn decode_named(
        &mut self,
        name: &str,
        owner: &str,
        value: &mut Value,
    ) -> Result<(), DecodeError> {
        let Some(schema) = schemas::get(name) else {
            return Ok(());
        };
        match (schemas::short_name(name), &*value) {
            // Raw JSON, including field sets.
            ("JSON" | "FieldsV1", _) => Ok(()),
            ("JSONSchemaPropsOrBool", Value::Bool(_)) => Ok(()),
            ("JSONSchemaPropsOrArray" | "JSONSchemaPropsOrStringArray", Value::Array(_)) => {
                self.decode_union_items(name, owner, value)
            }
            (
                "JSONSchemaPropsOrBool" | "JSONSchemaPropsOrArray" | "JSONSchemaPropsOrStringArray",
                _,
            ) => self.decode_named(&sibling_type(name, "JSONSchemaProps"), owner, value),
            ("MicroTime", _) => self.decode_time(owner, value, true),
            ("Time", _) => self.decode_time(owner, value, false),
            (type_name, _) if schema["properties"].is_object() => match value {
                Value::Object(map) => self.decode_fields(name, type_name, schema, map),
                other => Err(self.type_error(owner, other, &format!("v1.{type_name}"))),
            },
            _ => self.decode_value(schema, owner, value),
        }
    }

    fn decode_union_items(
        &mut self,
        name: &str,
        owner: &str,
        value: &mut Value,
    ) -> Result<(), DecodeError> {
        let allows_strings = schemas::short_name(name) == "JSONSchemaPropsOrStringArray";
        let props = sibling_type(name, "JSONSchemaProps");
        for (index, item) in value.as_array_mut().into_iter().flatten().enumerate() {
            self.at_path(&format!("[{index}]"), |decoder| {
                if !allows_strings {
                    decoder.decode_named(&props, owner, item)
                } else if item.is_string() {
                    Ok(())
                } else {
                    Err(decoder.type_error(owner, item, "string"))
                }
            })?;
        }
        Ok(())
    }

    fn decode_fields(
        &mut self,
        name: &str,
        type_name: &str,
        schema: &Value,
        map: &mut Map<String, Value>,
    ) -> Result<(), DecodeError> {
        let properties = &schema["properties"];
        let names: Vec<String> = map.keys().cloned().collect();
        for key in names {
            let Some(property) = properties.get(&key) else {
                map.remove(&key);
                if self.unknown.len() < MAX_UNKNOWN_FIELDS {
                    self.unknown.push(join_path(&self.path, &key));
                }
                continue;
            };
            let Some(value) = map.get_mut(&key) else {
                continue;
            };
            if value.is_null() {
                map.remove(&key);
                continue;
            }
            self.field.push(key.clone());
            let step = if self.path.is_empty() {
                key.clone()
            } else {
                format!(".{key}")
            };
            let decoded = self.at_path(&step, |decoder| {
                decoder.decode_value(property, type_name, value)
            });
            self.field.pop();
            match decoded {
                Err(error @ DecodeError::InvalidTime { .. }) => return Err(error),
                Err(error) => self.first_error = self.first_error.take().or(Some(error)),
                Ok(()) => {}
            }
            if zero_value::is_omitted(type_name, &key, value) {
                map.remove(&key);
            }
        }
        for (field, zero) in zero_value::always_written_fields(name) {
            if !map.contains_key(*field) {
                let mut value = zero.to_json();
                if matches!(zero, ZeroValue::Object)
                    && let Some(inner) = schemas::reference(&properties[*field])
                {
                    self.decode_named(inner, type_name, &mut value)?;
                }
                map.insert((*field).into(), value);
            }
        }
        Ok(())
    }

    fn decode_value(
        &mut self,
        schema: &Value,
        owner: &str,
        value: &mut Value,
    ) -> Result<(), DecodeError> {
        if let Some(name) = schemas::reference(schema) {
            return self.decode_named(name, owner, value);
        }
        let format = schema["format"].as_str().unwrap_or_default();
        match (schema["type"].as_str().unwrap_or_default(), &mut *value) {
            ("string", Value::String(text)) if format == "byte" => canonical_base64(text),
            ("string", Value::String(_))
            | ("boolean", Value::Bool(_))
            | ("number", Value::Number(_)) => Ok(()),
            ("integer", Value::Number(n)) => match n.as_i64() {
                Some(n) if format != "int32" || i32::try_from(n).is_ok() => Ok(()),
                _ => Err(self.type_error(owner, value, format)),
            },
            ("array", Value::Array(list)) => {
                for (index, item) in list.iter_mut().enumerate() {
                    if item.is_null() {
                        *item = zero_value_of(&schema["items"]);
                    }
                    self.at_path(&format!("[{index}]"), |decoder| {
                        decoder.decode_value(&schema["items"], owner, item)
                    })?;
                }
                Ok(())
            }
            ("object", Value::Object(map)) if schema["additionalProperties"].is_object() => {
                let values = &schema["additionalProperties"];
                for (key, item) in map {
                    if item.is_null() {
                        *item = zero_value_of(values);
                    }
                    self.at_path(&format!(".{key}"), |decoder| {
                        decoder.decode_value(values, owner, item)
                    })?;
                }
                Ok(())
            }
            ("object", Value::Object(_)) | ("", _) => Ok(()),
            _ => Err(self.type_error(owner, value, &go_type(schema))),
        }
    }

    /// Runs `decode` with `step` appended to the current path.
    fn at_path<R>(&mut self, step: &str, decode: impl FnOnce(&mut Self) -> R) -> R {
        let length = self.path.len();
        self.path.push_str(step);
        let result = decode(self);
        self.path.truncate(length);
        result
    }

    fn decode_time(
        &self,
        owner: &str,
        value: &mut Value,
        has_micros: bool,
    ) -> Result<(), DecodeError> {
        let Value::String(text) = value else {
            return Err(self.type_error(owner, value, "string"));
        };
        let (format, layout) = if has_micros {
            ("%Y-%m-%dT%H:%M:%S.%6fZ", "2006-01-02T15:04:05.000000Z07:00")
        } else {
            ("%Y-%m-%dT%H:%M:%SZ", "2006-01-02T15:04:05Z07:00")
        };
        let invalid = |rest: &str, element| DecodeError::InvalidTime {
            text: text.clone(),
            layout,
            rest: rest.to_owned(),
            element,
        };
        let time: Timestamp = text.parse().map_err(|_| invalid(text, "2006"))?;
        if has_micros && let Some((rest, element)) = other_than_micros(text) {
            return Err(invalid(rest, element));
        }
        *text = time.strftime(format).to_string();
        Ok(())
    }

    fn type_error(&self, owner: &str, value: &Value, expected: &str) -> DecodeError {
        let found = match value {
            Value::Number(n) if expected.starts_with("int") => format!("number {n}"),
            other => go_json::type_name(other).into(),
        };
        DecodeError::WrongType {
            found,
            owner: owner.into(),
            field: self.field.join("."),
            expected: expected.into(),
        }
    }
}

fn join_path(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.into()
    } else {
        format!("{path}.{key}")
    }
}

/// Returns the schema's name of another type in the same package.
fn sibling_type(name: &str, type_name: &str) -> String {
    match name.rsplit_once('.') {
        Some((package, _)) => format!("{package}.{type_name}"),
        None => type_name.into(),
    }
}

/// Returns the Go name of a type, as in upstream's messages.
fn go_type(schema: &Value) -> String {
    if let Some(name) = schemas::reference(schema) {
        return format!("v1.{}", schemas::short_name(name));
    }
    match (
        schema["type"].as_str().unwrap_or_default(),
        schema["format"].as_str(),
    ) {
        ("string", Some("byte")) => "[]uint8".into(),
        ("boolean", _) => "bool".into(),
        ("integer", Some(format)) => format.into(),
        ("number", _) => "float64".into(),
        ("array", _) => format!("[]{}", go_type(&schema["items"])),
        ("object", _) if schema["additionalProperties"].is_object() => {
            format!("map[string]{}", go_type(&schema["additionalProperties"]))
        }
        (other, _) => other.into(),
    }
}

/// Returns the value of a null in a list or map, as Go decodes it.
fn zero_value_of(schema: &Value) -> Value {
    if schemas::reference(schema).is_some_and(|name| schemas::short_name(name) == "JSON") {
        return Value::Null;
    }
    match schema["type"].as_str() {
        Some("string") => Value::String(String::new()),
        Some("integer" | "number") => 0.into(),
        Some("boolean") => false.into(),
        Some("array") => Value::Array(Vec::new()),
        _ => Value::Object(Map::new()),
    }
}

/// Decodes and encodes base64, which removes line breaks.
fn canonical_base64(text: &mut String) -> Result<(), DecodeError> {
    text.retain(|c| !matches!(c, '\r' | '\n'));
    match STANDARD.decode(text.as_bytes()) {
        Ok(bytes) => {
            *text = STANDARD.encode(bytes);
            Ok(())
        }
        Err(base64::DecodeError::InvalidByte(index, _)) => {
            Err(DecodeError::InvalidBase64 { index })
        }
        // An incomplete group of four is reported at its start.
        Err(_) => Err(DecodeError::InvalidBase64 {
            index: text.len() / 4 * 4,
        }),
    }
}

/// Returns what follows the seconds of a valid time, and what is expected there, unless
/// that is a fraction of six digits.
fn other_than_micros(time: &str) -> Option<(&str, &'static str)> {
    const SECONDS: usize = "2006-01-02T15:04:05".len();
    const DIGITS: usize = 6;
    let rest = time.get(SECONDS..)?;
    let fraction = rest.strip_prefix('.').unwrap_or_default();
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    match digits {
        DIGITS => None,
        ..DIGITS => Some((rest, ".000000")),
        _ => Some((fraction.get(DIGITS..)?, "Z07:00")),
    }
}

#[cfg(test)]
mod tests;
