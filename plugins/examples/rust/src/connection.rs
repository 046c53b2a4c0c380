//! A connection to the engine: one request, and its response.

use std::future::poll_fn;
use std::pin::Pin;

use hyper::rt::{Read as _, ReadBuf, Write as _};
use rdd_sdk::types::{Error, ErrorCode};
use rdd_sdk::{BoxConnection, Host};

use crate::objects::ObjectBlock;
use crate::request::{EngineRequest, ResponseLine};

/// The size of one read.
const READ_BYTES: usize = 64 * 1024;

/// The maximum length of a line of the engine.
const MAX_LINE_BYTES: usize = 1024 * 1024;

/// The maximum length of a payload of the engine.
const MAX_PAYLOAD_BYTES: usize = 64 * 1024;

/// A connection on which a request was sent, and accepted by the engine.
pub(crate) struct ToyConnection {
    connection: BoxConnection,
    /// Bytes that were received, of which the first `consumed` were returned.
    received: Vec<u8>,
    consumed: usize,
    /// The space for one read.
    chunk: Vec<u8>,
}

/// The error of another engine than the one that this backend is for.
const NOT_TOY: &str = "the engine's response does not begin with ok or error, as a toy engine's does; check the engine's URL";

impl ToyConnection {
    /// Sends a request and reads the `ok` of the response.
    pub(crate) async fn open(host: &Host, request: EngineRequest) -> Result<Self, Error> {
        let mut connection = Self {
            connection: host.connect().await?,
            received: Vec::new(),
            consumed: 0,
            chunk: vec![0; READ_BYTES],
        };
        connection.send(&request.into_bytes()).await?;
        // An error of the engine is that of `line`.
        match connection.line().await?.words().first() {
            Some(&"ok") => Ok(connection),
            _ => Err(Error::internal(NOT_TOY)),
        }
    }

    async fn send(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let connection = &mut self.connection;
            let written = poll_fn(|cx| Pin::new(&mut *connection).poll_write(cx, bytes)).await;
            match written.map_err(|error| lost(&error))? {
                0 => return Err(Error::unavailable("the engine accepts no more bytes")),
                count => bytes = bytes.get(count..).unwrap_or_default(),
            }
        }
        let connection = &mut self.connection;
        let flushed = poll_fn(|cx| Pin::new(&mut *connection).poll_flush(cx)).await;
        flushed.map_err(|error| lost(&error))
    }

    /// Waits for more bytes.
    async fn receive(&mut self) -> Result<(), Error> {
        self.received.drain(..std::mem::take(&mut self.consumed));
        let Self {
            connection,
            chunk,
            received,
            ..
        } = self;
        let mut buffer = ReadBuf::new(chunk);
        poll_fn(|cx| Pin::new(&mut *connection).poll_read(cx, buffer.unfilled()))
            .await
            .map_err(|error| lost(&error))?;
        if buffer.filled().is_empty() {
            return Err(Error::unavailable("the engine closed the connection"));
        }
        received.extend_from_slice(buffer.filled());
        Ok(())
    }

    /// Returns what was received and not returned yet.
    fn rest(&self) -> &[u8] {
        self.received.get(self.consumed..).unwrap_or_default()
    }

    /// Returns whether a whole line was received already.
    pub(crate) fn has_line(&self) -> bool {
        self.rest().contains(&b'\n')
    }

    /// Returns the next line. A line `error` is returned as the error.
    pub(crate) async fn line(&mut self) -> Result<ResponseLine, Error> {
        let mut searched = 0;
        loop {
            let new = self.rest().get(searched..).unwrap_or_default();
            if let Some(length) = new.iter().position(|byte| *byte == b'\n') {
                let end = searched + length;
                let line = ResponseLine::parse(self.rest().get(..end).unwrap_or_default())?;
                self.consumed += end + 1;
                return match line.words()[..] {
                    ["error", code, message] => Err(Error::new(error_code(code), message)),
                    _ => Ok(line),
                };
            }
            searched = self.rest().len();
            if searched > MAX_LINE_BYTES {
                return Err(Error::internal("the engine sent a line of more than 1 MiB"));
            }
            self.receive().await?;
        }
    }

    /// Returns the block that begins with `first`, up to the next empty line.
    pub(crate) async fn block(&mut self, first: ResponseLine) -> Result<ObjectBlock, Error> {
        let mut lines = vec![first];
        loop {
            let line = self.line().await?;
            if line.words() == [""] {
                return Ok(ObjectBlock(lines));
            }
            lines.push(line);
        }
    }

    /// Returns the next `length` bytes as they are.
    pub(crate) async fn payload(&mut self, length: usize) -> Result<&[u8], Error> {
        if length > MAX_PAYLOAD_BYTES {
            return Err(Error::internal(
                "the engine sent a payload of more than 64 KiB",
            ));
        }
        while self.rest().len() < length {
            self.receive().await?;
        }
        let begin = self.consumed;
        self.consumed += length;
        Ok(self.received.get(begin..self.consumed).unwrap_or_default())
    }
}

fn lost(error: &std::io::Error) -> Error {
    Error::unavailable(format!("the connection to the engine failed: {error}"))
}

/// Converts the engine's word for a code, which is the contract's.
fn error_code(word: &str) -> ErrorCode {
    match word {
        "not-found" => ErrorCode::NotFound,
        "invalid-argument" => ErrorCode::InvalidArgument,
        "conflict" => ErrorCode::Conflict,
        "replaced" => ErrorCode::Replaced,
        "permission-denied" => ErrorCode::PermissionDenied,
        "unavailable" => ErrorCode::Unavailable,
        "unsupported" => ErrorCode::Unsupported,
        "timeout" => ErrorCode::Timeout,
        _ => ErrorCode::Internal,
    }
}
