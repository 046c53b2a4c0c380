//! A validator for the JSON schemas in `docs/schemas`, with the keywords that they
//! have. Any other keyword is a panic, so that none is skipped.

use serde_json::{Map, Value};

/// The keywords that do not restrict a value.
const ANNOTATIONS: [&str; 5] = ["$schema", "$defs", "title", "description", "default"];

/// A schema.
pub(crate) struct SchemaValidator {
    root: Value,
}

impl SchemaValidator {
    pub(crate) fn parse(text: &str) -> Self {
        Self {
            root: serde_json::from_str(text).unwrap(),
        }
    }

    /// Returns whether the schema has `value`.
    pub(crate) fn has(&self, value: &Value) -> bool {
        self.matches(&self.root, value)
    }

    fn matches(&self, schema: &Value, value: &Value) -> bool {
        let keywords = schema.as_object().unwrap();
        keywords.iter().all(|(keyword, argument)| {
            let count = || {
                let alternatives = argument.as_array().unwrap().iter();
                alternatives.filter(|it| self.matches(it, value)).count()
            };
            match (&**keyword, argument) {
                ("$ref", Value::String(path)) => self.matches(self.definition(path), value),
                ("oneOf", _) => count() == 1,
                ("anyOf", _) => count() > 0,
                ("const", _) => value == argument,
                ("type", Value::String(name)) => is_type(name, value),
                ("type", Value::Array(names)) => names
                    .iter()
                    .any(|name| is_type(name.as_str().unwrap(), value)),
                ("minimum", Value::Number(least)) => {
                    let number = value.as_number();
                    number.is_none_or(|number| number.as_i128() >= least.as_i128())
                }
                ("format", Value::String(name)) => has_format(name, value),
                ("required", Value::Array(names)) => value.as_object().is_none_or(|members| {
                    let mut names = names.iter();
                    names.all(|name| members.contains_key(name.as_str().unwrap()))
                }),
                ("properties", Value::Object(properties)) => {
                    value.as_object().is_none_or(|members| {
                        members.iter().all(|(name, member)| {
                            let schema = properties.get(name);
                            schema.is_none_or(|schema| self.matches(schema, member))
                        })
                    })
                }
                ("additionalProperties", schema) => {
                    let is_listed = |name: &str| {
                        let listed = keywords.get("properties").and_then(Value::as_object);
                        listed.is_some_and(|listed: &Map<_, _>| listed.contains_key(name))
                    };
                    value.as_object().is_none_or(|members| {
                        let mut members = members.iter();
                        members.all(|(name, it)| is_listed(name) || self.matches(schema, it))
                    })
                }
                (keyword, _) => {
                    assert!(ANNOTATIONS.contains(&keyword), "{keyword}: {argument}");
                    true
                }
            }
        })
    }

    fn definition(&self, path: &str) -> &Value {
        let pointer = path.strip_prefix('#').unwrap();
        self.root.pointer(pointer).unwrap()
    }
}

fn is_type(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        // 1.0 is one, too, but no client writes it.
        "integer" => value.is_i64() || value.is_u64(),
        name => panic!("a type that is not implemented: {name}"),
    }
}

/// Returns whether a value that is a number has this format.
fn has_format(name: &str, value: &Value) -> bool {
    let Some(number) = value.as_number() else {
        return true;
    };
    match name {
        "uint32" => number.as_u64().is_some_and(|it| u32::try_from(it).is_ok()),
        "uint64" => number.is_u64(),
        name => panic!("a format that is not implemented: {name}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_keyword_restricts_a_value() {
        for (schema, valid, invalid) in [
            (json!({"type": "object"}), json!({}), json!([])),
            (json!({"type": ["null", "string"]}), json!(null), json!(1)),
            (json!({"const": "a"}), json!("a"), json!("b")),
            (json!({"type": "integer", "minimum": 1}), json!(1), json!(0)),
            (json!({"format": "uint32"}), json!(1), json!(1_u64 << 32)),
            (json!({"format": "uint64"}), json!(1_u64 << 32), json!(-1)),
            (json!({"required": ["a"]}), json!({"a": 1}), json!({"b": 1})),
            (
                json!({"properties": {"a": {"type": "null"}}}),
                json!({"b": 1}),
                json!({"a": 1}),
            ),
            (
                json!({"properties": {"a": {}}, "additionalProperties": {"type": "null"}}),
                json!({"a": 1, "b": null}),
                json!({"b": 1}),
            ),
            (
                json!({"oneOf": [{"type": "integer"}, {"minimum": 5}]}),
                json!(1),
                json!(5),
            ),
            (
                json!({"anyOf": [{"type": "integer"}, {"const": "a"}]}),
                json!("a"),
                json!("b"),
            ),
            (
                json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "null"}}}),
                json!(null),
                json!(1),
            ),
        ] {
            let schema = SchemaValidator { root: schema };
            assert!(schema.has(&valid), "{}: {valid}", schema.root);
            assert!(!schema.has(&invalid), "{}: {invalid}", schema.root);
        }
    }
}
