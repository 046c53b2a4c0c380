//! Many containers on one socket.

mod credit;
mod cursors;
mod subscriptions;

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use rdd_core::OutputSource;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::common::TestServer;
use crate::entries::viewer::{parse_binary_entries, texts};

const OUT: OutputSource = OutputSource::Stdout;
const PATH: &str = "/passthrough/engine/logs";
const PATIENCE: Duration = Duration::from_secs(20);

/// A message of the daemon.
#[derive(Debug)]
enum MuxMessage {
    Data {
        id: u32,
        source: u32,
        texts: Vec<String>,
        cursor: String,
    },
    Event(Value),
}

struct MuxClient(WebSocketStream<TcpStream>);

impl MuxClient {
    async fn open(server: &TestServer) -> Self {
        let header = [("sec-websocket-protocol", "rdd.logs-mux.v1")];
        Self(server.connect_with(PATH, &header).await.unwrap())
    }

    async fn send(&mut self, message: Value) {
        self.0
            .send(Message::text(message.to_string()))
            .await
            .unwrap();
    }

    async fn next(&mut self) -> MuxMessage {
        // Pings come anyway, so they must not extend the time.
        let limit = tokio::time::Instant::now() + PATIENCE;
        loop {
            let next = tokio::time::timeout_at(limit, self.0.next()).await;
            match next.expect("a message arrives").unwrap().unwrap() {
                Message::Text(text) => {
                    return MuxMessage::Event(serde_json::from_str(&text).unwrap());
                }
                Message::Binary(bytes) => {
                    let number = |at| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
                    let (entries, cursor) = parse_binary_entries(&bytes[8..]);
                    return MuxMessage::Data {
                        id: number(0),
                        source: number(4),
                        texts: texts(&entries),
                        cursor,
                    };
                }
                _ => {}
            }
        }
    }

    /// Returns the next message, which has to be text of this type.
    async fn event(&mut self, kind: &str) -> Value {
        match self.next().await {
            MuxMessage::Event(value) if value["type"] == kind => value,
            other => panic!("{kind}: {other:?}"),
        }
    }

    /// Reads entries until a source has this many. Returns them, and the cursor.
    async fn texts(&mut self, of: &Value, count: usize) -> (Vec<String>, String) {
        let (mut all, mut last) = (Vec::new(), String::new());
        while all.len() < count {
            match self.next().await {
                MuxMessage::Data {
                    source,
                    texts,
                    cursor,
                    ..
                } if json!(source) == *of => {
                    all.extend(texts);
                    last = cursor;
                }
                other => panic!("{other:?}"),
            }
        }
        (all, last)
    }
}

fn labeled(server: &TestServer, name: &str, labels: &[(&str, &str)]) -> String {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let labels: BTreeMap<_, _> = labels.iter().map(owned).collect();
    let id = server.run_indexed(name);
    server
        .engine
        .edit_container(&id, |container| container.labels = labels);
    server.index_container(&id, server.engine.container(&id).unwrap());
    id
}
