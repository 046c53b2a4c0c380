//! A connection that carries raw bytes after an HTTP upgrade.
//!
//! hyper's own upgrades require a connection that is `Send`, which that of a
//! component is not. So the connection is taken back from hyper.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use hyper::rt::{Read as _, ReadBuf, Write as _};

use crate::BoxConnection;
use crate::types::Error;

/// The maximum number of bytes of one read.
const READ_BYTES: usize = 64 * 1024;

/// The reading half of an upgraded connection.
pub struct UpgradedReader {
    connection: Rc<RefCell<BoxConnection>>,
    /// The bytes that were received with the head of the response.
    received: Bytes,
    buffer: Box<[u8]>,
}

/// The writing half of an upgraded connection. The connection is closed when
/// both halves are dropped.
pub struct UpgradedWriter {
    connection: Rc<RefCell<BoxConnection>>,
}

pub(super) fn split(
    connection: BoxConnection,
    received: Bytes,
) -> (UpgradedReader, UpgradedWriter) {
    // Borrowed only while one half is polled.
    let connection = Rc::new(RefCell::new(connection));
    let reader = UpgradedReader {
        connection: connection.clone(),
        received,
        buffer: vec![0; READ_BYTES].into_boxed_slice(),
    };
    (reader, UpgradedWriter { connection })
}

impl UpgradedReader {
    /// Waits for bytes and passes them to `take`. Returns false at the end, when
    /// the engine has closed its side.
    ///
    /// # Errors
    ///
    /// Fails with `unavailable` if the connection fails.
    pub async fn read(&mut self, take: impl FnOnce(&[u8])) -> Result<bool, Error> {
        if !self.received.is_empty() {
            take(&std::mem::take(&mut self.received));
            return Ok(true);
        }
        let Self {
            connection, buffer, ..
        } = self;
        let count = poll_fn(|cx| {
            let mut target = ReadBuf::new(buffer);
            let polled = Pin::new(&mut *connection.borrow_mut()).poll_read(cx, target.unfilled());
            polled.map_ok(|()| target.filled().len())
        })
        .await
        .map_err(|error| connection_error(&error))?;
        take(buffer.get(..count).unwrap_or_default());
        Ok(count > 0)
    }
}

impl UpgradedWriter {
    /// Writes and flushes all bytes.
    ///
    /// # Errors
    ///
    /// Fails with `unavailable` if the connection fails.
    pub async fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        let connection = &self.connection;
        while !bytes.is_empty() {
            let count = poll_fn(|cx| Pin::new(&mut *connection.borrow_mut()).poll_write(cx, bytes))
                .await
                .map_err(|error| connection_error(&error))?;
            if count == 0 {
                return Err(connection_error(&std::io::ErrorKind::WriteZero.into()));
            }
            bytes = bytes.get(count..).unwrap_or_default();
        }
        poll_fn(|cx| Pin::new(&mut *connection.borrow_mut()).poll_flush(cx))
            .await
            .map_err(|error| connection_error(&error))
    }

    /// Half-closes the connection: the engine reads the end of its input.
    ///
    /// # Errors
    ///
    /// Fails with `unavailable` if the connection fails.
    pub async fn shutdown(&mut self) -> Result<(), Error> {
        let connection = &self.connection;
        poll_fn(
            |cx| match Pin::new(&mut *connection.borrow_mut()).poll_shutdown(cx) {
                // The engine may already have closed the connection.
                Poll::Ready(Err(error)) if error.kind() == std::io::ErrorKind::NotConnected => {
                    Poll::Ready(Ok(()))
                }
                polled => polled,
            },
        )
        .await
        .map_err(|error| connection_error(&error))
    }
}

fn connection_error(error: &std::io::Error) -> Error {
    Error::unavailable(format!("the connection to the engine failed: {error}"))
}
