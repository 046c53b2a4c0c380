//! A client of the exec endpoint.

use futures::{SinkExt as _, StreamExt as _};
use rdd_testkit::{FakeEngine, eventually};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::common::TestServer;

pub(crate) const V4: &str = "v4.channel.k8s.io";
pub(crate) const V5: &str = "v5.channel.k8s.io";

pub(crate) const STDIN: u8 = 0;
pub(crate) const RESIZE: u8 = 4;
/// The message that ends standard input in version 5.
pub(crate) const STDIN_END: &[u8] = b"\xff\0";

/// Returns the path of a command, whose arguments are separated by spaces.
pub(crate) fn exec(id: &str, command: &str, options: &str) -> String {
    let command = command.replace(' ', "&command=");
    format!("/passthrough/engine/exec/{id}?command={command}&{options}")
}

/// A process on channels.
pub(crate) struct ExecClient(pub(crate) WebSocketStream<TcpStream>);

/// What a process sent until the end.
#[derive(Debug, Default)]
pub(crate) struct ProcessResult {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    /// The messages on the error channel.
    pub(crate) statuses: Vec<Value>,
    pub(crate) close: Option<(u16, String)>,
}

impl ProcessResult {
    /// Asserts that the process exited with this code.
    pub(crate) fn assert_exited(&self, code: i32) {
        let [status] = &*self.statuses else {
            panic!("not one status: {self:?}");
        };
        if code == 0 {
            assert_eq!(status["status"], "Success", "{status}");
        } else {
            assert_eq!(status["status"], "Failure", "{status}");
            assert_eq!(status["reason"], "NonZeroExitCode", "{status}");
            let cause = &status["details"]["causes"][0];
            assert_eq!(cause["reason"], "ExitCode", "{status}");
            assert_eq!(cause["message"], code.to_string(), "{status}");
        }
        assert_eq!(self.close, Some((1000, format!("exit code {code}"))));
    }
}

impl ExecClient {
    /// Opens the process at `path` with a subprotocol.
    pub(crate) async fn open(server: &TestServer, path: &str, subprotocol: &str) -> Self {
        let headers = [("sec-websocket-protocol", subprotocol)];
        let (socket, response) = server.upgrade(path, &headers).await.expect(path);
        assert_eq!(response.headers()["sec-websocket-protocol"], subprotocol);
        Self(socket)
    }

    /// Sends bytes on a channel.
    pub(crate) async fn send(&mut self, channel: u8, bytes: &[u8]) {
        let message = [&[channel], bytes].concat();
        self.0.send(Message::binary(message)).await.unwrap();
    }

    /// Ends standard input.
    pub(crate) async fn end_input(&mut self) {
        self.0.send(Message::binary(STDIN_END)).await.unwrap();
    }

    /// Reads the next message that is not empty. Returns its channel and its content.
    pub(crate) async fn next(&mut self) -> (u8, String) {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Binary(bytes))) if bytes.len() > 1 => {
                    let text = String::from_utf8(bytes[1..].to_vec()).unwrap();
                    return (bytes[0], text);
                }
                Some(Ok(Message::Binary(_) | Message::Ping(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Reads to the end.
    pub(crate) async fn finish(&mut self) -> ProcessResult {
        let mut result = ProcessResult::default();
        while let Some(Ok(message)) = self.0.next().await {
            match message {
                Message::Binary(bytes) => match bytes[0] {
                    1 => result.stdout.extend_from_slice(&bytes[1..]),
                    2 => result.stderr.extend_from_slice(&bytes[1..]),
                    3 if bytes.len() > 1 => result
                        .statuses
                        .push(serde_json::from_slice(&bytes[1..]).unwrap()),
                    3 => {}
                    channel => panic!("a message on channel {channel}"),
                },
                Message::Close(frame) => {
                    result.close = frame.map(|it| (it.code.into(), it.reason.to_string()));
                }
                _ => {}
            }
        }
        result
    }
}

/// Waits until no process is connected.
pub(crate) async fn wait_for_no_process(engine: &FakeEngine) {
    eventually("the process is disconnected", || async {
        match engine.process_count() {
            0 => Ok(()),
            count => Err(format!("{count} processes")),
        }
    })
    .await;
}
