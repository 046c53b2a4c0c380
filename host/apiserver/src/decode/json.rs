//! JSON bodies as the real server reads them: a key given twice is noticed,
//! and integers beyond 64 signed bits become floating point.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::limits::{self, DocumentBudget};

/// A document and the paths of the keys that it gave twice.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) value: Value,
    pub(crate) duplicates: Vec<String>,
}

/// Parses one JSON document; anything but white space after it is an error.
pub(crate) fn parse(bytes: &[u8]) -> Result<Document, serde_json::Error> {
    let mut seen = Seen::default();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Node {
        place: &Place::ROOT,
        seen: &mut seen,
    }
    .deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(Document {
        value,
        duplicates: seen.duplicates,
    })
}

/// What was met so far.
#[derive(Default)]
struct Seen {
    duplicates: Vec<String>,
    budget: DocumentBudget,
}

/// A place in the document, linked to the root on the stack: it costs nothing
/// until a duplicate is reported.
struct Place<'p> {
    step: Step<'p>,
    depth: usize,
    /// Bytes of the names from the root to here.
    length: usize,
}

enum Step<'p> {
    Root,
    Field(&'p Place<'p>, &'p str),
    Item(&'p Place<'p>, usize),
}

impl Place<'_> {
    const ROOT: Place<'static> = Place {
        step: Step::Root,
        depth: 0,
        length: 0,
    };

    fn field<'a>(&'a self, name: &'a str) -> Place<'a> {
        Place {
            step: Step::Field(self, name),
            depth: self.depth + 1,
            length: self.length + name.len(),
        }
    }

    fn item(&self, index: usize) -> Place<'_> {
        Place {
            step: Step::Item(self, index),
            depth: self.depth + 1,
            length: self.length,
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.step {
            Step::Root => Ok(()),
            Step::Field(parent, name) if matches!(parent.step, Step::Root) => f.write_str(name),
            Step::Field(parent, name) => write!(f, "{parent}.{name}"),
            Step::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

struct Node<'a> {
    place: &'a Place<'a>,
    seen: &'a mut Seen,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let Place { depth, length, .. } = *self.place;
        self.seen
            .budget
            .charge(depth, length)
            .map_err(D::Error::custom)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
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
        Ok(super::whole(value))
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
        let Self { place, seen } = self;
        let mut out = Vec::new();
        while let Some(value) = seq.next_element_seed(Node {
            place: &place.item(out.len()),
            seen,
        })? {
            out.push(value);
        }
        Ok(Value::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let Self { place, seen } = self;
        let mut out = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let inner = place.field(&key);
            if out.contains_key(&key) && seen.duplicates.len() < limits::MAX_REPORTED_FIELDS {
                let path = inner.to_string();
                if !seen.duplicates.contains(&path) {
                    seen.duplicates.push(path);
                }
            }
            let value = map.next_value_seed(Node {
                place: &inner,
                seen,
            })?;
            out.insert(key, value);
        }
        Ok(Value::Object(out))
    }
}
