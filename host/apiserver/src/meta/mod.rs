//! `metadata` of objects: access, generated names, decoding, and validation.

pub(crate) mod object_meta;
pub(crate) mod validate;

use serde_json::{Map, Value};

/// Finalizer of an object whose dependents must be orphaned.
pub(crate) const ORPHAN: &str = "orphan";
/// Finalizer of an object that is removed after its dependents.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";

/// Characters of a generated suffix. Without vowels it never spells a word.
const SUFFIX_CHARACTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// Length of a generated suffix.
const SUFFIX_LENGTH: usize = 5;
/// The maximum length of a prefix, so that a generated name has at most 63 bytes.
const PREFIX_MAX_BYTES: usize = 63 - SUFFIX_LENGTH;

/// Passes the metadata to `change`, after creating it if it is missing.
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

/// Returns a text field of the metadata; empty if it is absent.
pub(crate) fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object
        .get("metadata")
        .and_then(|meta| meta.get(key))
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Sets a text field of the metadata; an empty text removes it.
pub(crate) fn set(object: &mut Value, key: &str, value: &str) {
    edit(object, |meta| {
        if value.is_empty() {
            meta.remove(key);
        } else {
            meta.insert(key.to_owned(), value.into());
        }
    });
}

/// Returns the finalizers of an object.
pub(crate) fn finalizers(object: &Value) -> Vec<&str> {
    validate::string_items(object.pointer("/metadata/finalizers"))
}

/// Returns whether an object is terminating.
pub(crate) fn is_terminating(object: &Value) -> bool {
    object
        .pointer("/metadata/deletionTimestamp")
        .is_some_and(|time| !time.is_null())
}

/// Returns the generation; 0 for kinds without one.
pub(crate) fn generation(object: &Value) -> i64 {
    object
        .pointer("/metadata/generation")
        .and_then(Value::as_i64)
        .unwrap_or_default()
}

/// Returns a name of `prefix` and five random characters.
pub(crate) fn generate_name(prefix: &str) -> String {
    let end = prefix.floor_char_boundary(PREFIX_MAX_BYTES);
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

/// Removes empty fields of the metadata, which clients may send and the server
/// does not store: nulls, zeros, and empty texts, lists, and maps.
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

/// Returns whether there are finalizers in `spec`, which only namespaces have.
pub(crate) fn has_spec_finalizers(object: &Value) -> bool {
    object
        .pointer("/spec/finalizers")
        .and_then(Value::as_array)
        .is_some_and(|finalizers| !finalizers.is_empty())
}

/// Sets a top-level field; `None` removes it.
pub(crate) fn set_field(object: &mut Value, key: &str, value: Option<Value>) {
    if let Some(root) = object.as_object_mut() {
        match value {
            Some(value) => {
                root.insert(key.to_owned(), value);
            }
            None => {
                root.remove(key);
            }
        }
    }
}

/// Marks an object as terminating.
pub(crate) fn mark_terminating(object: &mut Value, now: &str, has_grace_period: bool) {
    let generation = generation(object);
    edit(object, |meta| {
        meta.insert("deletionTimestamp".to_owned(), now.into());
        if has_grace_period {
            meta.insert("deletionGracePeriodSeconds".to_owned(), 0.into());
        }
        if generation > 0 {
            meta.insert("generation".to_owned(), (generation + 1).into());
        }
    });
}
