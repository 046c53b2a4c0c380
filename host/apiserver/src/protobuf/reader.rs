//! Decodes the bytes of a message into JSON by its descriptor.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::ProtobufError;
use super::messages::{FieldDescriptor, MessageDescriptor, ProtobufType};
use super::wire::{self, WireError, WireValue};
use crate::json::JsonError;
use crate::limits::DocumentBudget;
use crate::timestamp;

/// The decoded envelope (`runtime.Unknown`) of a message.
pub(super) struct UnknownEnvelope<'b> {
    pub(super) api_version: String,
    pub(super) kind: String,
    /// The bytes of the message.
    pub(super) raw: &'b [u8],
    pub(super) content_encoding: String,
    pub(super) content_type: String,
}

/// The reason why a field cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FieldDecodeError {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("expected bytes, found {0}")]
    NotBytes(&'static str),
    #[error("expected a number, found {0}")]
    NotVarint(&'static str),
    #[error("expected a fixed number, found {0}")]
    NotFixed(&'static str),
    #[error("the number has more than 32 bits")]
    NumberRange,
    #[error("the number of nanoseconds has more than 32 bits")]
    NanosecondRange,
    #[error("the time is beyond the years 1 to 9999")]
    TimeRange,
    #[error("the text is not valid UTF-8")]
    Encoding,
    #[error("a map cannot be repeated")]
    RepeatedMap,
    /// A limit of size or depth.
    #[error("{0}")]
    Limit(String),
    #[error(transparent)]
    Json(#[from] JsonError),
}

/// Decodes one body within its limits.
#[derive(Default)]
pub(super) struct MessageReader {
    budget: DocumentBudget,
    /// The path of the current field, for errors.
    path: Vec<Cow<'static, str>>,
}

impl MessageReader {
    fn fail(&self, reason: impl Into<FieldDecodeError>) -> ProtobufError {
        ProtobufError::Field {
            path: self.path.join("."),
            reason: reason.into(),
        }
    }

    /// Takes the next field of the current message.
    fn next_field<'b>(
        &self,
        rest: &mut &'b [u8],
    ) -> Result<Option<(u32, WireValue<'b>)>, ProtobufError> {
        wire::next_field(rest).map_err(|error| self.fail(error))
    }

    /// Counts a value at the current path, below a key of `key_bytes`.
    fn spend(&mut self, key_bytes: usize) -> Result<(), ProtobufError> {
        self.budget
            .charge(self.path.len(), key_bytes)
            .map_err(|error| self.fail(FieldDecodeError::Limit(error.to_string())))
    }

    /// Decodes the envelope without copying the message in it.
    pub(super) fn read_envelope<'b>(
        &mut self,
        message: &'static MessageDescriptor,
        mut rest: &'b [u8],
    ) -> Result<UnknownEnvelope<'b>, ProtobufError> {
        let value = self.read_message(message, rest)?;
        let text = |pointer: &str| {
            value
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let mut raw: &[u8] = &[];
        while let Some((number, wire_value)) = self.next_field(&mut rest)? {
            if let (2, WireValue::Bytes(bytes)) = (number, wire_value) {
                raw = bytes;
            }
        }
        Ok(UnknownEnvelope {
            api_version: text("/typeMeta/apiVersion"),
            kind: text("/typeMeta/kind"),
            raw,
            content_encoding: text("/contentEncoding"),
            content_type: text("/contentType"),
        })
    }

    /// Decodes a message.
    pub(super) fn read_message(
        &mut self,
        message: &'static MessageDescriptor,
        bytes: &[u8],
    ) -> Result<Value, ProtobufError> {
        self.path.push(Cow::Borrowed(message.name));
        let mut map = Map::new();
        self.merge_message(message, bytes, &mut map)?;
        self.path.pop();
        Ok(Value::Object(map))
    }

    /// Merges a message into what was decoded of it before: a message may come in
    /// several parts.
    fn merge_message(
        &mut self,
        message: &'static MessageDescriptor,
        mut rest: &[u8],
        map: &mut Map<String, Value>,
    ) -> Result<(), ProtobufError> {
        while let Some((number, wire_value)) = self.next_field(&mut rest)? {
            // Fields of later versions are ignored.
            let Some(field) = message.field(number) else {
                continue;
            };
            self.path.push(Cow::Borrowed(field.name));
            self.spend(0)?;
            self.merge_field(field, wire_value, map)?;
            self.path.pop();
        }
        Ok(())
    }

    fn merge_field(
        &mut self,
        field: &'static FieldDescriptor,
        wire_value: WireValue<'_>,
        map: &mut Map<String, Value>,
    ) -> Result<(), ProtobufError> {
        match field.field_type {
            ProtobufType::Map(values) => {
                let (key, value) = self.map_entry(values, wire_value)?;
                let slot = map
                    .entry(field.name)
                    .or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(entries) = slot {
                    entries.insert(key, value);
                }
                return Ok(());
            }
            ProtobufType::Message(inner) if !field.is_repeated => {
                let bytes = self.bytes(wire_value)?;
                let slot = map
                    .entry(field.name)
                    .or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(inside) = slot {
                    self.merge_message(inner, bytes, inside)?;
                }
                return Ok(());
            }
            _ => {}
        }
        let value = self.read_value(&field.field_type, wire_value)?;
        if field.is_repeated {
            let slot = map
                .entry(field.name)
                .or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(items) = slot {
                items.push(value.unwrap_or_default());
            }
            return Ok(());
        }
        // Go encodes empty fields too, unless they are pointers.
        match value.filter(|value| field.is_pointer || !is_empty(value)) {
            Some(value) => map.insert(field.name.to_owned(), value),
            None => map.remove(field.name),
        };
        Ok(())
    }

    /// Decodes a value; `None` for a time that is not set.
    fn read_value(
        &mut self,
        kind: &'static ProtobufType,
        wire_value: WireValue<'_>,
    ) -> Result<Option<Value>, ProtobufError> {
        Ok(Some(match kind {
            ProtobufType::Text => self.text(wire_value)?.into(),
            ProtobufType::Bytes => STANDARD.encode(self.bytes(wire_value)?).into(),
            ProtobufType::Bool => (self.varint(wire_value)? != 0).into(),
            ProtobufType::Int64 => self.varint(wire_value)?.cast_signed().into(),
            // Negative numbers have 64 bits in the wire format.
            ProtobufType::Int32 => i32::try_from(self.varint(wire_value)?.cast_signed())
                .map_err(|_| self.fail(FieldDecodeError::NumberRange))?
                .into(),
            ProtobufType::Time | ProtobufType::MicroTime => {
                return self.timestamp(kind, wire_value);
            }
            ProtobufType::Message(inner) => {
                let bytes = self.bytes(wire_value)?;
                let mut map = Map::new();
                self.merge_message(inner, bytes, &mut map)?;
                Value::Object(map)
            }
            ProtobufType::List(inner) => {
                let bytes = self.bytes(wire_value)?;
                let mut map = Map::new();
                self.merge_message(inner, bytes, &mut map)?;
                map.remove("items")
                    .unwrap_or_else(|| Vec::<Value>::new().into())
            }
            ProtobufType::Double => match wire_value {
                WireValue::Fixed64(bits) => crate::json::number_from_f64(f64::from_bits(bits)),
                other => return Err(self.fail(FieldDecodeError::NotFixed(other.name()))),
            },
            ProtobufType::Choice(inner) => {
                let bytes = self.bytes(wire_value)?;
                let mut map = Map::new();
                self.merge_message(inner, bytes, &mut map)?;
                chosen_value(inner, map)
            }
            ProtobufType::Json => {
                let bytes = self.bytes(wire_value)?;
                let raw = self.raw_json(bytes)?;
                crate::json::parse(raw)
                    .map_err(|error| self.fail(error))?
                    .value
            }
            ProtobufType::Skip => return Ok(None),
            // Handled by `merge_field`, since a map is always a field.
            ProtobufType::Map(_) => return Err(self.fail(FieldDecodeError::RepeatedMap)),
        }))
    }

    /// Returns the bytes of a message that holds JSON in its only field.
    fn raw_json<'b>(&self, mut rest: &'b [u8]) -> Result<&'b [u8], ProtobufError> {
        let mut raw: &[u8] = b"null";
        while let Some((number, wire_value)) = self.next_field(&mut rest)? {
            if number == 1 {
                raw = self.bytes(wire_value)?;
            }
        }
        Ok(raw)
    }

    /// Decodes an entry of a map: a message with the key as field 1 and the value
    /// as field 2.
    fn map_entry(
        &mut self,
        values: &'static ProtobufType,
        wire_value: WireValue<'_>,
    ) -> Result<(String, Value), ProtobufError> {
        let mut rest = self.bytes(wire_value)?;
        let (mut key, mut value) = (String::new(), None);
        while let Some((number, wire_value)) = self.next_field(&mut rest)? {
            match number {
                1 => key = self.text(wire_value)?,
                2 => {
                    self.path.push(Cow::Owned(shortened_key(&key)));
                    self.spend(key.len())?;
                    value = self.read_value(values, wire_value)?;
                    self.path.pop();
                }
                _ => {}
            }
        }
        let empty = || match values {
            ProtobufType::List(_) => Value::Array(Vec::new()),
            _ => Value::String(String::new()),
        };
        Ok((key, value.unwrap_or_else(empty)))
    }

    fn timestamp(
        &mut self,
        kind: &ProtobufType,
        wire_value: WireValue<'_>,
    ) -> Result<Option<Value>, ProtobufError> {
        let mut rest = self.bytes(wire_value)?;
        let (mut seconds, mut nanos) = (0_i64, 0_i32);
        while let Some((number, wire_value)) = self.next_field(&mut rest)? {
            match number {
                1 => seconds = self.varint(wire_value)?.cast_signed(),
                2 => {
                    nanos = i32::try_from(self.varint(wire_value)?.cast_signed())
                        .map_err(|_| self.fail(FieldDecodeError::NanosecondRange))?;
                }
                _ => {}
            }
        }
        if (seconds, nanos) == (0, 0) {
            return Ok(None);
        }
        let time =
            Timestamp::new(seconds, nanos).map_err(|_| self.fail(FieldDecodeError::TimeRange))?;
        let text = match kind {
            ProtobufType::MicroTime => timestamp::rfc3339_micros(time),
            _ => timestamp::rfc3339_seconds(time),
        };
        Ok(Some(text.into()))
    }

    fn bytes<'b>(&self, wire_value: WireValue<'b>) -> Result<&'b [u8], ProtobufError> {
        match wire_value {
            WireValue::Bytes(bytes) => Ok(bytes),
            other => Err(self.fail(FieldDecodeError::NotBytes(other.name()))),
        }
    }

    fn varint(&self, wire_value: WireValue<'_>) -> Result<u64, ProtobufError> {
        match wire_value {
            WireValue::Varint(number) => Ok(number),
            other => Err(self.fail(FieldDecodeError::NotVarint(other.name()))),
        }
    }

    fn text(&self, wire_value: WireValue<'_>) -> Result<String, ProtobufError> {
        let bytes = self.bytes(wire_value)?;
        let text = std::str::from_utf8(bytes).map_err(|_| self.fail(FieldDecodeError::Encoding))?;
        Ok(text.to_owned())
    }
}

/// Returns the value of a choice: an object or a list rather than a boolean, which
/// accompanies them.
fn chosen_value(message: &MessageDescriptor, mut map: Map<String, Value>) -> Value {
    let mut chosen = None;
    for field in message.fields {
        let value = map.remove(field.name);
        if chosen.is_none() || value.as_ref().is_some_and(|value| !value.is_boolean()) {
            chosen = value.or(chosen);
        }
    }
    // Go leaves out what is false or has no items.
    let has_flag = |field: &FieldDescriptor| matches!(field.field_type, ProtobufType::Bool);
    chosen.unwrap_or_else(|| {
        if message.fields.iter().any(has_flag) {
            Value::Bool(false)
        } else {
            Value::Array(Vec::new())
        }
    })
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

/// Returns a map's key as it is shown in errors.
fn shortened_key(key: &str) -> String {
    /// Enough to tell one key from another.
    const MAX_CHARS: usize = 64;
    key.chars().take(MAX_CHARS).collect()
}
