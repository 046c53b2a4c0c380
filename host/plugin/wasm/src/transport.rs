//! The connection that a component is given to its engine.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use rdd_core::{EngineError, ErrorCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Accessor, Destination, FutureReader, HasSelf, Source, StreamConsumer, StreamProducer,
    StreamReader, StreamResult,
};

use crate::bindings::transport;
use crate::bindings::types::{Error, ErrorCode as WitCode};
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

/// Keeps the connection counted until both of its halves are gone.
type Lease = Arc<OwnedSemaphorePermit>;

type Ended = oneshot::Sender<Result<(), Error>>;

struct FromEngine {
    reader: Box<dyn AsyncRead + Send + Unpin>,
    ended: Option<Ended>,
    _lease: Lease,
}

impl<D> StreamProducer<D> for FromEngine {
    type Item = u8;
    type Buffer = Option<u8>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        destination: Destination<'a, u8, Option<u8>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if destination.remaining(&mut store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let mut guest = destination.as_direct(store, READ_BYTES);
        let mut buffer = ReadBuf::new(guest.remaining());
        let read = match Pin::new(&mut self.reader).poll_read(cx, &mut buffer) {
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => return Poll::Pending,
            Poll::Ready(read) => read.map(|()| buffer.filled().len()),
        };
        let end = match read {
            Ok(0) => Ok(()),
            Ok(bytes) => {
                guest.mark_written(bytes);
                return Poll::Ready(Ok(StreamResult::Completed));
            }
            Err(error) => Err(Error {
                code: WitCode::Unavailable,
                message: format!("the connection to the engine broke: {error}"),
            }),
        };
        if let Some(ended) = self.ended.take() {
            // The guest may have dropped the future: then nobody asks.
            ended.send(end).ok();
        }
        Poll::Ready(Ok(StreamResult::Dropped))
    }
}

struct ToEngine {
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    /// Whether bytes were taken from the guest that may still be in a buffer
    /// of the writer.
    flushing: bool,
    _lease: Lease,
}

impl<D> StreamConsumer<D> for ToEngine {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<D>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let this = &mut *self;
        if !this.flushing {
            let mut guest = source.as_direct(store);
            if guest.remaining().is_empty() {
                return Poll::Ready(Ok(StreamResult::Completed));
            }
            match Pin::new(&mut this.writer).poll_write(cx, guest.remaining()) {
                Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                Poll::Pending => return Poll::Pending,
                // A writer that takes nothing will never take anything, and a
                // broken connection shows its error on the reading side.
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Ok(StreamResult::Dropped)),
                Poll::Ready(Ok(bytes)) => guest.mark_read(bytes),
            }
            this.flushing = true;
        }
        match Pin::new(&mut this.writer).poll_flush(cx) {
            // The bytes are taken: the next write goes on flushing them.
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Completed)),
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) => {
                this.flushing = false;
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(Err(_)) => Poll::Ready(Ok(StreamResult::Dropped)),
        }
    }
}

impl transport::Host for HostState {}

impl transport::HostWithStore<HostState> for HasSelf<HostState> {
    async fn connect(
        accessor: &Accessor<HostState, Self>,
        tx: StreamReader<u8>,
    ) -> wasmtime::Result<Result<(StreamReader<u8>, FutureReader<Result<(), Error>>), Error>> {
        let opened = match accessor.with(|mut access| access.get().connect()) {
            Ok((lease, transport)) => transport
                .connect()
                .await
                .map(|connection| (lease, connection)),
            Err(error) => Err(error),
        };
        let (lease, Connection { reader, writer }) = match opened {
            Ok((lease, connection)) => (Arc::new(lease), connection),
            Err(error) => {
                let mut tx = tx;
                accessor.with(|mut access| tx.close(&mut access))?;
                return Ok(Err(to_wit(error)));
            }
        };
        let (ended, end) = oneshot::channel();
        accessor.with(|mut access| {
            tx.pipe(
                &mut access,
                ToEngine {
                    writer,
                    flushing: false,
                    _lease: lease.clone(),
                },
            )?;
            let rx = StreamReader::new(
                &mut access,
                FromEngine {
                    reader,
                    ended: Some(ended),
                    _lease: lease,
                },
            )?;
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
