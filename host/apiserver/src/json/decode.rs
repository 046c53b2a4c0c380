//! JSON bodies as kube-apiserver decodes them: duplicate keys are reported, and
//! integers of more than 64 signed bits become floating-point numbers.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::DecodedBody;
use crate::limits::{self, DocumentBudget};

/// Parses one JSON document.
///
/// # Errors
/// The bytes are not JSON, exceed a limit, or have more than white space after the
/// document.
pub(crate) fn parse(bytes: &[u8]) -> Result<DecodedBody, serde_json::Error> {
    let mut state = ParseState::default();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = NodeVisitor {
        path: &JsonLocation::ROOT,
        state: &mut state,
    }
    .deserialize(&mut deserializer)?;
    deserializer.end()?;
    let duplicates = state
        .duplicates
        .into_iter()
        .map(|path| format!("duplicate field \"{path}\""))
        .collect();
    Ok(DecodedBody { value, duplicates })
}

/// What the document contains so far.
#[derive(Default)]
struct ParseState {
    /// The paths of duplicate keys.
    duplicates: Vec<String>,
    budget: DocumentBudget,
}

/// The path of a value, linked to the root on the stack: it costs nothing until a
/// duplicate is reported.
struct JsonLocation<'p> {
    segment: PathSegment<'p>,
    depth: usize,
    /// Bytes of the names from the root to the value.
    name_bytes: usize,
}

enum PathSegment<'p> {
    Root,
    Field(&'p JsonLocation<'p>, &'p str),
    Item(&'p JsonLocation<'p>, usize),
}

impl JsonLocation<'_> {
    const ROOT: JsonLocation<'static> = JsonLocation {
        segment: PathSegment::Root,
        depth: 0,
        name_bytes: 0,
    };

    fn field<'a>(&'a self, name: &'a str) -> JsonLocation<'a> {
        JsonLocation {
            segment: PathSegment::Field(self, name),
            depth: self.depth + 1,
            name_bytes: self.name_bytes + name.len(),
        }
    }

    fn item(&self, index: usize) -> JsonLocation<'_> {
        JsonLocation {
            segment: PathSegment::Item(self, index),
            depth: self.depth + 1,
            name_bytes: self.name_bytes,
        }
    }
}

impl fmt::Display for JsonLocation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.segment {
            PathSegment::Root => Ok(()),
            PathSegment::Field(parent, name) if matches!(parent.segment, PathSegment::Root) => {
                f.write_str(name)
            }
            PathSegment::Field(parent, name) => write!(f, "{parent}.{name}"),
            PathSegment::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// Deserializes one value of the document.
struct NodeVisitor<'a> {
    path: &'a JsonLocation<'a>,
    state: &'a mut ParseState,
}

impl<'de> DeserializeSeed<'de> for NodeVisitor<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let JsonLocation {
            depth,
            name_bytes: length,
            ..
        } = *self.path;
        self.state
            .budget
            .charge(depth, length)
            .map_err(D::Error::custom)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NodeVisitor<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(match i64::try_from(value) {
            Ok(small) => small.into(),
            Err(_) => Number::from_f64(value as f64).map_or(Value::Null, Value::Number),
        })
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(super::number_from_f64(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let Self {
            path: place,
            state: seen,
        } = self;
        let mut out = Vec::new();
        while let Some(value) = seq.next_element_seed(NodeVisitor {
            path: &place.item(out.len()),
            state: seen,
        })? {
            out.push(value);
        }
        Ok(Value::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let Self {
            path: place,
            state: seen,
        } = self;
        let mut out = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let field = place.field(&key);
            if out.contains_key(&key) && seen.duplicates.len() < limits::MAX_REPORTED_FIELDS {
                let path = field.to_string();
                if !seen.duplicates.contains(&path) {
                    seen.duplicates.push(path);
                }
            }
            let value = map.next_value_seed(NodeVisitor {
                path: &field,
                state: seen,
            })?;
            out.insert(key, value);
        }
        Ok(Value::Object(out))
    }
}
