//! The connection that a component is given to its engine.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use rdd_core::{EngineError, ErrorCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use wasmtime::component::{
    Accessor, Destination, FutureReader, HasSelf, Source, StreamConsumer, StreamProducer,
    StreamReader, StreamResult,
};
use wasmtime::{AsContextMut, StoreContextMut};

use crate::activity::{Activity, Progress, caller};
use crate::bindings::transport;
use crate::bindings::types::{Error, ErrorCode as WitCode};
use crate::link::{Half, Link};
use crate::liveness::{Liveness, Lost};
use crate::state::HostState;

/// The way to one engine. Which road it takes is the implementation's
/// business: a component sees bytes.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Opens a connection of its own.
    ///
    /// Errors: `Unavailable`, `PermissionDenied` with the remedy in its
    /// message, `Timeout`.
    async fn connect(&self) -> Result<Connection, EngineError>;
}

/// A connection to an engine. Dropping the writer half-closes it; dropping
/// both closes it.
pub struct Connection {
    /// What the engine sends.
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
    /// What the engine gets.
    pub writer: Box<dyn AsyncWrite + Send + Unpin>,
}

/// How much is read at once where the guest names no size.
const READ_BYTES: usize = 64 * 1024;

/// What whoever waits for a lost engine is told.
const LOST: &str = "the engine sends nothing any more, not even the answer to a ping: it hangs, or the way to it is cut";

type Ended = oneshot::Sender<Result<(), Error>>;

struct FromEngine {
    reader: Box<dyn AsyncRead + Send + Unpin>,
    ended: Option<Ended>,
    liveness: Arc<Liveness>,
    lost: Lost,
    link: Arc<Link>,
    /// Whether the guest waits for bytes.
    waits: bool,
}

impl FromEngine {
    fn wait(&mut self, waits: bool) {
        if self.waits != waits {
            self.waits = waits;
            self.link.waits(Half::FromEngine, waits);
        }
    }

    fn end(&mut self, end: Result<(), String>) -> StreamResult {
        self.wait(false);
        if let Some(ended) = self.ended.take() {
            let end = end.map_err(|message| Error {
                code: WitCode::Unavailable,
                message,
            });
            // The guest may have dropped the future: then nobody asks.
            ended.send(end).ok();
        }
        StreamResult::Dropped
    }
}

impl Drop for FromEngine {
    fn drop(&mut self) {
        self.wait(false);
    }
}

impl<D: 'static> StreamProducer<D> for FromEngine {
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
        let mut guest = destination.as_direct(store, READ_BYTES);
        let mut buffer = ReadBuf::new(guest.remaining());
        let read = match Pin::new(&mut this.reader).poll_read(cx, &mut buffer) {
            Poll::Ready(read) => read.map(|()| buffer.filled().len()),
            Poll::Pending if finish => {
                this.wait(false);
                return Poll::Ready(Ok(StreamResult::Cancelled));
            }
            Poll::Pending if this.lost.poll(cx).is_ready() => {
                return Poll::Ready(Ok(this.end(Err(LOST.to_owned()))));
            }
            Poll::Pending => {
                this.wait(true);
                return Poll::Pending;
            }
        };
        Poll::Ready(Ok(match read {
            Ok(0) => this.end(Ok(())),
            Ok(bytes) => {
                guest.mark_written(bytes);
                this.liveness.received();
                this.wait(false);
                StreamResult::Completed
            }
            Err(error) => this.end(Err(format!("the connection to the engine broke: {error}"))),
        }))
    }
}

struct ToEngine {
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    /// Whether bytes were taken from the guest that may still be in a buffer
    /// of the writer.
    flushing: bool,
    lost: Lost,
    link: Arc<Link>,
    activity: Arc<Activity>,
}

impl Drop for ToEngine {
    fn drop(&mut self) {
        self.link.waits(Half::ToEngine, false);
    }
}

