//! The ID of a request, under which other logs name it.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header with the ID.
pub(crate) const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");

/// Returns the ID of a request: the client's, or a new one. It is ASCII.
pub(crate) fn audit_id(headers: &HeaderMap) -> HeaderValue {
    /// Enough for a UUID with a prefix. It is sent back.
    const MAX_BYTES: usize = 64;
    let sent = headers
        .get(AUDIT_ID)
        .filter(|id| !id.is_empty() && id.len() <= MAX_BYTES && id.to_str().is_ok());
    sent.cloned().unwrap_or_else(|| {
        let mut buffer = uuid::Uuid::encode_buffer();
        let id = uuid::Uuid::new_v4().hyphenated().encode_lower(&mut buffer);
        HeaderValue::from_str(id).unwrap_or_else(|_| HeaderValue::from_static(""))
    })
}
