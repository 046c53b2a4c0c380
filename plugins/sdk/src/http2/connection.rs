//! A connection that carries many requests.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;

use bytes::Bytes;
use futures::FutureExt;
use http_body_util::{Either, Full, StreamBody};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};

use super::error::{RequestError, connection_error, request_error};
use super::stream::PieceStream;
use super::task_set::{SpawnQueue, TaskSet};
use crate::Host;
use crate::types::Error;

/// The maximum number of streams of a connection, so that all of them fit into
/// its window: a stream whose reader pauses must not block the others.
pub(super) const MAX_STREAMS: u32 = 64;

/// The number of bytes that the engine may send on a stream before they are
/// consumed: two of the largest batches.
const STREAM_WINDOW_BYTES: u32 = 128 * 1024;

/// The number of bytes that the engine may send on a connection.
const CONNECTION_WINDOW_BYTES: u32 = MAX_STREAMS * STREAM_WINDOW_BYTES;

/// The maximum number of bytes of a request body that wait to be written.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// The maximum size of the headers of a response, and of its trailers.
const MAX_HEADER_BYTES: u32 = 64 * 1024;

/// The number of streams that are reset before a connection is replaced. h2
/// fails a connection after 1,024 frames on streams that it has forgotten; for
/// each reset stream, a full window in frames of 16 KiB may be in flight.
const MAX_RESETS: u32 = 64;

/// The number of reset streams that h2 remembers. It would measure for how long
/// with `Instant::now`, which panics in a component. Frames on a stream that is
/// forgotten are refused one by one.
const REMEMBERED_RESETS: usize = 0;

/// The body of a request: complete, or written piece by piece.
pub(super) type RequestBody = Either<Full<Bytes>, StreamBody<PieceStream>>;

/// A connection, driven by the futures that wait for its streams.
pub(super) struct Http2Connection {
    sender: SendRequest<RequestBody>,
    tasks: TaskSet,
    open_streams: Cell<u32>,
    resets: Cell<u32>,
    /// Why the connection ended, if it failed.
    failure: Rc<RefCell<Option<hyper::Error>>>,
}

impl Http2Connection {
    /// Opens a new connection to the engine.
    pub(super) async fn open(host: &Host) -> Result<Rc<Self>, Error> {
        let io = host.connect().await?;
        let spawned = SpawnQueue::default();
        let (sender, driver) = Builder::new(spawned.clone())
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(SEND_BUFFER_BYTES)
            .max_header_list_size(MAX_HEADER_BYTES)
            .max_concurrent_reset_streams(REMEMBERED_RESETS)
            .handshake(io)
            .await
            .map_err(|error| connection_error(&error))?;
        let failure = Rc::new(RefCell::new(None));
        let tasks = TaskSet::new(spawned);
        let failed = Rc::clone(&failure);
        tasks.spawn(
            async move {
                if let Err(error) = driver.await {
                    *failed.borrow_mut() = Some(error);
                }
            }
            .boxed_local(),
        );
        Ok(Rc::new(Self {
            sender,
            tasks,
            open_streams: Cell::new(0),
            resets: Cell::new(0),
            failure,
        }))
    }

    /// Returns whether the connection can carry another request. Reads what the
    /// engine has sent since the connection was used.
    pub(super) fn is_usable(&self) -> bool {
        self.tasks.poll();
        !self.sender.is_closed() && self.resets.get() < MAX_RESETS
    }

    /// Returns whether the connection has as many streams as it may have.
    pub(super) fn is_full(&self) -> bool {
        self.open_streams.get() >= MAX_STREAMS
    }

    pub(super) fn tasks(&self) -> &TaskSet {
        &self.tasks
    }

    /// Sends a request and waits for the head of the response.
    pub(super) async fn send(
        &self,
        name: &str,
        request: hyper::Request<RequestBody>,
    ) -> Result<hyper::Response<Incoming>, RequestError> {
        let mut sender = self.sender.clone();
        let mut response = pin!(sender.try_send_request(request));
        let result = self.tasks.drive(|cx| response.as_mut().poll(cx)).await;
        result.map_err(|failed| {
            let was_sent = failed.message().is_none();
            let mut error = RequestError::new(name, failed.error(), was_sent);
            // The connection's own error is more specific than that the request
            // was canceled with it.
            if let Some(failure) = &*self.failure.borrow()
                && failed.error().is_canceled()
            {
                error.error = request_error(name, failure);
            }
            error
        })
    }
}

/// A stream in use. Dropping it before its end resets the stream.
pub(super) struct OpenStream {
    connection: Rc<Http2Connection>,
    is_complete: Cell<bool>,
}

impl OpenStream {
    /// Counts a new stream of `connection`.
    pub(super) fn new(connection: Rc<Http2Connection>) -> Rc<Self> {
        connection
            .open_streams
            .set(connection.open_streams.get() + 1);
        Rc::new(Self {
            connection,
            is_complete: Cell::new(false),
        })
    }

    pub(super) fn connection(&self) -> &Http2Connection {
        &self.connection
    }

    pub(super) fn connection_rc(&self) -> Rc<Http2Connection> {
        Rc::clone(&self.connection)
    }

    /// Records that the engine has ended the stream.
    pub(super) fn complete(&self) {
        self.is_complete.set(true);
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let connection = &self.connection;
        connection
            .open_streams
            .set(connection.open_streams.get().saturating_sub(1));
        if !self.is_complete.get() {
            connection
                .resets
                .set(connection.resets.get().saturating_add(1));
            // hyper's handles of the stream are gone. This sends the reset even
            // if nobody waits for the connection.
            connection.tasks.poll();
            if connection.open_streams.get() == 0 {
                // Nobody would send what could not be sent at once.
                connection.tasks.close();
            }
        }
    }
}
