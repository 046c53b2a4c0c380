//! The messages of `rdd.logs-mux.v1`, as docs/passthrough.md describes them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tokio_tungstenite::tungstenite::Bytes;

/// The bytes of the IDs before the cursor of a binary message.
const ID_BYTES: usize = 8;
/// The bytes of an entry before its content.
const ENTRY_HEADER_BYTES: usize = 13;
/// The flags of an entry.
const STDERR: u8 = 1;
const PARTIAL: u8 = 1 << 1;

/// The containers of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum LogSelection {
    /// One, by the name of its object.
    Container(String),
    /// Those whose labels match.
    Selector(String),
    /// Those of a Docker Compose project.
    Project(String),
}

/// What is read of each log.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct LogRange {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<String>,
}

/// Whether a log is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FollowMode {
    /// It ends at its end.
    No,
    /// It ends when the container stops.
    Yes,
    /// It ends when the container is removed.
    Restart,
}

impl Serialize for FollowMode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::No => serializer.serialize_bool(false),
            Self::Yes => serializer.serialize_bool(true),
            Self::Restart => serializer.serialize_str("restart"),
        }
    }
}

/// A message to the daemon.
#[derive(Debug, Serialize)]
#[serde(tag = "op", rename_all = "camelCase")]
pub(super) enum ClientMessage<'a> {
    Cursors {
        id: u32,
        cursors: BTreeMap<&'a str, &'a str>,
    },
    Subscribe {
        id: u32,
        #[serde(flatten)]
        selection: &'a LogSelection,
        #[serde(flatten)]
        range: LogRange,
        follow: FollowMode,
        credit: u32,
    },
    Credit {
        id: u32,
        bytes: u32,
    },
}

/// A text message of the daemon. Others than these are ignored.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(super) enum ServerMessage {
    Subscribed {
        id: u32,
    },
    Joined {
        source: u32,
        container: String,
        name: String,
        #[serde(default)]
        labels: BTreeMap<String, String>,
    },
    Left {
        source: u32,
        reason: String,
    },
    Gap {
        source: u32,
        after: Option<String>,
        before: Option<String>,
        reason: String,
    },
    #[serde(rename_all = "camelCase")]
    Stopped {
        source: u32,
        exit_code: Option<i32>,
    },
    Started {
        source: u32,
    },
    Error {
        id: Option<u32>,
        code: u16,
        message: String,
    },
    End {
        id: u32,
    },
    #[serde(other)]
    Unknown,
}

/// A binary message that is shorter than its fields.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the daemon sent a message of entries that is cut off")]
pub(super) struct TruncatedMessage;

/// A binary message of the daemon.
#[derive(Debug)]
pub(super) struct EntriesMessage {
    pub(super) id: u32,
    pub(super) source: u32,
    /// The position after the last entry.
    pub(super) cursor: String,
    pub(super) entries: Vec<LogEntry>,
}

/// What an engine wrote at once: a line, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogEntry {
    /// Nanoseconds since 1970.
    pub(crate) time: i64,
    pub(crate) is_stderr: bool,
    /// Whether the line goes on in the next entry of its stream.
    pub(crate) is_partial: bool,
    /// The bytes, without the newline.
    pub(crate) bytes: Bytes,
}

impl LogEntry {
    /// The credit that the entry costs.
    pub(crate) fn cost(&self) -> usize {
        self.bytes.len().max(1)
    }
}

