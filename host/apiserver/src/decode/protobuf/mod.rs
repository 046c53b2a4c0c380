//! Protobuf bodies of the built-in kinds: the bytes `k8s\0`, then the envelope
//! `runtime.Unknown` around the message that it names, decoded directly into the
//! JSON value of every other body.
//!
//! Written by hand, with the messages as tables (`messages`): code generators
//! (`prost`, `protobuf`) return typed structures that a second set of rules would
//! have to turn into the same JSON, cannot count what a body expands to while they
//! decode, and add a build step. The crates with Kubernetes' messages bring hundreds
//! of them for the dozen that clients send here. The wire format itself is a varint,
//! a length, and four or eight bytes.

mod messages;
mod reader;
mod wire;

use serde_json::Value;

use self::messages::{ENVELOPE, MessageDescriptor};
use self::reader::{FieldDecodeError, MessageReader};
use super::DecodedBody;

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

#[cfg(test)]
mod tests;
