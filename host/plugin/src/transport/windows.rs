//! Named pipes.

use std::time::Duration;

use rdd_core::EngineError;
use rdd_plugin_wasm::Connection;
use tokio::net::windows::named_pipe::ClientOptions;

/// What Windows says while every instance of a pipe is taken.
const ERROR_PIPE_BUSY: i32 = 231;
/// How soon a busy pipe is tried again; the caller bounds how often.
const RETRY: Duration = Duration::from_millis(50);

pub(super) async fn connect(path: &str) -> Result<Connection, EngineError> {
    loop {
        match ClientOptions::new().open(path) {
            Ok(pipe) => {
                let (reader, writer) = tokio::io::split(pipe);
                return Ok(Connection {
                    reader: Box::new(reader),
                    writer: Box::new(writer),
                });
            }
            Err(error) if error.raw_os_error() == Some(ERROR_PIPE_BUSY) => {
                tokio::time::sleep(RETRY).await;
            }
            Err(error) => {
                return Err(super::unavailable(
                    &crate::EngineEndpoint::NamedPipe(path.to_owned()),
                    &error,
                ));
            }
        }
    }
}
