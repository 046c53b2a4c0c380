//! The streams that a process reads: its standard input, and the sizes of its
//! terminal.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut as _, Bytes};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use rdd_core::TerminalSize;
use tokio::sync::{mpsc, watch};
use wasmtime::StoreContextMut;
use wasmtime::component::{Destination, StreamProducer, StreamResult};

use crate::bindings::processes;

/// The number of bytes produced at once if the guest does not specify a size.
const DEFAULT_WRITE_BYTES: usize = 64 * 1024;

/// The producer of the standard input.
pub(crate) struct StdinProducer {
    input: mpsc::Receiver<Bytes>,
    /// What the guest has not read of the last message.
    rest: Bytes,
}

impl StdinProducer {
    pub(crate) fn new(input: mpsc::Receiver<Bytes>) -> Self {
        Self {
            input,
            rest: Bytes::new(),
        }
    }
}

impl<D: 'static> StreamProducer<D> for StdinProducer {
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
        while self.rest.is_empty() {
            self.rest = match self.input.poll_recv(cx) {
                Poll::Ready(Some(bytes)) => bytes,
                Poll::Ready(None) => return Poll::Ready(Ok(StreamResult::Dropped)),
                Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                Poll::Pending => return Poll::Pending,
            };
        }
        let mut guest = destination.as_direct(store, DEFAULT_WRITE_BYTES);
        let mut buffer = guest.remaining();
        let count = buffer.len().min(self.rest.len());
        buffer.put(self.rest.split_to(count));
        guest.mark_written(count);
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

/// The producer of the sizes of the terminal. Only the latest one is sent.
pub(crate) struct ResizeProducer(BoxStream<'static, TerminalSize>);

impl ResizeProducer {
    pub(crate) fn new(mut sizes: watch::Receiver<Option<TerminalSize>>) -> Self {
        sizes.mark_changed();
        Self(
            stream::unfold(sizes, |mut sizes| async move {
                loop {
                    sizes.changed().await.ok()?;
                    let size = *sizes.borrow_and_update();
                    if let Some(size) = size {
                        return Some((size, sizes));
                    }
                }
            })
            .boxed(),
        )
    }

    /// Returns the producer for a process without a terminal, which has no sizes.
    pub(crate) fn none() -> Self {
        Self(stream::empty().boxed())
    }
}

impl<D> StreamProducer<D> for ResizeProducer {
    type Item = processes::TerminalSize;
    type Buffer = Option<processes::TerminalSize>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, processes::TerminalSize, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if destination.remaining(&mut store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let next = match self.0.as_mut().poll_next(cx) {
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            next => ready!(next),
        };
        Poll::Ready(Ok(match next {
            Some(TerminalSize { columns, rows }) => {
                destination.set_buffer(Some(processes::TerminalSize { columns, rows }));
                StreamResult::Completed
            }
            None => StreamResult::Dropped,
        }))
    }
}
