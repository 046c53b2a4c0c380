//! JSON with the fields of built-in documents in the order of Go's structures, which
//! the tables of messages have. Clients that print a response as it is show it.

use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};
use serde_json::{Map, Value};

use super::document_message;
use super::messages::{LIST_META, MessageDescriptor, ProtobufType};

/// A document with its type first, and then its fields in Go's order as far as they
/// are known.
pub(crate) struct OrderedDocument<'v>(pub(crate) &'v Value);

impl Serialize for OrderedDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// The first fields, in this order. Readers look at the beginning only.
        const FIRST: [&str; 3] = ["kind", "apiVersion", "metadata"];
        let Value::Object(map) = self.0 else {
            return self.0.serialize(serializer);
        };
        let mut out = serializer.serialize_map(Some(map.len()))?;
        let message = document_message(self.0);
        for name in FIRST {
            if let Some(value) = map.get(name) {
                match message {
                    Some((_, true)) if name == "metadata" => {
                        out.serialize_entry(name, &OrderedMessage(value, &LIST_META))?;
                    }
                    Some((message, false)) => {
                        out.serialize_entry(name, &field_of(message, name, value))?;
                    }
                    _ => out.serialize_entry(name, value)?,
                }
            }
        }
        let rest = |name: &str| !FIRST.contains(&name);
        match message {
            Some((message, false)) => write_fields(&mut out, message, map, rest)?,
            message => {
                for (name, value) in map.iter().filter(|(name, _)| rest(name)) {
                    match (message, value) {
                        (Some((message, _)), Value::Array(items)) if name == "items" => {
                            out.serialize_entry(name, &OrderedList(items, message))?;
                        }
                        _ => out.serialize_entry(name, value)?,
                    }
                }
            }
        }
        out.end()
    }
}

/// Writes the fields of a message that `selects`, in its order, then all others.
fn write_fields<M: serde::ser::SerializeMap>(
    out: &mut M,
    message: &'static MessageDescriptor,
    map: &Map<String, Value>,
    selects: impl Fn(&str) -> bool,
) -> Result<(), M::Error> {
    for field in message.fields {
        if let Some(value) = map.get(field.name).filter(|_| selects(field.name)) {
            out.serialize_entry(field.name, &OrderedField(value, Some(&field.field_type)))?;
        }
    }
    for (name, value) in map {
        if selects(name) && !message.fields.iter().any(|field| field.name == name) {
            out.serialize_entry(name, value)?;
        }
    }
    Ok(())
}

fn field_of<'v>(
    message: &'static MessageDescriptor,
    name: &str,
    value: &'v Value,
) -> OrderedField<'v> {
    let field = message.fields.iter().find(|field| field.name == name);
    OrderedField(value, field.map(|field| &field.field_type))
}

struct OrderedMessage<'v>(&'v Value, &'static MessageDescriptor);

impl Serialize for OrderedMessage<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Value::Object(map) = self.0 else {
            return self.0.serialize(serializer);
        };
        let mut out = serializer.serialize_map(Some(map.len()))?;
        write_fields(&mut out, self.1, map, |_| true)?;
        out.end()
    }
}

struct OrderedList<'v>(&'v [Value], &'static MessageDescriptor);

impl Serialize for OrderedList<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_seq(Some(self.0.len()))?;
        for item in self.0 {
            out.serialize_element(&OrderedMessage(item, self.1))?;
        }
        out.end()
    }
}

struct OrderedField<'v>(&'v Value, Option<&'static ProtobufType>);

impl Serialize for OrderedField<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.1, self.0) {
            (Some(ProtobufType::Message(message)), Value::Object(_)) => {
                OrderedMessage(self.0, message).serialize(serializer)
            }
            (Some(ProtobufType::Message(message)), Value::Array(items)) => {
                OrderedList(items, message).serialize(serializer)
            }
            (Some(ProtobufType::Choice(choice)), Value::Object(_) | Value::Array(_)) => {
                let inner = choice.fields.iter().map(|field| &field.field_type);
                let message = inner
                    .into_iter()
                    .find(|inner| matches!(inner, ProtobufType::Message(_)));
                OrderedField(self.0, message).serialize(serializer)
            }
            (Some(ProtobufType::Map(values)), Value::Object(map)) => serializer.collect_map(
                map.iter()
                    .map(|(name, value)| (name, OrderedField(value, Some(values)))),
            ),
            _ => self.0.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(document: &Value) -> String {
        serde_json::to_string(&OrderedDocument(document)).unwrap()
    }

    #[test]
    fn fields_are_in_the_order_of_go() {
        let group = json!({"apiVersion": "v1", "kind": "APIGroup", "name": "g", "preferredVersion": {"version": "v1", "groupVersion": "g/v1"}, "versions": []});
        assert_eq!(
            text(&group),
            r#"{"kind":"APIGroup","apiVersion":"v1","name":"g","versions":[],"preferredVersion":{"groupVersion":"g/v1","version":"v1"}}"#
        );
        let list = json!({"apiVersion": "v1", "kind": "ConfigMapList", "items": [{"data": {"b": "", "a": ""}, "immutable": true, "metadata": {"labels": {}, "uid": "u", "name": "n"}}], "metadata": {"remainingItemCount": 1, "continue": "x"}});
        assert_eq!(
            text(&list),
            r#"{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"continue":"x","remainingItemCount":1},"items":[{"metadata":{"name":"n","uid":"u","labels":{}},"immutable":true,"data":{"a":"","b":""}}]}"#
        );
    }

    #[test]
    fn unknown_documents_and_fields_are_kept() {
        let table =
            json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "rows": [], "metadata": {}});
        assert_eq!(
            text(&table),
            r#"{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{},"rows":[]}"#
        );
        let status = json!({"kind": "Status", "apiVersion": "v1", "zzz": 1, "code": 404, "status": "Failure"});
        assert_eq!(
            text(&status),
            r#"{"kind":"Status","apiVersion":"v1","status":"Failure","code":404,"zzz":1}"#
        );
        assert_eq!(text(&json!([1])), "[1]");
    }
}
