//! What the engine does on one connection.

use std::time::Duration;

use super::scripted_connection::ScriptedConnection;
use crate::types::Error;

/// The script of one connection: what the engine expects and sends, step by
/// step. After the last step, it closes the connection.
///
/// ```
/// use rdd_sdk::http::{HttpClient, HttpRequest};
/// use rdd_sdk::testing::{self, ConnectionScript, ScriptedHost};
/// use rdd_sdk::types::ErrorCode;
///
/// testing::run(async {
///     let host = ScriptedHost::new();
///     host.script(
///         ConnectionScript::new()
///             .expect_head("GET /a HTTP/1.1")
///             .send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfive.")
///             .cut_after(40),
///     );
///     let client = HttpClient::new(host.handle());
///     let error = client.send(HttpRequest::get("/a")).await.unwrap_err();
///     assert_eq!(error.code, ErrorCode::Unavailable);
/// });
/// ```
#[derive(Debug)]
pub struct ConnectionScript {
    steps: Vec<ScriptStep>,
    /// The number of bytes after which the connection fails.
    limit: Option<usize>,
    refusal: Option<Error>,
}

#[derive(Debug)]
enum ScriptStep {
    Expect(Vec<u8>),
    ExpectHead(String),
    Send(Vec<u8>),
    Delay(Duration),
    Fail,
    Hold,
}

impl ConnectionScript {
    /// Creates a script without steps.
    pub fn new() -> Self {
        Self {
            steps: Vec::new(),
            limit: None,
            refusal: None,
        }
    }

    /// Creates the script of a connection that cannot be opened.
    pub fn refuse(error: Error) -> Self {
        Self {
            refusal: Some(error),
            ..Self::new()
        }
    }

    fn step(mut self, step: ScriptStep) -> Self {
        self.steps.push(step);
        self
    }

    /// Reads these bytes. Other bytes fail the test.
    #[must_use]
    pub fn expect(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.step(ScriptStep::Expect(bytes.into()))
    }

    /// Reads the head of a request of HTTP/1.1, whose first line must be this
    /// one. Another line fails the test.
    #[must_use]
    pub fn expect_head(self, first_line: impl Into<String>) -> Self {
        self.step(ScriptStep::ExpectHead(first_line.into()))
    }

    /// Sends these bytes.
    #[must_use]
    pub fn send(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.step(ScriptStep::Send(bytes.into()))
    }

    /// Waits.
    #[must_use]
    pub fn delay(self, duration: Duration) -> Self {
        self.step(ScriptStep::Delay(duration))
    }

    /// Fails the connection, as when the engine crashes.
    #[must_use]
    pub fn fail(self) -> Self {
        self.step(ScriptStep::Fail)
    }

    /// Waits until the backend closes the connection. Bytes of the backend
    /// fail the test.
    #[must_use]
    pub fn hold(self) -> Self {
        self.step(ScriptStep::Hold)
    }

    /// Fails the connection once the engine has sent this number of bytes.
    #[must_use]
    pub fn cut_after(self, bytes: usize) -> Self {
        Self {
            limit: Some(bytes),
            ..self
        }
    }

    /// Returns the error of a connection that cannot be opened.
    pub(super) fn refusal(&self) -> Option<&Error> {
        self.refusal.as_ref()
    }

    /// Plays the script.
    pub(super) async fn play(self, mut connection: ScriptedConnection) {
        if let Some(limit) = self.limit {
            connection.cut_after(limit);
        }
        for step in self.steps {
            match step {
                ScriptStep::Expect(bytes) => connection.expect(&bytes).await,
                ScriptStep::ExpectHead(line) => {
                    connection.expect_head(&line).await;
                }
                ScriptStep::Send(bytes) => {
                    if !connection.send(&bytes).await {
                        return;
                    }
                }
                ScriptStep::Delay(duration) => tokio::time::sleep(duration).await,
                ScriptStep::Fail => return connection.fail(),
                ScriptStep::Hold => connection.expect_close().await,
            }
        }
    }
}

impl Default for ConnectionScript {
    fn default() -> Self {
        Self::new()
    }
}