impl ToEngine {
    fn poll<D>(
        &mut self,
        cx: &mut Context<'_>,
        store: StoreContextMut<D>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<StreamResult> {
        if !self.flushing {
            let mut guest = source.as_direct(store);
            if guest.remaining().is_empty() {
                return Poll::Ready(StreamResult::Completed);
            }
            match Pin::new(&mut self.writer).poll_write(cx, guest.remaining()) {
                Poll::Pending if finish => return Poll::Ready(StreamResult::Cancelled),
                Poll::Pending => return self.lost.poll(cx).map(|()| StreamResult::Dropped),
                // A writer that takes nothing will never take anything, and a
                // broken connection shows its error on the reading side.
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(StreamResult::Dropped),
                Poll::Ready(Ok(bytes)) => guest.mark_read(bytes),
            }
            self.flushing = true;
        }
        match Pin::new(&mut self.writer).poll_flush(cx) {
            // The bytes are taken: the next write goes on flushing them.
            Poll::Pending if finish => Poll::Ready(StreamResult::Completed),
            Poll::Pending => self.lost.poll(cx).map(|()| StreamResult::Dropped),
            Poll::Ready(Ok(())) => {
                self.flushing = false;
                Poll::Ready(StreamResult::Completed)
            }
            Poll::Ready(Err(_)) => Poll::Ready(StreamResult::Dropped),
        }
    }
}

impl<D: 'static> StreamConsumer<D> for ToEngine {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<D>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        // Who sends a request is who waits for its answer.
        let call = self.activity.of(caller(&mut store));
        self.link.used_by(call);
        let polled = self.poll(cx, store, source, finish);
        self.link.waits(Half::ToEngine, polled.is_pending());
        polled.map(Ok)
    }
}

impl transport::Host for HostState {}

impl transport::HostWithStore<HostState> for HasSelf<HostState> {
    async fn connect(
        accessor: &Accessor<HostState, Self>,
        tx: StreamReader<u8>,
    ) -> wasmtime::Result<Result<(StreamReader<u8>, FutureReader<Result<(), Error>>), Error>> {
        // Closed when the guest cancels the call while it connects.
        let tx = tx.guard(accessor);
        let (leave, activity, liveness, call) = accessor.with(|mut access| {
            let task = caller(&mut access.as_context_mut());
            let state = access.get();
            let call = state.activity.of(task);
            (
                state.connect(call.as_deref()),
                state.activity.clone(),
                state.grants.liveness.clone(),
                call,
            )
        });
        let opened = match leave {
            Ok((lease, transport)) => {
                let _wait = call.as_ref().map(Progress::wait);
                transport
                    .connect()
                    .await
                    .map(|connection| (lease, connection))
            }
            Err(error) => Err(error),
        };
        let (lease, Connection { reader, writer }) = match opened {
            Ok(opened) => opened,
            Err(error) => return Ok(Err(to_wit(error))),
        };
        let link = Arc::new(Link::new(lease, call));
        let (ended, end) = oneshot::channel();
        let to = ToEngine {
            writer,
            flushing: false,
            lost: liveness.connected(),
            link: link.clone(),
            activity,
        };
        let from = FromEngine {
            reader,
            ended: Some(ended),
            lost: liveness.connected(),
            liveness,
            link,
            waits: false,
        };
        let tx = tx.into_stream();
        accessor.with(|mut access| {
            tx.pipe(&mut access, to)?;
            let rx = StreamReader::new(&mut access, from)?;
            let end = FutureReader::new(&mut access, async move {
                // A guest that stopped reading never learns how it ended.
                wasmtime::error::Ok(end.await.unwrap_or(Ok(())))
            })?;
            Ok(Ok((rx, end)))
        })
    }
}

fn to_wit(error: EngineError) -> Error {
    Error {
        code: match error.code {
            ErrorCode::PermissionDenied => WitCode::PermissionDenied,
            ErrorCode::Timeout => WitCode::Timeout,
            _ => WitCode::Unavailable,
        },
        message: error.message,
    }
}
