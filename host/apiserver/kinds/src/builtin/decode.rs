//! Typed decoding: a JSON object as the built-in type that its schema
//! describes, in the canonical form in which the type is written back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::zero_value::{self, ZeroValue};
use crate::schemas;

/// An object is not of the type that its kind asks for. `Display` is what
/// upstream writes after `KIND in version "V" cannot be handled as a KIND: `.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A value has the wrong JSON type.
    #[error("json: cannot unmarshal {found} into Go struct field {owner}.{field} of type {wanted}")]
    WrongType {
        /// What was found: `string`, `number 1.5`, …
        found: String,
        /// The innermost type that the field belongs to.
        owner: String,
        /// The field, dotted, from the object down.
        field: String,
        /// What is wanted: `string`, `int32`, …
        wanted: String,
    },
    /// The object as a whole is not a JSON object.
    #[error("json: cannot unmarshal {found} into Go value of type v1.{kind}")]
    NotAnObject {
        /// What was found.
        found: &'static str,
        /// The kind wanted.
        kind: String,
    },
    /// A base64 value cannot be decoded.
    #[error("illegal base64 data at input byte {at}")]
    InvalidBase64 {
        /// Where the trouble begins.
        at: usize,
    },
    /// A time is not one.
    #[error(
        "parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {text:?} as \"2006\""
    )]
    InvalidTime {
        /// The value as given.
        text: String,
    },
}

/// Decodes `object` in place as the type of the schema `name`; returns the
/// fields that the type does not know, which are removed.
pub(super) fn decode(name: &str, object: &mut Value) -> Result<Vec<String>, DecodeError> {
    let kind = schemas::short_name(name);
    if !object.is_object() {
        return Err(DecodeError::NotAnObject {
            found: json_type(object),
            kind: kind.into(),
        });
    }
    let mut decoder = Decoder {
        unknown: Vec::new(),
        path: String::new(),
        field: Vec::new(),
    };
    decoder.decode_named(name, kind, object)?;
    Ok(decoder.unknown)
}

/// Unknown fields that are named: an object has room for a hundred thousand.
const MAX_UNKNOWN_FIELDS: usize = 200;

struct Decoder {
    unknown: Vec<String>,
    /// Where the walk is, as `spec.list[0].name`.
    path: String,
    /// Where the walk is, without indices and map keys.
    field: Vec<String>,
}

