//! The engine's end of a connection in memory.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

/// The number of bytes that each side may send before the other one reads: that
/// of a unix socket on Linux.
const BUFFER_BYTES: usize = 208 * 1024;

/// The maximum size of the head of a request.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// The engine's end of a connection of a [`ScriptedHost`](super::ScriptedHost).
/// Dropping it closes the connection.
pub struct ScriptedConnection {
    stream: DuplexStream,
    /// The bytes that a server has read after the head of an upgrade.
    received: Bytes,
    /// The number of bytes that can still be sent.
    budget: usize,
    status: Rc<ConnectionStatus>,
}

/// The state of a connection that its end for the backend and the host also use.
#[derive(Default)]
pub(super) struct ConnectionStatus {
    number: usize,
    /// The fault that the backend's end reports after the last byte.
    fault: RefCell<Option<String>>,
    /// What the engine waits for, for the message of a test that ends early.
    pending: RefCell<Option<String>>,
}

impl ConnectionStatus {
    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// Lets the backend's next read at the end fail.
    pub(super) fn set_fault(&self, fault: impl Into<String>) {
        *self.fault.borrow_mut() = Some(fault.into());
    }

    fn set_pending(&self, expected: String) {
        *self.pending.borrow_mut() = Some(expected);
    }

    /// Takes what the engine waits for.
    pub(super) fn take_pending(&self) -> Option<String> {
        self.pending.take()
    }
}

/// The numbers of connections.
#[derive(Default)]
pub(super) struct ConnectionCounter {
    pub(super) total: Cell<usize>,
    pub(super) open: Cell<usize>,
    /// The maximum number of open connections.
    pub(super) peak: Cell<usize>,
}

/// The backend's end of a connection.
pub(super) struct BackendConnection {
    io: TokioIo<DuplexStream>,
    status: Rc<ConnectionStatus>,
    counts: Rc<ConnectionCounter>,
}

/// Creates both ends of a connection.
pub(super) fn connect(counts: &Rc<ConnectionCounter>) -> (BackendConnection, ScriptedConnection) {
    let (near, far) = tokio::io::duplex(BUFFER_BYTES);
    let number = counts.total.get();
    counts.total.set(number + 1);
    let open = counts.open.get() + 1;
    counts.open.set(open);
    counts.peak.set(counts.peak.get().max(open));
    let status = Rc::new(ConnectionStatus {
        number,
        ..ConnectionStatus::default()
    });
    let backend = BackendConnection {
        io: TokioIo::new(near),
        status: Rc::clone(&status),
        counts: Rc::clone(counts),
    };
    let engine = ScriptedConnection::new(far, Bytes::new(), status);
    (backend, engine)
}

impl ScriptedConnection {
    pub(super) fn new(stream: DuplexStream, received: Bytes, status: Rc<ConnectionStatus>) -> Self {
        Self {
            stream,
            received,
            budget: usize::MAX,
            status,
        }
    }

    pub(super) fn status(&self) -> &Rc<ConnectionStatus> {
        &self.status
    }

    /// Returns the number of this connection, counted from 0.
    pub fn number(&self) -> usize {
        self.status.number()
    }

    /// Reads these bytes.
    ///
    /// # Panics
    ///
    /// Panics if other bytes or none come, which fails the test.
    pub async fn expect(&mut self, expected: &[u8]) {
        self.status
            .set_pending(format!("{:?}", expected.escape_ascii().to_string()));
        let mut received = Vec::new();
        while received.len() < expected.len() {
            let mut byte = [0];
            let count = self.read(&mut byte).await;
            received.extend_from_slice(byte.get(..count).unwrap_or_default());
            if count == 0 || !expected.starts_with(&received) {
                panic!(
                    "connection {}: expected {:?}, but {} came{}",
                    self.number(),
                    expected.escape_ascii().to_string(),
                    match received.as_slice() {
                        [] => "nothing".to_owned(),
                        bytes => format!("{:?}", bytes.escape_ascii().to_string()),
                    },
                    if count == 0 { " before the end" } else { "" },
                );
            }
        }
        self.status.take_pending();
    }

