//! Protobuf bodies of the built-in kinds: `k8s\0`, a `runtime.Unknown`
//! envelope, and in it the message that the envelope names, read straight into
//! the JSON form that every other body has.
//!
//! Written by hand, with the messages as tables (`messages`): code generators
//! (`prost`, `protobuf`) give typed structures that would have to be turned
//! into the same JSON by a second set of rules, cannot count what a body
//! expands to while they read, and add a build step; the crates with
//! Kubernetes' own messages bring hundreds of them for the dozen that clients
//! send here. What is left of the wire format is a varint, a length and
//! four bytes or eight.

mod messages;
mod reader;
mod wire;

use serde_json::Value;

use self::messages::{ENVELOPE, MessageDescriptor};
use self::reader::MessageReader;
use super::DecodedBody;

/// What every body begins with.
const MAGIC: &[u8] = b"k8s\0";

/// Whether there is a message for a kind; `DeleteOptions` go with any version.
pub(crate) fn has_message(api_version: &str, kind: &str) -> bool {
    messages::find(api_version, kind).is_some()
}

/// Reads a body as the object that its envelope names.
///
/// # Errors
/// A sentence that names the field at fault.
pub(crate) fn parse(body: &[u8]) -> Result<DecodedBody, String> {
    let envelope = body
        .strip_prefix(MAGIC)
        .ok_or("it does not begin with the four bytes \"k8s\\0\"")?;
    let mut reader = MessageReader::default();
    let envelope = reader.read_envelope(&ENVELOPE, envelope)?;
    for (name, encoding) in [
        ("contentEncoding", envelope.content_encoding),
        ("contentType", envelope.content_type),
    ] {
        if !encoding.is_empty() {
            return Err(format!("{name} {encoding:?} of the envelope is not known"));
        }
    }
    let (api_version, kind) = (envelope.api_version, envelope.kind);
    let message: &MessageDescriptor = messages::find(&api_version, &kind)
        .ok_or_else(|| format!("no kind {kind:?} of version {api_version:?} can be read"))?;
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