impl EntriesMessage {
    /// Decodes a binary message. The entries share its memory.
    pub(super) fn decode(mut message: Bytes) -> Result<Self, TruncatedMessage> {
        let head = message.first_chunk::<{ ID_BYTES + 1 }>();
        let &[a, b, c, d, e, f, g, h, cursor_length] = head.ok_or(TruncatedMessage)?;
        let _ids = split(&mut message, ID_BYTES + 1)?;
        let cursor = split(&mut message, cursor_length.into())?;
        let mut entries = Vec::new();
        while !message.is_empty() {
            let header = split(&mut message, ENTRY_HEADER_BYTES)?;
            let &[t0, t1, t2, t3, t4, t5, t6, t7, flags, l0, l1, l2, l3] =
                header.first_chunk().ok_or(TruncatedMessage)?;
            let length = usize::try_from(u32::from_be_bytes([l0, l1, l2, l3]));
            entries.push(LogEntry {
                time: i64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7]),
                is_stderr: flags & STDERR != 0,
                is_partial: flags & PARTIAL != 0,
                bytes: split(&mut message, length.map_err(|_| TruncatedMessage)?)?,
            });
        }
        Ok(Self {
            id: u32::from_be_bytes([a, b, c, d]),
            source: u32::from_be_bytes([e, f, g, h]),
            cursor: String::from_utf8_lossy(&cursor).into_owned(),
            entries,
        })
    }
}

fn split(bytes: &mut Bytes, length: usize) -> Result<Bytes, TruncatedMessage> {
    if bytes.len() < length {
        return Err(TruncatedMessage);
    }
    Ok(bytes.split_to(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Vec<u8> {
        let mut bytes = vec![0, 0, 0, 7, 0, 0, 1, 0, 2, b'c', b'1'];
        for (time, flags, text) in [(1_i64, 0_u8, "out"), (-2, 3, ""), (3, 1, "err")] {
            bytes.extend(time.to_be_bytes());
            bytes.push(flags);
            bytes.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
            bytes.extend(text.bytes());
        }
        bytes
    }

    #[test]
    fn entries_are_decoded() {
        let decoded = EntriesMessage::decode(message().into()).unwrap();
        assert_eq!((decoded.id, decoded.source), (7, 256));
        assert_eq!(decoded.cursor, "c1");
        let entries: Vec<_> = decoded
            .entries
            .iter()
            .map(|it| {
                (
                    it.time,
                    it.is_stderr,
                    it.is_partial,
                    &it.bytes[..],
                    it.cost(),
                )
            })
            .collect();
        assert_eq!(
            entries,
            [
                (1, false, false, &b"out"[..], 3),
                (-2, true, true, b"", 1),
                (3, true, false, b"err", 3),
            ]
        );
    }

    #[test]
    fn a_message_that_is_cut_off_is_an_error() {
        let whole = message();
        // A message may end after the cursor, and after each entry.
        let complete = [11, 27, 40, 56];
        for length in 0..=whole.len() {
            let decoded = EntriesMessage::decode(Bytes::copy_from_slice(&whole[..length]));
            assert_eq!(decoded.is_ok(), complete.contains(&length), "{length}");
        }
    }

    #[test]
    fn a_subscription_names_what_it_selects() {
        let subscribe = |selection, follow, range| {
            serde_json::to_value(ClientMessage::Subscribe {
                id: 1,
                selection: &selection,
                range,
                follow,
                credit: 2,
            })
            .unwrap()
        };
        assert_eq!(
            subscribe(
                LogSelection::Container("web".into()),
                FollowMode::Restart,
                LogRange::default()
            ),
            serde_json::json!({"op": "subscribe", "id": 1, "container": "web", "follow": "restart", "credit": 2})
        );
        let range = LogRange {
            tail: Some("5".to_owned()),
            ..LogRange::default()
        };
        assert_eq!(
            subscribe(LogSelection::Project("shop".into()), FollowMode::No, range),
            serde_json::json!({"op": "subscribe", "id": 1, "project": "shop", "tail": "5", "follow": false, "credit": 2})
        );
    }

    #[test]
    fn a_message_of_an_unknown_type_is_not_an_error() {
        let parsed = serde_json::from_str(r#"{"type": "news", "id": 1, "text": "x"}"#);
        assert!(matches!(parsed.unwrap(), ServerMessage::Unknown));
    }
}
