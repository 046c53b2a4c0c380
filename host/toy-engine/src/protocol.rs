//! The encoding of lines: fields with tabs between them.
//!
//! No crate serves: TSV libraries quote fields, which is more for the author of a
//! backend to implement than four escapes.

use std::fmt::Display;

use bytes::{BufMut, BytesMut};
use rdd_core::{ContainerState, ErrorCode, ObjectKind, OutputSource, TransferPhase};

/// The maximum length of a line or a request in bytes.
pub const MAX_REQUEST_BYTES: usize = 1024 * 1024;

/// The maximum length of a payload in bytes.
pub const MAX_PAYLOAD_BYTES: usize = 64 * 1024;

/// Appends a line of these fields to `buffer`.
///
/// ```
/// let mut buffer = bytes::BytesMut::new();
/// rdd_toy_engine::protocol::put_line(&mut buffer, &[&"name", &"a\tb"]);
/// assert_eq!(buffer, "name\ta\\tb\n");
/// ```
pub fn put_line(buffer: &mut BytesMut, fields: &[&dyn Display]) {
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            buffer.put_u8(b'\t');
        }
        for byte in field.to_string().bytes() {
            match byte {
                b'\\' => buffer.put_slice(br"\\"),
                b'\t' => buffer.put_slice(br"\t"),
                b'\n' => buffer.put_slice(br"\n"),
                b'\r' => buffer.put_slice(br"\r"),
                byte => buffer.put_u8(byte),
            }
        }
    }
    buffer.put_u8(b'\n');
}

/// A line that does not have the format of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// The line is not UTF-8.
    #[error("a line is not UTF-8")]
    Encoding,
    /// A backslash is not followed by the letter of an escape.
    #[error(r"a backslash is not followed by '\', 't', 'n', or 'r'")]
    Escape,
}

/// Splits a line, without its newline, into fields.
///
/// # Errors
///
/// Fails if the line is not UTF-8, or if an escape is not one of the protocol.
///
/// ```
/// let fields = rdd_toy_engine::protocol::parse_line(b"name\ta\\tb")?;
/// assert_eq!(fields, ["name", "a\tb"]);
/// # Ok::<(), rdd_toy_engine::protocol::LineError>(())
/// ```
pub fn parse_line(line: &[u8]) -> Result<Vec<String>, LineError> {
    let line = std::str::from_utf8(line).map_err(|_| LineError::Encoding)?;
    line.split('\t').map(unescape).collect()
}

fn unescape(field: &str) -> Result<String, LineError> {
    let mut text = String::with_capacity(field.len());
    let mut chars = field.chars();
    while let Some(char) = chars.next() {
        text.push(match char {
            '\\' => match chars.next() {
                Some('\\') => '\\',
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                _ => return Err(LineError::Escape),
            },
            char => char,
        });
    }
    Ok(text)
}

/// Returns the word for an error code.
pub(crate) fn code_word(code: &ErrorCode) -> &str {
    match code {
        ErrorCode::NotFound => "not-found",
        ErrorCode::InvalidArgument => "invalid-argument",
        ErrorCode::Conflict => "conflict",
        ErrorCode::Replaced => "replaced",
        ErrorCode::PermissionDenied => "permission-denied",
        ErrorCode::Unavailable | ErrorCode::LimitReached => "unavailable",
        ErrorCode::Unsupported => "unsupported",
        ErrorCode::Timeout => "timeout",
        _ => "internal",
    }
}

/// Returns the word for an output.
pub(crate) fn source_word(source: OutputSource) -> &'static str {
    match source {
        OutputSource::Stdout => "stdout",
        OutputSource::Stderr => "stderr",
    }
}

/// Returns the word for a kind of object.
pub(crate) fn kind_word(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Container => "container",
        ObjectKind::Image => "image",
        ObjectKind::Volume => "volume",
        ObjectKind::Namespace => "namespace",
    }
}

/// Returns the word for the state of a container.
pub(crate) fn state_word(state: ContainerState) -> &'static str {
    match state {
        ContainerState::Created => "created",
        ContainerState::Running => "running",
        ContainerState::Pausing => "pausing",
        ContainerState::Paused => "paused",
        ContainerState::Restarting => "restarting",
        ContainerState::Removing => "removing",
        ContainerState::Exited => "exited",
        ContainerState::Dead => "dead",
        ContainerState::Unknown => "unknown",
    }
}

/// Returns the word for the phase of a transfer.
pub(crate) fn phase_word(phase: TransferPhase) -> &'static str {
    match phase {
        TransferPhase::Waiting => "waiting",
        TransferPhase::Downloading => "downloading",
        TransferPhase::Verifying => "verifying",
        TransferPhase::Downloaded => "downloaded",
        TransferPhase::Extracting => "extracting",
        TransferPhase::Uploading => "uploading",
        TransferPhase::Exists => "exists",
        TransferPhase::Complete => "complete",
        TransferPhase::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_survives_a_line() {
        let fields = ["", "a\tb\\t\r\n", "\\", "ü", "\\\\n"];
        let mut buffer = BytesMut::new();
        put_line(
            &mut buffer,
            &fields
                .iter()
                .map(|field| field as &dyn Display)
                .collect::<Vec<_>>(),
        );
        let line = buffer.strip_suffix(b"\n").unwrap();
        assert!(!line.contains(&b'\n') && !line.contains(&b'\r'));
        assert_eq!(parse_line(line).unwrap(), fields);
    }

    #[test]
    fn a_malformed_line_is_rejected() {
        assert_eq!(parse_line(b"a\\x"), Err(LineError::Escape));
        assert_eq!(parse_line(b"a\\"), Err(LineError::Escape));
        assert_eq!(parse_line(b"\xff"), Err(LineError::Encoding));
    }
}
