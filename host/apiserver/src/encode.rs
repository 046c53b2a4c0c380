//! JSON as Go encodes it: `<`, `>`, and `&` are escaped, exponents have a sign, and
//! whole floating-point numbers have no fraction.

use std::io;

use bytes::Bytes;
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};
use serde_json::{Map, Value};

use crate::protobuf::OrderedDocument;

/// Floating-point numbers below or from these magnitudes have an exponent.
const EXPONENT_FROM: f64 = 1e21;
const EXPONENT_BELOW: f64 = 1e-6;

fn write_float<W: ?Sized + io::Write>(writer: &mut W, value: f64) -> io::Result<()> {
    let magnitude = value.abs();
    if magnitude != 0.0 && !(EXPONENT_BELOW..EXPONENT_FROM).contains(&magnitude) {
        let text = format!("{value:e}");
        let text = match text.split_once('e') {
            Some((mantissa, exponent)) if !exponent.starts_with('-') => {
                format!("{mantissa}e+{exponent}")
            }
            _ => text,
        };
        return writer.write_all(text.as_bytes());
    }
    write!(writer, "{value}")
}

fn write_fragment<W: ?Sized + io::Write>(writer: &mut W, fragment: &str) -> io::Result<()> {
    let bytes = fragment.as_bytes();
    let mut start = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let (escape, length): (&[u8], usize) = match byte {
            b'<' => (b"\\u003c", 1),
            b'>' => (b"\\u003e", 1),
            b'&' => (b"\\u0026", 1),
            0xE2 => match bytes.get(at..at + 3) {
                Some([0xE2, 0x80, 0xA8]) => (b"\\u2028", 3),
                Some([0xE2, 0x80, 0xA9]) => (b"\\u2029", 3),
                _ => continue,
            },
            _ => continue,
        };
        writer.write_all(bytes.get(start..at).unwrap_or_default())?;
        writer.write_all(escape)?;
        start = at + length;
    }
    writer.write_all(bytes.get(start..).unwrap_or_default())
}

#[derive(Clone, Debug)]
struct CompactFormatter;

impl Formatter for CompactFormatter {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        write_float(writer, value)
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        write_fragment(writer, fragment)
    }
}

struct IndentedFormatter(PrettyFormatter<'static>);

impl Formatter for IndentedFormatter {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        write_float(writer, value)
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        write_fragment(writer, fragment)
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

/// Appends a value as compact JSON.
pub(crate) fn write(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    let mut serializer = Serializer::with_formatter(out, CompactFormatter);
    if let Err(error) = value.serialize(&mut serializer) {
        // Unreachable: maps have texts as keys, and writing to memory does not fail.
        tracing::error!(%error, "cannot encode a value as JSON");
    }
}

/// Encodes a document as compact JSON.
pub(crate) fn to_vec(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    write(&mut out, &OrderedDocument(value));
    out
}

/// Encodes a document as indented JSON.
pub(crate) fn to_pretty(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    let formatter = IndentedFormatter(PrettyFormatter::with_indent(b"  "));
    let mut serializer = Serializer::with_formatter(&mut out, formatter);
    if let Err(error) = OrderedDocument(value).serialize(&mut serializer) {
        tracing::error!(%error, "cannot encode a value as JSON");
    }
    out
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
    write(out, key);
    out.push(b':');
    write(out, value);
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
