//! The import `transport`: a component's connections to its engine.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rdd_core::{EngineError, ErrorCode};
use rdd_plugin_contract::{EngineConnection, ProgressCounter};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use wasmtime::component::{
    Accessor, Destination, FutureReader, HasSelf, Source, StreamConsumer, StreamProducer,
    StreamReader, StreamResult,
};
use wasmtime::{AsContextMut, StoreContextMut};

use crate::bindings::transport;
use crate::bindings::types::{Error, ErrorCode as WitCode};
use crate::call_tracker::{CallState, CallTracker, calling_task};
use crate::connection_tracker::{ConnectionTracker, StreamDirection};
use crate::host_state::HostState;
use crate::liveness::{ConnectionGuard, EngineLiveness};

/// The number of bytes read at once if the guest does not specify a size.
const DEFAULT_READ_BYTES: usize = 64 * 1024;

/// The end of a connection that is not orderly.
#[derive(Debug, thiserror::Error)]
enum ConnectionError {
    /// The liveness probe failed.
    #[error(
        "the engine does not respond, not even to a ping; check that it is running and reachable"
    )]
    Lost,
    /// Reading failed.
    #[error("the connection to the engine failed: {0}")]
    Read(std::io::Error),
    /// Nobody needs the rest of the response.
    #[error("the host stopped the call that used the connection")]
    Stopped,
}

impl ConnectionError {
    fn code(&self) -> WitCode {
        match self {
            Self::Lost | Self::Read(_) => WitCode::Unavailable,
            Self::Stopped => WitCode::Cancelled,
        }
    }
}

/// The producer of the guest's stream of bytes from the engine.
struct EngineReader {
    reader: Box<dyn AsyncRead + Send + Unpin>,
    end: Option<oneshot::Sender<Result<(), Error>>>,
    liveness: Arc<EngineLiveness>,
    registration: ConnectionGuard,
    tracker: Arc<ConnectionTracker>,
    progress: Arc<ProgressCounter>,
    /// Whether the guest waits for bytes.
    is_waiting: bool,
    /// Resolves when the guest has ended its side, and the host has stopped the
    /// call that last wrote to it. A guest whose toolchain cannot cancel a read
    /// has no other way to close the connection.
    abandoned: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl EngineReader {
    fn set_waiting(&mut self, is_waiting: bool) {
        if self.is_waiting != is_waiting {
            self.is_waiting = is_waiting;
            self.tracker
                .set_waiting(StreamDirection::FromEngine, is_waiting);
        }
    }

    fn end(&mut self, result: Result<(), ConnectionError>) -> StreamResult {
        self.set_waiting(false);
        if let Some(end) = self.end.take() {
            let result = result.map_err(|error| Error {
                code: error.code(),
                message: error.to_string(),
            });
            // Fails if the guest dropped the future.
            end.send(result).ok();
        }
        StreamResult::Dropped
    }
}

impl Drop for EngineReader {
    fn drop(&mut self) {
        self.set_waiting(false);
    }
}

impl<D: 'static> StreamProducer<D> for EngineReader {
    type Item = u8;
    type Buffer = Option<u8>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        destination: Destination<'a, u8, Option<u8>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let this = &mut *self;
        if destination.remaining(&mut store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let mut guest = destination.as_direct(store, DEFAULT_READ_BYTES);
        let mut buffer = ReadBuf::new(guest.remaining());
        let read = match Pin::new(&mut this.reader).poll_read(cx, &mut buffer) {
            Poll::Ready(read) => read.map(|()| buffer.filled().len()),
            Poll::Pending if finish => {
                this.set_waiting(false);
                return Poll::Ready(Ok(StreamResult::Cancelled));
            }
            Poll::Pending if this.registration.poll_lost(cx).is_ready() => {
                return Poll::Ready(Ok(this.end(Err(ConnectionError::Lost))));
            }
            Poll::Pending if this.abandoned.as_mut().poll(cx).is_ready() => {
                return Poll::Ready(Ok(this.end(Err(ConnectionError::Stopped))));
            }
            Poll::Pending => {
                this.set_waiting(true);
                return Poll::Pending;
            }
        };
        Poll::Ready(Ok(match read {
            Ok(0) => this.end(Ok(())),
            Ok(bytes) => {
                guest.mark_written(bytes);
                this.liveness.record_received();
                this.progress.record();
                this.set_waiting(false);
                StreamResult::Completed
            }
            Err(error) => this.end(Err(ConnectionError::Read(error))),
        }))
    }
}

/// The consumer of the guest's stream of bytes to the engine.
struct EngineWriter {
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    /// Whether bytes from the guest may still be in a buffer of the writer.
    is_flushing: bool,
    registration: ConnectionGuard,
    tracker: Arc<ConnectionTracker>,
    progress: Arc<ProgressCounter>,
    calls: Arc<CallTracker>,
    /// Gets the call that last wrote, when the guest has ended its side.
    ended: Option<oneshot::Sender<Arc<CallState>>>,
}

