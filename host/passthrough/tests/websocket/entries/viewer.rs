//! A viewer that reads a log as entries and resumes it at a cursor.

use std::time::Duration;

use base64::Engine as _;
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::common::TestServer;

/// How long a test waits for a message.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReceivedEntry {
    pub(crate) time: i64,
    pub(crate) is_stderr: bool,
    pub(crate) bytes: Vec<u8>,
    pub(crate) is_partial: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryFormat {
    Json,
    Binary,
}

/// A message, in the same form whatever the format is.
#[derive(Clone, Debug)]
pub(crate) enum ReceivedMessage {
    Entries {
        entries: Vec<ReceivedEntry>,
        cursor: String,
    },
    /// Another message, with its type.
    Other(String, Value),
    Close(u16, String),
}

pub(crate) struct LogViewer {
    socket: WebSocketStream<TcpStream>,
    format: EntryFormat,
}

impl EntryFormat {
    pub(crate) fn subprotocol(self) -> &'static str {
        match self {
            Self::Json => "rdd.logs.v1+json",
            Self::Binary => "rdd.logs.v1+binary",
        }
    }
}

impl LogViewer {
    pub(crate) async fn open(server: &TestServer, path: &str, format: EntryFormat) -> Self {
        let header = [("sec-websocket-protocol", format.subprotocol())];
        let (socket, response) = server
            .upgrade(path, &header)
            .await
            .unwrap_or_else(|response| {
                let body = response.body().clone().unwrap_or_default();
                panic!(
                    "{path}: {}: {}",
                    response.status(),
                    String::from_utf8_lossy(&body)
                )
            });
        let selected = response.headers()["sec-websocket-protocol"].to_str();
        assert_eq!(selected.unwrap(), format.subprotocol());
        Self { socket, format }
    }

    pub(crate) async fn next(&mut self) -> ReceivedMessage {
        // Pings come anyway, so they must not extend the time.
        let limit = tokio::time::Instant::now() + PATIENCE;
        loop {
            let message = tokio::time::timeout_at(limit, self.socket.next()).await;
            let message = message.expect("a message arrives");
            match message.expect("the socket was not closed").unwrap() {
                Message::Text(text) => {
                    assert_eq!(self.format, EntryFormat::Json);
                    return parse_json(serde_json::from_str(&text).unwrap());
                }
                Message::Binary(bytes) => {
                    assert_eq!(self.format, EntryFormat::Binary);
                    return parse_binary(&bytes);
                }
                Message::Close(frame) => {
                    let frame = frame.unwrap();
                    return ReceivedMessage::Close(frame.code.into(), frame.reason.to_string());
                }
                _ => {}
            }
        }
    }

    /// Returns the next entries and the cursor after them.
    pub(crate) async fn entries(&mut self) -> (Vec<ReceivedEntry>, String) {
        match self.next().await {
            ReceivedMessage::Entries { entries, cursor } => (entries, cursor),
            other => panic!("{other:?}"),
        }
    }

    /// Returns the next message, which has to have this type.
    pub(crate) async fn other(&mut self, kind: &str) -> Value {
        match self.next().await {
            ReceivedMessage::Other(found, value) if found == kind => value,
            other => panic!("{kind}: {other:?}"),
        }
    }

    /// Reads to the end. Returns all entries, and the last cursor.
    pub(crate) async fn read_to_end(&mut self) -> (Vec<ReceivedEntry>, Option<String>) {
        let (mut all, mut last) = (Vec::new(), None);
        loop {
            match self.next().await {
                ReceivedMessage::Entries { entries, cursor } => {
                    all.extend(entries);
                    last = Some(cursor);
                }
                ReceivedMessage::Other(kind, _) => assert_eq!(kind, "end"),
                ReceivedMessage::Close(code, reason) => {
                    assert_eq!(code, 1000, "{reason}");
                    return (all, last);
                }
            }
        }
    }
}

pub(crate) fn texts(entries: &[ReceivedEntry]) -> Vec<String> {
    let text = |entry: &ReceivedEntry| String::from_utf8(entry.bytes.clone()).unwrap();
    entries.iter().map(text).collect()
}

fn parse_json(mut value: Value) -> ReceivedMessage {
    let kind = value["type"].as_str().unwrap().to_owned();
    if kind != "entries" {
        value.as_object_mut().unwrap().remove("type");
        return ReceivedMessage::Other(kind, value);
    }
    let entries = value["entries"].as_array().unwrap().iter();
    ReceivedMessage::Entries {
        entries: entries.map(parse_entry).collect(),
        cursor: value["cursor"].as_str().unwrap().to_owned(),
    }
}

fn parse_entry(entry: &Value) -> ReceivedEntry {
    let time: jiff::Timestamp = entry["time"].as_str().unwrap().parse().unwrap();
    let bytes = match (entry.get("text"), entry.get("base64")) {
        (Some(text), None) => text.as_str().unwrap().as_bytes().to_vec(),
        (None, Some(base64)) => base64::engine::general_purpose::STANDARD
            .decode(base64.as_str().unwrap())
            .unwrap(),
        _ => panic!("{entry}"),
    };
    ReceivedEntry {
        time: i64::try_from(time.as_nanosecond()).unwrap(),
        is_stderr: match entry["stream"].as_str().unwrap() {
            "stdout" => false,
            "stderr" => true,
            other => panic!("{other}"),
        },
        bytes,
        is_partial: match entry.get("partial") {
            None => false,
            Some(partial) => {
                assert_eq!(*partial, json!(true));
                true
            }
        },
    }
}

fn parse_binary(message: &[u8]) -> ReceivedMessage {
    let (kind, rest) = message.split_first().unwrap();
    if *kind != 1 {
        let mut value: Value = serde_json::from_slice(rest).unwrap();
        let found = value["type"].as_str().unwrap().to_owned();
        let kinds = ["", "", "gap", "stopped", "started", "end"];
        assert_eq!(kinds[usize::from(*kind)], found);
        value.as_object_mut().unwrap().remove("type");
        return ReceivedMessage::Other(found, value);
    }
    let (entries, cursor) = parse_binary_entries(rest);
    ReceivedMessage::Entries { entries, cursor }
}

/// Parses a cursor and the entries after it.
pub(crate) fn parse_binary_entries(bytes: &[u8]) -> (Vec<ReceivedEntry>, String) {
    let (length, rest) = bytes.split_first().unwrap();
    let (cursor, mut rest) = rest.split_at(usize::from(*length));
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let (header, after) = rest.split_at(13);
        let length = u32::from_be_bytes(header[9..].try_into().unwrap());
        let (content, after) = after.split_at(length as usize);
        assert_eq!(header[8] & !3, 0, "unknown flags");
        entries.push(ReceivedEntry {
            time: i64::from_be_bytes(header[..8].try_into().unwrap()),
            is_stderr: header[8] & 1 != 0,
            bytes: content.to_vec(),
            is_partial: header[8] & 2 != 0,
        });
        rest = after;
    }
    (entries, String::from_utf8(cursor.to_vec()).unwrap())
}
