//! What a client sends on its connection, up to its end.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, BufReader, Interest};
use tokio::net::unix::OwnedReadHalf;
use tokio::time::sleep;

use crate::protocol::MAX_REQUEST_BYTES;

/// The interval between two checks whether a client that half-closed its
/// connection has closed it.
const HANG_UP_INTERVAL: Duration = Duration::from_millis(100);

/// The reason why a connection ends early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    /// The client is gone.
    #[error("the connection failed")]
    Io(#[from] io::Error),
    /// What the client sends during the response is malformed.
    #[error("{0}")]
    Input(String),
}

/// Reads a line, without its newline. Returns `None` at the end of the input.
pub(crate) async fn read_line<R: AsyncBufRead + Unpin>(
    reader: &mut R,
) -> Result<Option<Vec<u8>>, ConnectionError> {
    let mut line = Vec::new();
    let mut limited = reader.take(MAX_REQUEST_BYTES as u64);
    limited.read_until(b'\n', &mut line).await?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) => Err(ConnectionError::Input(
            "a line is incomplete or too long".to_owned(),
        )),
    }
}

/// Waits until the client has closed its connection. A half-closed one is still
/// served.
pub(crate) async fn hang_up(reader: &mut BufReader<OwnedReadHalf>) -> ConnectionError {
    let mut discarded = [0; 1_024];
    loop {
        match reader.read(&mut discarded).await {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => return error.into(),
        }
    }
    loop {
        match reader.get_ref().as_ref().ready(Interest::WRITABLE).await {
            Ok(ready) if ready.is_write_closed() => {
                return io::Error::from(io::ErrorKind::ConnectionAborted).into();
            }
            // There is no event for this: a half-closed connection is writable.
            Ok(_) => sleep(HANG_UP_INTERVAL).await,
            Err(error) => return error.into(),
        }
    }
}