impl Drop for EngineWriter {
    fn drop(&mut self) {
        self.tracker.set_waiting(StreamDirection::ToEngine, false);
        if let (Some(ended), Some(user)) = (self.ended.take(), self.tracker.user()) {
            // Fails if the reader is gone, too.
            ended.send(user).ok();
        }
    }
}

/// Returns when a call that `ended` names was stopped.
async fn abandoned(ended: oneshot::Receiver<Arc<CallState>>) {
    match ended.await {
        Ok(call) => call.stopped().await,
        // No call used the connection.
        Err(_) => std::future::pending().await,
    }
}

impl EngineWriter {
    fn poll<D>(
        &mut self,
        cx: &mut Context<'_>,
        store: StoreContextMut<D>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<StreamResult> {
        if !self.is_flushing {
            let mut guest = source.as_direct(store);
            if guest.remaining().is_empty() {
                return Poll::Ready(StreamResult::Completed);
            }
            match Pin::new(&mut self.writer).poll_write(cx, guest.remaining()) {
                Poll::Pending if finish => return Poll::Ready(StreamResult::Cancelled),
                Poll::Pending => {
                    return self
                        .registration
                        .poll_lost(cx)
                        .map(|()| StreamResult::Dropped);
                }
                // A writer that accepts no bytes never will, and a failed
                // connection returns its error on the reading side.
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(StreamResult::Dropped),
                Poll::Ready(Ok(bytes)) => {
                    guest.mark_read(bytes);
                    self.progress.record();
                }
            }
            self.is_flushing = true;
        }
        match Pin::new(&mut self.writer).poll_flush(cx) {
            // The bytes were accepted: the next write continues to flush them.
            Poll::Pending if finish => Poll::Ready(StreamResult::Completed),
            Poll::Pending => self
                .registration
                .poll_lost(cx)
                .map(|()| StreamResult::Dropped),
            Poll::Ready(Ok(())) => {
                self.is_flushing = false;
                Poll::Ready(StreamResult::Completed)
            }
            Poll::Ready(Err(_)) => Poll::Ready(StreamResult::Dropped),
        }
    }
}

impl<D: 'static> StreamConsumer<D> for EngineWriter {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<D>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        // The call that sends a request also waits for the response.
        let call = self.calls.get(calling_task(&mut store));
        self.tracker.set_user(call);
        let polled = self.poll(cx, store, source, finish);
        self.tracker
            .set_waiting(StreamDirection::ToEngine, polled.is_pending());
        polled.map(Ok)
    }
}

impl transport::Host for HostState {}

impl transport::HostWithStore<HostState> for HasSelf<HostState> {
    async fn connect(
        accessor: &Accessor<HostState, Self>,
        tx: StreamReader<u8>,
    ) -> wasmtime::Result<Result<(StreamReader<u8>, FutureReader<Result<(), Error>>), Error>> {
        // Closes the stream if the guest cancels the call while it connects.
        let tx = tx.guard(accessor);
        let (permit, calls, liveness, progress, call) = accessor.with(|mut access| {
            let task = calling_task(&mut access.as_context_mut());
            let state = access.get();
            let call = state.calls.get(task);
            (
                state.acquire_connection(call.as_deref()),
                state.calls.clone(),
                state.host.liveness.clone(),
                state.progress.clone(),
                call,
            )
        });
        let opened = match permit {
            Ok((permit, transport)) => {
                let _wait = call.as_ref().map(CallState::begin_wait);
                transport
                    .connect()
                    .await
                    .map(|connection| (permit, connection))
            }
            Err(error) => Err(error),
        };
        let (permit, EngineConnection { reader, writer }) = match opened {
            Ok(opened) => opened,
            Err(error) => return Ok(Err(to_wit_error(error))),
        };
        let tracker = Arc::new(ConnectionTracker::new(permit, call));
        let (end_sender, end) = oneshot::channel();
        let (ended_sender, ended) = oneshot::channel();
        let writer = EngineWriter {
            writer,
            is_flushing: false,
            registration: liveness.register_connection(),
            tracker: tracker.clone(),
            progress: progress.clone(),
            calls,
            ended: Some(ended_sender),
        };
        let reader = EngineReader {
            reader,
            end: Some(end_sender),
            registration: liveness.register_connection(),
            liveness,
            tracker,
            progress,
            is_waiting: false,
            abandoned: Box::pin(abandoned(ended)),
        };
        let tx = tx.into_stream();
        accessor.with(|mut access| {
            tx.pipe(&mut access, writer)?;
            let rx = StreamReader::new(&mut access, reader)?;
            let end = FutureReader::new(&mut access, async move {
                // The sender is dropped without a value if the guest stopped
                // reading before the end.
                wasmtime::error::Ok(end.await.unwrap_or(Ok(())))
            })?;
            Ok(Ok((rx, end)))
        })
    }
}

fn to_wit_error(error: EngineError) -> Error {
    Error {
        code: match error.code {
            ErrorCode::PermissionDenied => WitCode::PermissionDenied,
            ErrorCode::Timeout => WitCode::Timeout,
            _ => WitCode::Unavailable,
        },
        message: error.message,
    }
}
