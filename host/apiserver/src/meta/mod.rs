//! `metadata`: what the server fills in, what it keeps, and what it refuses.

pub(crate) mod object_meta;
pub(crate) mod validate;

use serde_json::{Map, Value};

/// Finalizer of a delete that must leave dependents alone.
pub(crate) const ORPHAN: &str = "orphan";
/// Finalizer of a delete that waits for dependents.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";

/// Characters of generated names: no vowels, so that no words arise.
const SUFFIX_CHARACTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// Length of what `generateName` appends.
const SUFFIX_LENGTH: usize = 5;
/// Longest prefix that keeps a generated name within 63 characters.
const PREFIX_MAX: usize = 63 - SUFFIX_LENGTH;

/// Gives the metadata object, made when it is missing, to `change`.
pub(crate) fn edit(object: &mut Value, change: impl FnOnce(&mut Map<String, Value>)) {
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let Some(root) = object.as_object_mut() else {
        return;
    };
    let meta = root
        .entry("metadata")
        .or_insert_with(|| Value::Object(Map::new()));
    if !meta.is_object() {
        *meta = Value::Object(Map::new());
    }
    if let Some(meta) = meta.as_object_mut() {
        change(meta);
    }
}

/// A text field of metadata, empty when absent.
pub(crate) fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object
        .get("metadata")
        .and_then(|meta| meta.get(key))
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Sets a text field of metadata; empty removes it.
pub(crate) fn set(object: &mut Value, key: &str, value: &str) {
    edit(object, |meta| {
        if value.is_empty() {
            meta.remove(key);
        } else {
            meta.insert(key.to_owned(), value.into());
        }
    });
}

/// The finalizers of an object.
pub(crate) fn finalizers(object: &Value) -> Vec<&str> {
    validate::string_items(object.pointer("/metadata/finalizers"))
}

/// Whether a delete is under way.
pub(crate) fn is_terminating(object: &Value) -> bool {
    object
        .pointer("/metadata/deletionTimestamp")
        .is_some_and(|time| !time.is_null())
}

/// The generation, zero when the kind has none.
pub(crate) fn generation(object: &Value) -> i64 {
    object
        .pointer("/metadata/generation")
        .and_then(Value::as_i64)
        .unwrap_or_default()
}

/// A name of `prefix` and five random characters.
pub(crate) fn generate_name(prefix: &str) -> String {
    let mut end = prefix.len().min(PREFIX_MAX);
    while !prefix.is_char_boundary(end) {
        end -= 1;
    }
    let mut name = prefix.get(..end).unwrap_or_default().to_owned();
    let random = uuid::Uuid::new_v4();
    for byte in random.as_bytes().iter().take(SUFFIX_LENGTH) {
        let index = usize::from(*byte) % SUFFIX_CHARACTERS.len();
        if let Some(&character) = SUFFIX_CHARACTERS.get(index) {
            name.push(char::from(character));
        }
    }
    name
}

/// Removes what clients send empty and the server does not keep: empty maps
/// and lists of metadata, empty texts, nulls.
pub(crate) fn drop_empty_fields(object: &mut Value) {
    edit(object, |meta| {
        meta.retain(|key, value| match value {
            Value::Null => false,
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Object(map) => !map.is_empty(),
            Value::Number(number) => {
                key == "deletionGracePeriodSeconds" || number.as_i64() != Some(0)
            }
            Value::Bool(_) => true,
        });
    });
}
