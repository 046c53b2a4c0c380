//! Protobuf bodies of the built-in kinds: the bytes `k8s\0`, then the envelope
//! `runtime.Unknown` around the message that it names. Requests are decoded into,
//! and responses encoded from, the JSON value of every other body.
//!
//! Written by hand, with the messages as tables (`messages`) that serve both
//! directions: code generators (`prost`, `protobuf`) return typed structures that a
//! second set of rules would have to turn into the same JSON, cannot count what a
//! body expands to while they decode, and add a build step. The crates with
//! Kubernetes' messages bring hundreds of them for the twenty that are served here. The wire format itself is a varint,
//! a length, and four or eight bytes.

mod field_order;
mod messages;
mod reader;
mod wire;
mod writer;

use serde_json::Value;

pub(crate) use self::field_order::OrderedDocument;
use self::messages::{ENVELOPE, LIST_META, MessageDescriptor};
use self::reader::{FieldDecodeError, MessageReader};
use crate::json::DecodedBody;

/// The first bytes of every body.
const MAGIC: &[u8] = b"k8s\0";

/// Returns whether a kind has a message; `DeleteOptions` has one in any version.
pub(crate) fn has_message(api_version: &str, kind: &str) -> bool {
    messages::find(api_version, kind).is_some()
}

/// A protobuf body that cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProtobufError {
    /// It has no magic number.
    #[error("it does not begin with the four bytes \"k8s\\0\"")]
    Magic,
    /// Its envelope has an encoding that is not supported.
    #[error("{field} {value:?} of the envelope is not known")]
    Encoding { field: &'static str, value: String },
    /// Its envelope names a kind without a message.
    #[error("no kind {kind:?} of version {api_version:?} can be read")]
    Kind { kind: String, api_version: String },
    /// A field has an invalid value.
    #[error("{path}: {reason}")]
    Field {
        path: String,
        reason: FieldDecodeError,
    },
}

/// Decodes a body as the object that its envelope names.
///
/// # Errors
/// See [`ProtobufError`].
pub(crate) fn parse(body: &[u8]) -> Result<DecodedBody, ProtobufError> {
    let envelope = body.strip_prefix(MAGIC).ok_or(ProtobufError::Magic)?;
    let mut reader = MessageReader::default();
    let envelope = reader.read_envelope(&ENVELOPE, envelope)?;
    for (field, value) in [
        ("contentEncoding", envelope.content_encoding),
        ("contentType", envelope.content_type),
    ] {
        if !value.is_empty() {
            return Err(ProtobufError::Encoding { field, value });
        }
    }
    let (api_version, kind) = (envelope.api_version, envelope.kind);
    let message: &MessageDescriptor =
        messages::find(&api_version, &kind).ok_or_else(|| ProtobufError::Kind {
            kind: kind.clone(),
            api_version: api_version.clone(),
        })?;
    let mut value = reader.read_message(message, envelope.raw)?;
    if let Value::Object(map) = &mut value {
        map.insert("apiVersion".to_owned(), api_version.into());
        map.insert("kind".to_owned(), kind.into());
    }
    Ok(DecodedBody {
        value,
        duplicates: Vec::new(),
    })
}

/// Returns the message of a document, and whether the document is a list of it.
fn document_message(document: &Value) -> Option<(&'static MessageDescriptor, bool)> {
    let (api_version, kind) = type_meta(document);
    if let Some(message) = messages::find(api_version, kind) {
        return Some((message, false));
    }
    let message = messages::find(api_version, kind.strip_suffix("List")?)?;
    Some((message, true))
}

/// Returns `apiVersion` and `kind`. Some discovery documents have only the kind.
fn type_meta(document: &Value) -> (&str, &str) {
    let text = |key: &str| document.get(key).and_then(Value::as_str);
    (
        text("apiVersion").unwrap_or("v1"),
        text("kind").unwrap_or_default(),
    )
}

/// Encodes a document in its envelope; `None` if its kind has no message.
pub(crate) fn encode(document: &Value) -> Option<Vec<u8>> {
    let (message, is_list) = document_message(document)?;
    let mut raw = Vec::new();
    if is_list {
        write_list(&mut raw, message, document);
    } else {
        writer::write_message(&mut raw, message, document);
    }
    let (api_version, kind) = type_meta(document);
    let mut type_meta = Vec::new();
    wire::put_bytes(&mut type_meta, 1, api_version.as_bytes());
    wire::put_bytes(&mut type_meta, 2, kind.as_bytes());
    let mut out = Vec::with_capacity(MAGIC.len() + type_meta.len() + raw.len() + 16);
    out.extend_from_slice(MAGIC);
    wire::put_bytes(&mut out, 1, &type_meta);
    wire::put_bytes(&mut out, 2, &raw);
    // Go writes the empty content encoding and content type, too.
    wire::put_bytes(&mut out, 3, b"");
    wire::put_bytes(&mut out, 4, b"");
    Some(out)
}

/// Writes a list; all lists have the same two fields.
fn write_list(out: &mut Vec<u8>, message: &MessageDescriptor, list: &Value) {
    let mut bytes = Vec::new();
    if let Some(metadata) = list.get("metadata") {
        writer::write_message(&mut bytes, &LIST_META, metadata);
    }
    wire::put_bytes(out, 1, &bytes);
    let items = list.get("items").and_then(Value::as_array);
    for item in items.into_iter().flatten() {
        bytes.clear();
        writer::write_message(&mut bytes, message, item);
        wire::put_bytes(out, 2, &bytes);
    }
}

/// Returns an empty document of OpenAPI version 2, as `gnostic` encodes it: its version,
/// its title, and no paths.
pub(crate) fn empty_openapi_v2() -> Vec<u8> {
    let mut info = Vec::new();
    wire::put_bytes(&mut info, 1, b"Kubernetes");
    wire::put_bytes(&mut info, 2, b"unversioned");
    let mut document = Vec::new();
    wire::put_bytes(&mut document, 1, b"2.0");
    wire::put_bytes(&mut document, 2, &info);
    document
}

/// Encodes an event of a watch: its length in four bytes, then the message
/// `WatchEvent` with the object in its envelope. `None` if the object's kind has no
/// message.
pub(crate) fn encode_watch_event(kind: &str, object: &Value) -> Option<Vec<u8>> {
    let mut raw_extension = Vec::new();
    wire::put_bytes(&mut raw_extension, 1, &encode(object)?);
    let mut event = Vec::new();
    wire::put_bytes(&mut event, 1, kind.as_bytes());
    wire::put_bytes(&mut event, 2, &raw_extension);
    let length = u32::try_from(event.len()).ok()?;
    let mut out = Vec::with_capacity(4 + event.len());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&event);
    Some(out)
}

#[cfg(test)]
mod tests;