    /// Reads the head of a request of HTTP/1.1, whose first line must be this
    /// one. Returns the whole head.
    ///
    /// # Panics
    ///
    /// Panics if another line comes, which fails the test.
    pub async fn expect_head(&mut self, first_line: &str) -> String {
        self.status.set_pending(format!("{first_line:?}"));
        let head = self.read_head().await;
        let came = head
            .as_deref()
            .map(|head| head.lines().next().unwrap_or_default());
        if came != Some(first_line) {
            panic!(
                "connection {}: expected {first_line:?}, but {} came",
                self.number(),
                came.map_or("nothing".to_owned(), |line| format!("{line:?}"))
            );
        }
        self.status.take_pending();
        head.unwrap_or_default()
    }

    /// Reads the head of a request of HTTP/1.1. Returns `None` if the backend
    /// closes the connection first.
    ///
    /// # Panics
    ///
    /// Panics if the head is not complete or exceeds 64 KiB.
    pub async fn read_head(&mut self) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            match self.read(&mut byte).await {
                1 => head.extend(byte),
                _ if head.is_empty() => return None,
                _ => panic!(
                    "connection {}: the backend closed it after {:?}",
                    self.number(),
                    head.escape_ascii().to_string()
                ),
            }
            assert!(head.len() <= MAX_HEAD_BYTES, "the head has no end");
        }
        Some(String::from_utf8_lossy(&head).into_owned())
    }

    /// Reads bytes, at least one and at most as many as `buffer` has. Returns 0
    /// at the end.
    pub async fn read(&mut self, buffer: &mut [u8]) -> usize {
        if !self.received.is_empty() {
            let count = self.received.len().min(buffer.len());
            let now = self.received.split_to(count);
            buffer
                .iter_mut()
                .zip(now)
                .for_each(|(target, byte)| *target = byte);
            return count;
        }
        // A connection in memory does not fail.
        self.stream.read(buffer).await.unwrap_or(0)
    }

    /// Sends bytes, and waits while the backend does not read. Returns false if
    /// the backend has closed the connection, or if it was
    /// [cut](Self::cut_after).
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        let now = bytes.get(..self.budget).unwrap_or(bytes);
        self.budget -= now.len();
        let was_sent = self.stream.write_all(now).await.is_ok();
        if now.len() < bytes.len() {
            self.status.set_fault("the test cut the connection");
            // The end makes the backend see the fault. It may be gone already.
            self.stream.shutdown().await.ok();
            return false;
        }
        was_sent
    }

    /// Fails the connection once this number of further bytes was sent.
    pub fn cut_after(&mut self, bytes: usize) {
        self.budget = bytes;
    }

    /// Waits until the backend closes the connection.
    ///
    /// # Panics
    ///
    /// Panics if bytes come, which fails the test.
    pub async fn expect_close(&mut self) {
        let mut buffer = [0; 256];
        let count = self.read(&mut buffer).await;
        if count > 0 {
            let bytes = buffer.get(..count).unwrap_or_default();
            panic!(
                "connection {}: expected its end, but {:?} came",
                self.number(),
                bytes.escape_ascii().to_string()
            );
        }
    }

    /// Fails the connection: the backend's next read is an error.
    pub fn fail(self) {
        self.status.set_fault("the test failed the connection");
    }

    /// Returns the connection with hyper's I/O traits, for a server.
    pub fn into_io(self) -> TokioIo<DuplexStream> {
        TokioIo::new(self.stream)
    }

    /// Shuts down the engine's direction. The backend can still send.
    pub async fn shutdown(&mut self) {
        // The backend may have closed the connection.
        self.stream.shutdown().await.ok();
    }
}

impl Drop for BackendConnection {
    fn drop(&mut self) {
        self.counts.open.set(self.counts.open.get() - 1);
    }
}

impl Read for BackendConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut out: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // A buffer of its own shows how many bytes were read.
        let mut bytes = vec![0; out.remaining().min(BUFFER_BYTES)];
        let mut target = hyper::rt::ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut self.io).poll_read(cx, target.unfilled()))?;
        match &*self.status.fault.borrow() {
            Some(fault) if target.filled().is_empty() => {
                let fault = io::Error::new(io::ErrorKind::ConnectionReset, fault.as_str());
                return Poll::Ready(Err(fault));
            }
            _ => out.put_slice(target.filled()),
        }
        Poll::Ready(Ok(()))
    }
}

impl Write for BackendConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
