//! The formats in which a log is sent: bytes, JSON, and binary entries.

mod frame_format;
pub(crate) mod messages;

use bytes::{BufMut as _, BytesMut};
use rdd_core::{GapReason, OutputChunk, OutputSource};
use serde::Serialize;
use tokio_tungstenite::tungstenite::Message;

use crate::entries::cursor::CursorScope;
use crate::entries::log_position::LogPosition;
use crate::limits;
use crate::log_reader::{EntrySelection, LogItem};
pub(crate) use frame_format::{FrameFormat, LOG_SUBPROTOCOLS};
use messages::{EntryObject, GapDescription, LogMessage, MessageTime};

/// The kinds of binary messages.
const ENTRIES: u8 = 1;
const GAP: u8 = 2;
const STOPPED: u8 = 3;
const STARTED: u8 = 4;
const END: u8 = 5;
/// The flags of a binary entry.
const STDERR: u8 = 1;
const PARTIAL: u8 = 1 << 1;
/// The bytes of a binary entry before its content.
const ENTRY_HEADER_BYTES: usize = 13;

/// An encoder of a log in the format that a client selected.
pub(crate) struct LogEncoder {
    format: FrameFormat,
    scope: CursorScope,
    /// The time of the last entry that was sent, or that of the cursor.
    last_time: Option<i64>,
}

impl LogEncoder {
    /// Creates the encoder. `last_time` is the time of the entry after which the
    /// log begins.
    pub(crate) fn new(format: FrameFormat, scope: CursorScope, last_time: Option<i64>) -> Self {
        Self {
            format,
            scope,
            last_time,
        }
    }

    /// Returns the messages for an item.
    pub(crate) fn encode(&mut self, item: &LogItem) -> Vec<Message> {
        match self.format {
            FrameFormat::Raw | FrameFormat::WithSource => match item {
                LogItem::Entries(entries) => encode_bytes(self.format, entries),
                _ => Vec::new(),
            },
            FrameFormat::Json => match item {
                LogItem::Entries(selection) => self.encode_json(selection),
                item => self.encode_typed(item).into_iter().collect(),
            },
            FrameFormat::Binary => self.encode_typed(item).into_iter().collect(),
        }
    }

    /// Encodes entries as JSON, in messages of a limited size.
    fn encode_json(&mut self, selection: &EntrySelection) -> Vec<Message> {
        self.record(selection);
        let mut messages = Vec::new();
        let (mut entries, mut bytes) = (Vec::new(), 0);
        let mut send = |entries, position: Option<&LogPosition>| {
            let cursor = self.scope.encode(position);
            let message = LogMessage::Entries { entries, cursor };
            messages.push(encode_message(self.format, ENTRIES, &message));
        };
        let numbers = selection.costs().map(|(number, _)| number);
        // Where a full message may end: where a cursor is possible.
        let mut end_of_full = None;
        for (number, entry) in numbers.zip(selection.entries()) {
            let length = EntryObject::json_bytes(entry.bytes);
            if bytes + length > limits::JSON_MESSAGE_BYTES && !entries.is_empty() {
                let known = || selection.batch.next_known(number).unwrap_or(usize::MAX);
                let end = *end_of_full.get_or_insert_with(known);
                if end <= number {
                    let position = selection.batch.position_after(end);
                    send(std::mem::take(&mut entries), position.as_ref());
                    (bytes, end_of_full) = (0, None);
                }
            }
            bytes += length;
            entries.push(EntryObject::from(entry));
        }
        if !entries.is_empty() {
            send(entries, selection.end().as_ref());
        }
        messages
    }

    fn encode_typed(&mut self, item: &LogItem) -> Option<Message> {
        let is_binary = self.format == FrameFormat::Binary;
        let (kind, message) = match item {
            LogItem::Entries(selection) => {
                let last = selection.last_time()?;
                self.last_time = Some(last);
                let cursor = self.scope.encode(selection.end().as_ref());
                let mut bytes = BytesMut::with_capacity(selection.wire_bytes());
                bytes.put_u8(ENTRIES);
                put_entries(&mut bytes, &cursor, selection);
                return Some(Message::Binary(bytes.freeze()));
            }
            LogItem::Position(position) => {
                let cursor = self.scope.encode(position.as_ref());
                if is_binary {
                    let mut bytes = BytesMut::new();
                    bytes.put_u8(ENTRIES);
                    put_cursor(&mut bytes, &cursor);
                    return Some(Message::Binary(bytes.freeze()));
                }
                let entries = Vec::new();
                (ENTRIES, LogMessage::Entries { entries, cursor })
            }
            LogItem::Gap { reason, before } => {
                (GAP, LogMessage::Gap(self.describe_gap(*reason, *before)))
            }
            LogItem::Stopped(run) => (STOPPED, LogMessage::stopped(*run)),
            LogItem::Started(run) => (STARTED, LogMessage::started(*run)),
            LogItem::End(reason) => (END, LogMessage::End { reason }),
        };
        Some(encode_message(self.format, kind, &message))
    }

    /// Records that these entries were sent in another form.
    pub(crate) fn record(&mut self, selection: &EntrySelection) {
        self.last_time = selection.last_time().or(self.last_time);
    }

    /// Returns the description of a gap before the entry with this time.
    pub(crate) fn describe_gap(&self, reason: GapReason, before: Option<i64>) -> GapDescription {
        GapDescription {
            after: self.last_time.map(MessageTime::from_unix_nanoseconds),
            before: before.map(MessageTime::from_unix_nanoseconds),
            reason: reason.into(),
        }
    }

