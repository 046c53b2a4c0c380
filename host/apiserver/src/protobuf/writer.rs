//! Encodes JSON as the bytes of a message by its descriptor.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::Value;

use super::messages::{FieldDescriptor, MessageDescriptor, ProtobufType};
use super::wire;

/// Appends the fields of a message, in the order of their numbers. A value of
/// another type than its field's is left out: stored objects have none.
pub(super) fn write_message(out: &mut Vec<u8>, message: &MessageDescriptor, value: &Value) {
    let Some(map) = value.as_object() else {
        return;
    };
    let mut present: Vec<(&FieldDescriptor, &Value)> = message
        .fields
        .iter()
        .filter_map(|field| Some((field, map.get(field.name)?)))
        .filter(|(_, value)| !value.is_null())
        .collect();
    present.sort_by_key(|(field, _)| field.number);
    for (field, value) in present {
        write_field(out, field, value);
    }
}

fn write_field(out: &mut Vec<u8>, field: &FieldDescriptor, value: &Value) {
    if let ProtobufType::Map(values) = field.field_type {
        for (key, value) in value.as_object().into_iter().flatten() {
            let mut entry = Vec::new();
            wire::put_bytes(&mut entry, 1, key.as_bytes());
            write_value(&mut entry, 2, values, value);
            wire::put_bytes(out, field.number, &entry);
        }
        return;
    }
    if !field.is_repeated {
        write_value(out, field.number, &field.field_type, value);
        return;
    }
    for item in value.as_array().into_iter().flatten() {
        write_value(out, field.number, &field.field_type, item);
    }
}

fn write_value(out: &mut Vec<u8>, number: u32, kind: &ProtobufType, value: &Value) {
    match kind {
        ProtobufType::Text => {
            if let Some(text) = value.as_str() {
                wire::put_bytes(out, number, text.as_bytes());
            }
        }
        ProtobufType::Bytes => {
            if let Some(bytes) = value.as_str().and_then(|text| STANDARD.decode(text).ok()) {
                wire::put_bytes(out, number, &bytes);
            }
        }
        ProtobufType::Bool => {
            if let Some(flag) = value.as_bool() {
                wire::put_varint_field(out, number, u64::from(flag));
            }
        }
        ProtobufType::Int32 | ProtobufType::Int64 => {
            if let Some(integer) = value.as_i64() {
                wire::put_varint_field(out, number, integer.cast_unsigned());
            }
        }
        ProtobufType::Double => {
            if let Some(float) = value.as_f64() {
                wire::put_fixed64(out, number, float.to_bits());
            }
        }
        ProtobufType::Time | ProtobufType::MicroTime => {
            if let Some(time) = value.as_str().and_then(|text| text.parse().ok()) {
                wire::put_bytes(out, number, &timestamp(time));
            }
        }
        ProtobufType::Message(inner) => {
            let mut bytes = Vec::new();
            write_message(&mut bytes, inner, value);
            wire::put_bytes(out, number, &bytes);
        }
        ProtobufType::List(inner) => {
            let mut bytes = Vec::new();
            if let Some(field) = inner.fields.first() {
                write_field(&mut bytes, field, value);
            }
            wire::put_bytes(out, number, &bytes);
        }
        ProtobufType::Choice(inner) => {
            let mut bytes = Vec::new();
            write_choice(&mut bytes, inner, value);
            wire::put_bytes(out, number, &bytes);
        }
        ProtobufType::Json => {
            let mut raw = Vec::new();
            crate::json::write(&mut raw, value);
            let mut bytes = Vec::new();
            wire::put_bytes(&mut bytes, 1, &raw);
            wire::put_bytes(out, number, &bytes);
        }
        // Handled by `write_field`, since a map is always a field.
        ProtobufType::Map(_) | ProtobufType::Skip => {}
    }
}

/// Writes the field of a choice that has the value's type.
fn write_choice(out: &mut Vec<u8>, message: &MessageDescriptor, value: &Value) {
    for field in message.fields {
        let is_chosen = match &field.field_type {
            ProtobufType::Bool if value.is_object() => {
                // A schema in place of a boolean allows what matches it.
                wire::put_varint_field(out, field.number, 1);
                continue;
            }
            ProtobufType::Bool => value.is_boolean(),
            ProtobufType::Message(_) if !field.is_repeated => value.is_object(),
            _ => value.is_array(),
        };
        if is_chosen {
            write_field(out, field, value);
        }
    }
}

/// Returns the message `Timestamp`.
fn timestamp(time: Timestamp) -> Vec<u8> {
    let (mut seconds, mut nanos) = (time.as_second(), i64::from(time.subsec_nanosecond()));
    // The fraction counts forward, also before 1970.
    if nanos < 0 {
        seconds -= 1;
        nanos += 1_000_000_000;
    }
    let mut out = Vec::new();
    wire::put_varint_field(&mut out, 1, seconds.cast_unsigned());
    wire::put_varint_field(&mut out, 2, nanos.cast_unsigned());
    out
}
