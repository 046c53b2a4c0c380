//! The formats of a log, as far as a benchmark reads them.

use std::borrow::Cow;

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// The format in which a WebSocket client asks for a log.
#[derive(Clone, Copy)]
pub(crate) enum LogFormat {
    Bytes,
    BinaryEntries,
    JsonEntries,
}

/// An entry of a log.
pub(crate) struct LogEntry {
    /// Unix time in nanoseconds, as recorded by the engine.
    pub(crate) time: i64,
    /// The number of bytes that the container wrote, including the end of the line.
    pub(crate) bytes: u64,
}

/// The first byte of a binary message that has entries.
const ENTRIES: u8 = 1;
/// Set if the entry does not end its line.
const PARTIAL: u8 = 2;

impl LogFormat {
    pub(crate) fn subprotocol(self) -> Option<&'static str> {
        match self {
            Self::Bytes => None,
            Self::BinaryEntries => Some("rdd.logs.v1+binary"),
            Self::JsonEntries => Some("rdd.logs.v1+json"),
        }
    }
}

/// Returns the entries of a message in the binary format; none if it has something
/// else.
pub(crate) fn binary_entries(message: &[u8]) -> Result<Vec<LogEntry>> {
    let mut entries = Vec::new();
    let Some((&ENTRIES, rest)) = message.split_first() else {
        return Ok(entries);
    };
    let (cursor, rest) = rest.split_first().context("no cursor")?;
    let mut rest = rest.get(usize::from(*cursor)..).context("no entries")?;
    while !rest.is_empty() {
        let (time, after) = rest.split_first_chunk().context("no time")?;
        let ([flags], after) = after.split_first_chunk().context("no flags")?;
        let (length, after) = after.split_first_chunk().context("no length")?;
        let length = u32::from_be_bytes(*length);
        rest = after.get(usize::try_from(length)?..).context("cut")?;
        let end = if flags & PARTIAL == 0 { 1 } else { 0 };
        entries.push(LogEntry {
            time: i64::from_be_bytes(*time),
            bytes: u64::from(length) + end,
        });
    }
    Ok(entries)
}

/// Returns the number of bytes that the container wrote, of a message as JSON.
pub(crate) fn json_bytes(message: &str) -> Result<u64> {
    #[derive(Deserialize)]
    struct JsonMessage<'a> {
        #[serde(default, borrow)]
        entries: Vec<JsonEntry<'a>>,
    }
    #[derive(Deserialize)]
    struct JsonEntry<'a> {
        #[serde(borrow)]
        text: Cow<'a, str>,
        #[serde(default)]
        partial: bool,
    }
    let message: JsonMessage<'_> = serde_json::from_str(message)?;
    let lengths = message
        .entries
        .iter()
        .map(|entry| entry.text.len() as u64 + u64::from(!entry.partial));
    Ok(lengths.sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entries_of_a_binary_message_are_counted_with_the_ends_of_their_lines() {
        let mut message = vec![ENTRIES, 2, b'c', b'c'];
        for (time, flags, text) in [(7_i64, 0, &b"abc"[..]), (8, PARTIAL, b"de")] {
            message.extend(time.to_be_bytes());
            message.push(flags);
            message.extend((text.len() as u32).to_be_bytes());
            message.extend(text);
        }
        let entries = binary_entries(&message).unwrap();
        let read: Vec<_> = entries.iter().map(|it| (it.time, it.bytes)).collect();
        assert_eq!(read, [(7, 4), (8, 2)]);
        message.pop();
        assert!(binary_entries(&message).is_err());
        assert!(binary_entries(b"\x02{}").unwrap().is_empty());
    }

    #[test]
    fn the_texts_of_a_json_message_are_counted_with_the_ends_of_their_lines() {
        let entries =
            r#"{"type":"entries","entries":[{"text":"ab\n"},{"text":"c","partial":true}]}"#;
        assert_eq!(json_bytes(entries).unwrap(), 5);
        assert_eq!(json_bytes(r#"{"type":"gap"}"#).unwrap(), 0);
    }
}
