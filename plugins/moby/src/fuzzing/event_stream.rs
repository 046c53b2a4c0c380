//! The stream of events.

use serde::de::IgnoredAny;
use serde_json::Value;

use super::PiecePlan;
use crate::event::{ChangeEvent, EventDecoder, MAX_LINE_BYTES};

/// The choice that puts a line which is too long before a short stream.
const WITH_LONG_LINE: u8 = 0xff;
const MAX_SHORT_STREAM: usize = 64;

/// - However a stream is divided, it has the same changes.
/// - Each line has its own changes, whatever the others are.
/// - A line that is no event is a change of anything, and the objects of an event
///   are those that it names.
/// - No more than one line is buffered, of limited length.
pub fn event_stream(data: &[u8]) {
    let Some((choice, plan, body)) = PiecePlan::split(data) else {
        return;
    };
    let mut long_line = Vec::new();
    if choice == WITH_LONG_LINE && body.len() <= MAX_SHORT_STREAM {
        long_line.resize(MAX_LINE_BYTES, b'x');
    }
    let stream = [&long_line, body].concat();
    let whole = decode(std::iter::once(&*stream));
    let pieces = std::iter::once(&*long_line).chain(plan.pieces(body));
    assert_eq!(decode(pieces), whole);
    let mut of_lines = Vec::new();
    // What follows the last newline is not complete.
    for line in stream.split_inclusive(|byte| *byte == b'\n') {
        let changes = decode(std::iter::once(line));
        check_line(line, &changes);
        of_lines.extend(changes);
    }
    assert_eq!(of_lines, whole);
}

fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<ChangeEvent> {
    let mut decoder = EventDecoder::default();
    let mut changes = Vec::new();
    for piece in pieces {
        decoder.push(piece, |change| changes.push(change));
        assert!(decoder.buffered_bytes() <= MAX_LINE_BYTES);
    }
    changes
}

fn check_line(line: &[u8], changes: &[ChangeEvent]) {
    let Some(content) = line.strip_suffix(b"\n") else {
        assert!(changes.is_empty(), "the line is not complete");
        return;
    };
    let content = content.trim_ascii();
    let content = content.strip_prefix(b"\x1e").unwrap_or(content);
    if content.is_empty() {
        assert!(changes.is_empty());
        return;
    }
    let is_json = serde_json::from_slice::<IgnoredAny>(content).is_ok();
    if !is_json || content.len() > MAX_LINE_BYTES {
        assert_eq!(changes, [ChangeEvent::Anything]);
        return;
    }
    // A value that is not needed may be one that `Value` does not have.
    let Ok(value) = serde_json::from_slice::<Value>(content) else {
        return;
    };
    if !value.is_array() && !value.get("Type").is_some_and(Value::is_string) {
        assert_eq!(changes, [ChangeEvent::Anything]);
    }
    assert!(changes.len() <= 2, "{changes:?}");
    for change in changes {
        let (ChangeEvent::Container(id)
        | ChangeEvent::ContainerRemoved(id)
        | ChangeEvent::Volume(id)
        | ChangeEvent::VolumeRemoved(id)) = change
        else {
            continue;
        };
        assert!(has_text(&value, id), "{value} does not name {id:?}");
    }
}

fn has_text(value: &Value, text: &str) -> bool {
    match value {
        Value::String(it) => it == text,
        Value::Array(list) => list.iter().any(|it| has_text(it, text)),
        Value::Object(members) => members.values().any(|it| has_text(it, text)),
        _ => false,
    }
}
