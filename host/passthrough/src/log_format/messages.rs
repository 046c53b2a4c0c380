//! The JSON messages about a log. `docs/schemas` has their schemas.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rdd_core::{GapReason, LogEntry, OutputSource, Timestamp};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use crate::log_reader::ContainerRun;

/// A message of `rdd.logs.v1+json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(crate) enum LogMessage<'a> {
    /// Consecutive entries; none if the message is there for its cursor.
    Entries {
        /// The entries in the engine's order.
        entries: Vec<EntryObject<'a>>,
        /// The position after the last entry.
        cursor: String,
    },
    /// Entries are missing here.
    Gap(GapDescription),
    /// The container stopped.
    #[serde(rename_all = "camelCase")]
    Stopped {
        /// When it stopped; null if the engine does not tell.
        time: Option<MessageTime>,
        /// The exit code; null if the engine does not tell.
        exit_code: Option<i32>,
    },
    /// The container started.
    Started {
        /// When it started; null if the engine does not tell.
        time: Option<MessageTime>,
    },
    /// The log ended; the close frame follows.
    End {
        /// A sentence.
        reason: &'a str,
    },
}

impl LogMessage<'_> {
    /// Returns the message about a container that stopped.
    pub(crate) fn stopped(run: ContainerRun) -> Self {
        Self::Stopped {
            time: run.time.map(MessageTime),
            exit_code: run.exit_code,
        }
    }

    /// Returns the message about a container that started.
    pub(crate) fn started(run: ContainerRun) -> Self {
        Self::Started {
            time: run.time.map(MessageTime),
        }
    }
}

/// What is missing from a log.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct GapDescription {
    /// The time of the last entry before it; null if there is none.
    pub(crate) after: Option<MessageTime>,
    /// The time of the next entry; null if it is not known yet.
    pub(crate) before: Option<MessageTime>,
    /// Why the entries are missing.
    pub(crate) reason: GapReasonName,
}

/// The reason of a gap.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum GapReasonName {
    /// The engine discarded them to limit the size of the log.
    Rotated,
    /// The log belongs to another container than before.
    Replaced,
    /// The engine did not keep them for a slow reader.
    Lagged,
}

impl From<GapReason> for GapReasonName {
    fn from(reason: GapReason) -> Self {
        match reason {
            GapReason::Replaced => Self::Replaced,
            GapReason::Lagged => Self::Lagged,
            // The usual reason, if the backend cannot tell.
            GapReason::Rotated | GapReason::Unknown => Self::Rotated,
        }
    }
}

/// One entry: a line without its newline, or a part of a line.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct EntryObject<'a> {
    /// When the engine recorded it.
    time: MessageTime,
    /// The stream that it was written to.
    stream: StreamName,
    #[serde(flatten)]
    content: EntryContent<'a>,
    /// Present and true if the line goes on in the next entry of this stream.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(default)]
    partial: bool,
}

impl EntryObject<'_> {
    /// Returns the number of bytes of the JSON object for an entry, or a few more.
    pub(crate) fn json_bytes(content: &[u8]) -> usize {
        /// The members other than the text.
        const FRAME: usize = 100;
        // A control character becomes `\u0000`. Base64 is shorter than that.
        let escaped = |byte: &&u8| **byte < 0x20 || **byte == b'"' || **byte == b'\\';
        FRAME + content.len() + content.len() / 3 + 5 * content.iter().filter(escaped).count()
    }
}

/// The bytes of an entry.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum EntryContent<'a> {
    /// Bytes that are UTF-8.
    Text(Cow<'a, str>),
    /// Other bytes, in base64.
    Base64(String),
}

/// The stream of an entry.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum StreamName {
    /// Standard output, or the terminal of a container that has one.
    Stdout,
    /// Standard error.
    Stderr,
}

impl<'a> From<LogEntry<'a>> for EntryObject<'a> {
    fn from(entry: LogEntry<'a>) -> Self {
        let LogEntry { header, bytes } = entry;
        Self {
            time: MessageTime::from_unix_nanoseconds(header.time),
            stream: match header.source {
                OutputSource::Stdout => StreamName::Stdout,
                OutputSource::Stderr => StreamName::Stderr,
            },
            content: match std::str::from_utf8(bytes) {
                Ok(text) => EntryContent::Text(text.into()),
                Err(_) => EntryContent::Base64(STANDARD.encode(bytes)),
            },
            partial: header.is_partial,
        }
    }
}

/// A time as RFC 3339 in UTC with nine decimal places.
#[derive(Clone, Copy, Debug, JsonSchema)]
#[schemars(with = "String", extend("format" = "date-time"))]
pub(crate) struct MessageTime(pub(crate) Timestamp);

impl MessageTime {
    pub(crate) fn from_unix_nanoseconds(nanoseconds: i64) -> Self {
        Self(Timestamp::from_unix_nanoseconds(nanoseconds))
    }
}

impl Serialize for MessageTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:.9}", self.0))
    }
}
