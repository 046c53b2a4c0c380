//! From a message's bytes to JSON, by its table.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::messages::{Field, Message, Type};
use super::wire::{self, Content};
use crate::limits::DocumentBudget;
use crate::timestamp;

/// What the envelope says of the message within.
pub(super) struct Envelope<'b> {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) raw: &'b [u8],
    pub(super) encoding: String,
    pub(super) content_type: String,
}

/// Reads one body within its budget.
#[derive(Default)]
pub(super) struct Reader {
    budget: DocumentBudget,
    /// The way to the field that is being read, for errors.
    path: Vec<Cow<'static, str>>,
}

impl Reader {
    fn fail(&self, why: impl std::fmt::Display) -> String {
        format!("{}: {why}", self.path.join("."))
    }

    /// Reads the envelope without copying what it holds.
    pub(super) fn envelope<'b>(
        &mut self,
        message: &'static Message,
        mut rest: &'b [u8],
    ) -> Result<Envelope<'b>, String> {
        let whole = rest;
        let value = self.message(message, whole)?;
        let text = |at: &str| {
            value
                .pointer(at)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let mut raw: &[u8] = &[];
        while let Some((number, content)) = wire::field(&mut rest).map_err(|why| self.fail(why))? {
            if let (2, Content::Bytes(bytes)) = (number, content) {
                raw = bytes;
            }
        }
        Ok(Envelope {
            api_version: text("/typeMeta/apiVersion"),
            kind: text("/typeMeta/kind"),
            raw,
            encoding: text("/contentEncoding"),
            content_type: text("/contentType"),
        })
    }

    /// Reads a message on its own.
    pub(super) fn message(
        &mut self,
        message: &'static Message,
        bytes: &[u8],
    ) -> Result<Value, String> {
        self.path.push(Cow::Borrowed(message.name));
        let mut map = Map::new();
        self.fill(message, bytes, &mut map)?;
        self.path.pop();
        Ok(Value::Object(map))
    }

    /// Reads a message into what was read of it before: one that comes in two
    /// parts is the sum of both.
    fn fill(
        &mut self,
        message: &'static Message,
        mut rest: &[u8],
        map: &mut Map<String, Value>,
    ) -> Result<(), String> {
        while let Some((number, content)) = wire::field(&mut rest).map_err(|why| self.fail(why))? {
            // Fields of later versions are passed over, as everywhere.
            let Some(field) = message.field(number) else {
                continue;
            };
            self.path.push(Cow::Borrowed(field.name));
            self.budget
                .charge(self.path.len(), 0)
                .map_err(|why| self.fail(why))?;
            self.put(field, content, map)?;
            self.path.pop();
        }
        Ok(())
    }

    fn put(
        &mut self,
        field: &'static Field,
        content: Content<'_>,
        map: &mut Map<String, Value>,
    ) -> Result<(), String> {
        match field.kind {
            Type::Map(values) => {
                let (key, value) = self.entry(values, content)?;
                let slot = map
                    .entry(field.name)
                    .or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(entries) = slot {
                    entries.insert(key, value);
                }
                return Ok(());
            }
            Type::Message(inner) if !field.repeated => {
                let bytes = self.bytes(content)?;
                let slot = map
                    .entry(field.name)
                    .or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(inside) = slot {
                    self.fill(inner, bytes, inside)?;
                }
                return Ok(());
            }
            _ => {}
        }
        let value = self.value(&field.kind, content)?;
        if field.repeated {
            let slot = map
                .entry(field.name)
                .or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(items) = slot {
                items.push(value.unwrap_or_default());
            }
            return Ok(());
        }
        // Go writes fields that are no pointers although they are empty.
        match value.filter(|value| field.pointer || !is_empty(value)) {
            Some(value) => map.insert(field.name.to_owned(), value),
            None => map.remove(field.name),
        };
        Ok(())
    }

    /// One value; nothing for a time that is not set.
    fn value(
        &mut self,
        kind: &'static Type,
        content: Content<'_>,
    ) -> Result<Option<Value>, String> {
        Ok(Some(match kind {
            Type::Text => self.text(content)?.into(),
            Type::Bytes => STANDARD.encode(self.bytes(content)?).into(),
            Type::Bool => (self.number(content)? != 0).into(),
            Type::Int64 => self.number(content)?.cast_signed().into(),
            // Negative numbers have 64 bits on the wire.
            Type::Int32 => i32::try_from(self.number(content)?.cast_signed())
                .map_err(|_| self.fail("the number has more than 32 bits"))?
                .into(),
            Type::Time | Type::MicroTime => return self.time(kind, content),
            Type::Message(inner) => {
                let bytes = self.bytes(content)?;
                let mut map = Map::new();
                self.fill(inner, bytes, &mut map)?;
                Value::Object(map)
            }
            Type::List(inner) => {
                let bytes = self.bytes(content)?;
                let mut map = Map::new();
                self.fill(inner, bytes, &mut map)?;
                map.remove("items")
                    .unwrap_or_else(|| Vec::<Value>::new().into())
            }
            Type::Json => {
                let bytes = self.bytes(content)?;
                let raw = self.raw(bytes)?;
                super::super::parse_json(raw)
                    .map_err(|why| self.fail(why))?
                    .value
            }
            Type::Skip => return Ok(None),
            // Only as a field, and handled there.
            Type::Map(_) => return Err(self.fail("a map cannot be repeated")),
        }))
    }

    /// The bytes in the one field of a message around raw JSON.
    fn raw<'b>(&self, mut rest: &'b [u8]) -> Result<&'b [u8], String> {
        let mut raw: &[u8] = b"null";
        while let Some((number, content)) = wire::field(&mut rest).map_err(|why| self.fail(why))? {
            if number == 1 {
                raw = self.bytes(content)?;
            }
        }
        Ok(raw)
    }

    /// A map's entry: a message with the key as field 1 and the value as 2.
    fn entry(
        &mut self,
        values: &'static Type,
        content: Content<'_>,
    ) -> Result<(String, Value), String> {
        let mut rest = self.bytes(content)?;
        let (mut key, mut value) = (String::new(), None);
        while let Some((number, content)) = wire::field(&mut rest).map_err(|why| self.fail(why))? {
            match number {
                1 => key = self.text(content)?,
                2 => {
                    self.path.push(Cow::Owned(shown(&key)));
                    self.budget
                        .charge(self.path.len(), key.len())
                        .map_err(|why| self.fail(why))?;
                    value = self.value(values, content)?;
                    self.path.pop();
                }
                _ => {}
            }
        }
        let empty = || match values {
            Type::List(_) => Value::Array(Vec::new()),
            _ => Value::String(String::new()),
        };
        Ok((key, value.unwrap_or_else(empty)))
    }

    fn time(&mut self, kind: &Type, content: Content<'_>) -> Result<Option<Value>, String> {
        let mut rest = self.bytes(content)?;
        let (mut seconds, mut nanos) = (0_i64, 0_i32);
        while let Some((number, content)) = wire::field(&mut rest).map_err(|why| self.fail(why))? {
            match number {
                1 => seconds = self.number(content)?.cast_signed(),
                2 => {
                    nanos = i32::try_from(self.number(content)?.cast_signed()).map_err(|_| {
                        self.fail("the number of nanoseconds has more than 32 bits")
                    })?;
                }
                _ => {}
            }
        }
        if (seconds, nanos) == (0, 0) {
            return Ok(None);
        }
        let time = Timestamp::new(seconds, nanos)
            .map_err(|_| self.fail("the time is beyond the years 1 to 9999"))?;
        let text = match kind {
            Type::MicroTime => timestamp::rfc3339_micros(time),
            _ => timestamp::rfc3339_seconds(time),
        };
        Ok(Some(text.into()))
    }

    fn bytes<'b>(&self, content: Content<'b>) -> Result<&'b [u8], String> {
        match content {
            Content::Bytes(bytes) => Ok(bytes),
            other => Err(self.fail(format!("{} stands where bytes belong", other.name()))),
        }
    }

    fn number(&self, content: Content<'_>) -> Result<u64, String> {
        match content {
            Content::Varint(number) => Ok(number),
            other => Err(self.fail(format!("{} stand where a number belongs", other.name()))),
        }
    }

    fn text(&self, content: Content<'_>) -> Result<String, String> {
        let bytes = self.bytes(content)?;
        let text = std::str::from_utf8(bytes).map_err(|_| self.fail("the text is no UTF-8"))?;
        Ok(text.to_owned())
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(set) => !set,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(_) | Value::Object(_) => false,
    }
}

/// A map's key as errors show it.
fn shown(key: &str) -> String {
    /// Characters that tell one key from another.
    const SHOWN: usize = 64;
    key.chars().take(SHOWN).collect()
}
