//! Documents and stored objects as JSON.

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::json;
use crate::protobuf::OrderedDocument;

/// Encodes a document as compact JSON.
pub(crate) fn to_vec(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    json::write(&mut out, &OrderedDocument(value));
    out
}

/// Encodes a document as indented JSON.
pub(crate) fn to_pretty(value: &Value) -> Vec<u8> {
    json::to_pretty(&OrderedDocument(value))
}

/// An object encoded for the store, up to its `resourceVersion`, which the commit
/// determines.
pub(crate) struct EncodedObject {
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl EncodedObject {
    /// Encodes an object without its `resourceVersion`, `apiVersion`, and `kind`.
    pub(crate) fn new(object: &Value) -> Self {
        let (mut head, mut tail) = (Vec::with_capacity(1024), Vec::new());
        let empty = Map::new();
        let root = object.as_object().unwrap_or(&empty);
        head.extend_from_slice(b"{\"metadata\":{\"resourceVersion\":\"");
        tail.push(b'"');
        let metadata = root.get("metadata").and_then(Value::as_object);
        for (key, value) in metadata.into_iter().flatten() {
            if key != "resourceVersion" {
                write_member(&mut tail, true, key, value);
            }
        }
        tail.push(b'}');
        for (key, value) in root {
            if !matches!(key.as_str(), "metadata" | "apiVersion" | "kind") {
                write_member(&mut tail, true, key, value);
            }
        }
        tail.push(b'}');
        Self { head, tail }
    }

    /// Returns the number of bytes without those of the revision.
    pub(crate) fn len(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// Returns the stored bytes at a revision.
    pub(crate) fn at_revision(self, revision: u64) -> Bytes {
        let Self { mut head, tail } = self;
        head.extend_from_slice(revision.to_string().as_bytes());
        head.extend_from_slice(&tail);
        head.into()
    }
}

/// Appends a member of an object, after a comma unless it is the first one.
fn write_member(out: &mut Vec<u8>, comma: bool, key: &str, value: &Value) {
    if comma {
        out.push(b',');
    }
    json::write(out, key);
    out.push(b':');
    json::write(out, value);
}

/// Returns a stored object with `apiVersion` and `kind`, which are not stored.
pub(crate) fn with_type_meta(prefix: &[u8], stored: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(prefix.len() + stored.len());
    append_with_type_meta(&mut out, prefix, stored);
    out
}

/// Appends a stored object; `prefix` is that of [`type_meta_prefix`], or `{`.
pub(crate) fn append_with_type_meta(out: &mut Vec<u8>, prefix: &[u8], stored: &[u8]) {
    out.extend_from_slice(prefix);
    out.extend_from_slice(stored.strip_prefix(b"{").unwrap_or(stored));
}

/// Returns the prefix for [`with_type_meta`]: `{"kind":…,"apiVersion":…,`.
pub(crate) fn type_meta_prefix(api_version: &str, kind: &str) -> Vec<u8> {
    let mut out = b"{".to_vec();
    write_member(&mut out, false, "kind", &Value::from(kind));
    write_member(&mut out, true, "apiVersion", &Value::from(api_version));
    out.push(b',');
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(value: &Value) -> String {
        String::from_utf8(to_vec(value)).unwrap()
    }

    #[test]
    fn numbers_and_escapes_are_those_of_go() {
        assert_eq!(
            text(&json!([1e21, 1e-9, 0.1, 2.5, 9_007_199_254_740_993_i64])),
            "[1e+21,1e-9,0.1,2.5,9007199254740993]"
        );
        assert_eq!(
            text(&json!("ä<&>\u{2028}\"\n")),
            r#""ä\u003c\u0026\u003e\u2028\"\n""#
        );
    }

    #[test]
    fn a_stored_object_has_its_revision_and_regains_its_type() {
        let object = json!({"metadata": {"name": "a", "resourceVersion": "1"}, "data": {"k": "v"}});
        let stored = EncodedObject::new(&object).at_revision(7);
        let out = with_type_meta(&type_meta_prefix("v1", "ConfigMap"), &stored);
        let decoded: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            decoded,
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "resourceVersion": "7"}, "data": {"k": "v"}})
        );
    }
}