    /// Returns the message that comes before the close frame, if the format has
    /// one.
    pub(crate) fn end_message(format: FrameFormat, reason: &str) -> Option<Message> {
        format
            .has_entries()
            .then(|| encode_message(format, END, &LogMessage::End { reason }))
    }
}

fn encode_message(format: FrameFormat, kind: u8, message: &LogMessage<'_>) -> Message {
    let json = to_json(message);
    if format == FrameFormat::Binary {
        // The kind stands in place of the type, which is left in the object, too.
        let mut bytes = BytesMut::with_capacity(1 + json.len());
        bytes.put_u8(kind);
        bytes.extend_from_slice(json.as_bytes());
        return Message::Binary(bytes.freeze());
    }
    Message::text(json)
}

/// Serializes a message.
pub(crate) fn to_json(message: &impl Serialize) -> String {
    // Maps with string keys and strings only, which are always valid JSON.
    serde_json::to_string(message).unwrap_or_default()
}

/// Appends a cursor and the entries in the binary form.
pub(crate) fn put_entries(bytes: &mut BytesMut, cursor: &str, selection: &EntrySelection) {
    put_cursor(bytes, cursor);
    for entry in selection.entries() {
        let mut flags = 0;
        if entry.header.source == OutputSource::Stderr {
            flags |= STDERR;
        }
        if entry.header.is_partial {
            flags |= PARTIAL;
        }
        bytes.put_i64(entry.header.time);
        bytes.put_u8(flags);
        bytes.put_u32(entry.header.length);
        bytes.extend_from_slice(entry.bytes);
    }
}

pub(crate) fn put_cursor(bytes: &mut BytesMut, cursor: &str) {
    // A cursor has at most 255 bytes.
    bytes.put_u8(u8::try_from(cursor.len()).unwrap_or_default());
    bytes.extend_from_slice(cursor.as_bytes());
}

/// Encodes a chunk of bytes.
pub(crate) fn encode_chunk(format: FrameFormat, chunk: OutputChunk) -> Message {
    Message::Binary(match format {
        FrameFormat::WithSource => {
            let mut frame = BytesMut::with_capacity(1 + chunk.bytes.len());
            frame.put_u8(source_byte(chunk.source));
            frame.extend_from_slice(&chunk.bytes);
            frame.freeze()
        }
        _ => chunk.bytes,
    })
}

fn source_byte(source: OutputSource) -> u8 {
    match source {
        OutputSource::Stdout => 1,
        OutputSource::Stderr => 2,
    }
}

/// Joins entries to the bytes of the log.
fn encode_bytes(format: FrameFormat, selection: &EntrySelection) -> Vec<Message> {
    let with_source = format == FrameFormat::WithSource;
    let mut frames = Vec::new();
    let mut bytes = BytesMut::with_capacity(selection.wire_bytes());
    let mut of = None;
    for entry in selection.entries() {
        let source = entry.header.source;
        if with_source && of != Some(source) {
            if !bytes.is_empty() {
                frames.push(Message::Binary(bytes.split().freeze()));
            }
            bytes.put_u8(source_byte(source));
            of = Some(source);
        }
        bytes.extend_from_slice(entry.bytes);
        if !entry.header.is_partial {
            bytes.put_u8(b'\n');
        }
    }
    if !bytes.is_empty() {
        frames.push(Message::Binary(bytes.freeze()));
    }
    frames
}

impl EntrySelection {
    /// Returns about the number of bytes of the binary form.
    fn wire_bytes(&self) -> usize {
        let batch = self.batch.batch();
        batch.bytes().len() + batch.headers().len() * ENTRY_HEADER_BYTES + 256
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rdd_core::{ContainerRef, EntryBatch, EntryHeader};

    use super::*;
    use crate::entries::cursor::SourceSet;
    use crate::entries::log_position::PositionCounter;
    use crate::entries::positioned_batch::PositionedBatch;

    #[test]
    fn many_short_entries_are_several_messages_in_json() {
        let header = |time| EntryHeader {
            time,
            length: 0,
            source: OutputSource::Stdout,
            is_partial: false,
        };
        let headers: Vec<_> = (0..EntryBatch::MAX_ENTRIES as i64).map(header).collect();
        let batch = EntryBatch::new(None, headers, Vec::new().into()).unwrap();
        let batch = PositionedBatch::new(batch, &mut PositionCounter::from_beginning());
        let selection = EntrySelection {
            range: 0..batch.len(),
            batch: Arc::new(batch),
            sources: SourceSet::ALL,
            since: None,
        };
        let container = ContainerRef::new("moby", "4c0f");
        let scope = CursorScope::new(&container, None, SourceSet::ALL);
        let mut encoder = LogEncoder::new(FrameFormat::Json, scope, None);
        let messages = encoder.encode(&LogItem::Entries(selection));
        let lengths: Vec<_> = messages.iter().map(Message::len).collect();
        assert!(lengths.len() > 1, "{lengths:?}");
        let is_short = |length: &usize| *length <= limits::JSON_MESSAGE_BYTES;
        assert!(lengths.iter().all(is_short), "{lengths:?}");
        let count = |message: &Message| message.to_text().unwrap().matches("stdout").count();
        let total: usize = messages.iter().map(count).sum();
        assert_eq!(total, EntryBatch::MAX_ENTRIES);
    }
}