impl Decoder {
    /// A value of the type that the schema `name` describes.
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
            // Raw JSON, and sets of fields, which are raw too.
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
        let of_strings = schemas::short_name(name) == "JSONSchemaPropsOrStringArray";
        let props = sibling_type(name, "JSONSchemaProps");
        for (index, item) in value.as_array_mut().into_iter().flatten().enumerate() {
            self.at_path(&format!("[{index}]"), |this| {
                if !of_strings {
                    this.decode_named(&props, owner, item)
                } else if item.is_string() {
                    Ok(())
                } else {
                    Err(this.type_error(owner, item, "string"))
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
                    self.unknown.push(join(&self.path, &key));
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
            self.at_path(&step, |this| this.decode_value(property, type_name, value))?;
            self.field.pop();
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
                    self.at_path(&format!("[{index}]"), |this| {
                        this.decode_value(&schema["items"], owner, item)
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
                    self.at_path(&format!(".{key}"), |this| {
                        this.decode_value(values, owner, item)
                    })?;
                }
                Ok(())
            }
            ("object", Value::Object(_)) | ("", _) => Ok(()),
            _ => Err(self.type_error(owner, value, &go_type(schema))),
        }
    }

    fn at_path<R>(&mut self, step: &str, walk: impl FnOnce(&mut Self) -> R) -> R {
        let length = self.path.len();
        self.path.push_str(step);
        let result = walk(self);
        self.path.truncate(length);
        result
    }

    fn decode_time(&self, owner: &str, value: &mut Value, micro: bool) -> Result<(), DecodeError> {
        let Value::String(text) = value else {
            return Err(self.type_error(owner, value, "string"));
        };
        let time: Timestamp = text
            .parse()
            .map_err(|_| DecodeError::InvalidTime { text: text.clone() })?;
        let format = if micro {
            "%Y-%m-%dT%H:%M:%S.%6fZ"
        } else {
            "%Y-%m-%dT%H:%M:%SZ"
        };
        *text = time.strftime(format).to_string();
        Ok(())
    }

    fn type_error(&self, owner: &str, value: &Value, wanted: &str) -> DecodeError {
        let found = match value {
            Value::Number(n) if wanted.starts_with("int") => format!("number {n}"),
            other => json_type(other).into(),
        };
        DecodeError::WrongType {
            found,
            owner: owner.into(),
            field: self.field.join("."),
            wanted: wanted.into(),
        }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.into()
    } else {
        format!("{path}.{key}")
    }
}

/// The schema of another type in the same package.
fn sibling_type(name: &str, type_name: &str) -> String {
    match name.rsplit_once('.') {
        Some((package, _)) => format!("{package}.{type_name}"),
        None => type_name.into(),
    }
}

fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The name by which upstream's messages call a type.
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

/// What a null stands for as an item of a list or a value of a map.
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

/// Decodes and encodes again: line breaks are allowed within base64, but not
/// kept.
fn canonical_base64(text: &mut String) -> Result<(), DecodeError> {
    text.retain(|c| !matches!(c, '\r' | '\n'));
    match STANDARD.decode(text.as_bytes()) {
        Ok(bytes) => {
            *text = STANDARD.encode(bytes);
            Ok(())
        }
        Err(base64::DecodeError::InvalidByte(at, _)) => Err(DecodeError::InvalidBase64 { at }),
        // A group of four that is not complete is refused where it begins.
        Err(_) => Err(DecodeError::InvalidBase64 {
            at: text.len() / 4 * 4,
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CONFIG_MAP: &str = "io.k8s.api.core.v1.ConfigMap";
    const SECRET: &str = "io.k8s.api.core.v1.Secret";
    const LEASE: &str = "io.k8s.api.coordination.v1.Lease";
    const EVENT: &str = "io.k8s.api.core.v1.Event";
    const CRD: &str =
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition";

    fn decoded(name: &str, mut object: Value) -> (Value, Vec<String>) {
        let unknown = decode(name, &mut object).unwrap();
        (object, unknown)
    }

    fn message(name: &str, mut object: Value) -> String {
        decode(name, &mut object).unwrap_err().to_string()
    }

    #[test]
    fn unknown_fields_go_and_are_named() {
        let (object, unknown) = decoded(
            CRD,
            json!({"metadata": {"name": "a", "odd": 1}, "top": 1, "spec": {"group": "g", "names": {"plural": "x", "kind": "X"},
                "scope": "Cluster", "versions": [{"name": "v1", "served": true, "storage": true, "extra": {},
                    "schema": {"openAPIV3Schema": {"type": "object", "wrong": 1, "properties": {"a": {"type": "string", "bad": 2}}}}}]}}),
        );
        assert_eq!(
            unknown,
            [
                "metadata.odd",
                "spec.versions[0].extra",
                "spec.versions[0].schema.openAPIV3Schema.properties.a.bad",
                "spec.versions[0].schema.openAPIV3Schema.wrong",
                "top"
            ]
        );
        assert_eq!(
            object["spec"]["versions"][0]["schema"]["openAPIV3Schema"],
            json!({"type": "object", "properties": {"a": {"type": "string"}}})
        );
    }

    #[test]
    fn empty_optional_fields_vanish_and_pointers_stay() {
        let (object, _) = decoded(
            CONFIG_MAP,
            json!({"kind": "ConfigMap", "metadata": {"name": "a", "labels": {}, "annotations": null, "generation": 0},
                "data": {}, "binaryData": null, "immutable": false}),
        );
        assert_eq!(
            object,
            json!({"kind": "ConfigMap", "metadata": {"name": "a"}, "immutable": false})
        );
        let (object, _) = decoded(
            LEASE,
            json!({"metadata": {}, "spec": {"holderIdentity": "", "leaseTransitions": 0}}),
        );
        assert_eq!(
            object["spec"],
            json!({"holderIdentity": "", "leaseTransitions": 0})
        );
    }

    #[test]
    fn fields_that_are_always_written_appear() {
        let (object, _) = decoded(EVENT, json!({"metadata": {"name": "a"}, "reason": ""}));
        assert_eq!(
            object,
            json!({"metadata": {"name": "a"}, "involvedObject": {}, "source": {}, "firstTimestamp": null,
                "lastTimestamp": null, "eventTime": null, "reportingComponent": "", "reportingInstance": ""})
        );
        let (object, _) = decoded("io.k8s.api.core.v1.Namespace", json!({}));
        assert_eq!(object, json!({"metadata": {}, "spec": {}, "status": {}}));
    }

    #[test]
    fn times_and_base64_take_their_canonical_form() {
        let (object, _) = decoded(
            EVENT,
            json!({"metadata": {}, "firstTimestamp": "2024-01-02T03:04:05.9+02:00", "eventTime": "2024-01-02T03:04:05.25Z"}),
        );
        assert_eq!(object["firstTimestamp"], "2024-01-02T01:04:05Z");
        assert_eq!(object["eventTime"], "2024-01-02T03:04:05.250000Z");
        let (object, _) = decoded(SECRET, json!({"data": {"a": "AA\nEC", "b": null}}));
        assert_eq!(object["data"], json!({"a": "AAEC", "b": ""}));
    }

    #[test]
    fn raw_json_is_left_alone() {
        let (object, unknown) = decoded(
            CRD,
            json!({"spec": {"versions": [{"schema": {"openAPIV3Schema": {"properties": {
                "a": {"default": {"x": null, "y": ""}, "enum": ["", null, 0], "items": {"type": "string"}},
                "b": {"default": null, "additionalProperties": false, "nullable": false, "not": {}},
            }}}}]}}),
        );
        assert_eq!(unknown, Vec::<String>::new());
        assert_eq!(
            object["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"],
            json!({
                "a": {"default": {"x": null, "y": ""}, "enum": ["", null, 0], "items": {"type": "string"}},
                "b": {"additionalProperties": false, "not": {}},
            })
        );
    }

    #[test]
    fn wrong_types_are_refused_by_name() {
        assert_eq!(
            message(CONFIG_MAP, json!({"data": {"k": 1}})),
            "json: cannot unmarshal number into Go struct field ConfigMap.data of type string"
        );
        assert_eq!(
            message(CONFIG_MAP, json!({"metadata": {"labels": ["a"]}})),
            "json: cannot unmarshal array into Go struct field ObjectMeta.metadata.labels of type map[string]string"
        );
        assert_eq!(
            message(
                LEASE,
                json!({"spec": {"leaseTransitions": 3_000_000_000_u32}})
            ),
            "json: cannot unmarshal number 3000000000 into Go struct field LeaseSpec.spec.leaseTransitions of type int32"
        );
        assert_eq!(
            message(LEASE, json!({"spec": "x"})),
            "json: cannot unmarshal string into Go struct field Lease.spec of type v1.LeaseSpec"
        );
        assert_eq!(
            message(SECRET, json!({"data": {"k": "?"}})),
            "illegal base64 data at input byte 0"
        );
        assert_eq!(
            message(SECRET, json!({"data": {"k": "AA"}})),
            "illegal base64 data at input byte 0"
        );
        assert!(
            message(LEASE, json!({"spec": {"renewTime": "now"}}))
                .starts_with("parsing time \"now\"")
        );
        assert_eq!(
            message(SECRET, json!([])),
            "json: cannot unmarshal array into Go value of type v1.Secret"
        );
    }
}
