//! The input of a process: what the host writes, as a backend reads it.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures::channel::mpsc;
use futures::future::{LocalBoxFuture, poll_fn};
use futures::{FutureExt, StreamExt};

use crate::types::TerminalSize;
use crate::{ExecInput, InputReader, InputStream};

/// The maximum number of bytes of standard input that are copied at once.
const MAX_INPUT_BYTES: usize = 64 * 1024;

/// The host's end of the input of a process.
pub(super) struct ProcessInput {
    /// `None` after the end of the input.
    stdin: Option<mpsc::Sender<Bytes>>,
    size: Rc<RefCell<LatestSize>>,
}

/// The size of the terminal that the backend has not read yet.
#[derive(Default)]
struct LatestSize {
    size: Option<TerminalSize>,
    waker: Option<Waker>,
}

impl ProcessInput {
    /// Creates both ends of an input.
    pub(super) fn new() -> (Self, ExecInput) {
        // One piece waits: more is accepted when the backend has read it.
        let (stdin, pieces) = mpsc::channel(0);
        let size = Rc::new(RefCell::new(LatestSize::default()));
        let input = ExecInput {
            stdin: InputStream::new(Box::new(pieces)),
            resizes: InputStream::new(Box::new(size.clone())),
        };
        let host = Self {
            stdin: Some(stdin),
            size,
        };
        (host, input)
    }

    /// Accepts a part of `bytes`. Returns its length, or `None` if the backend
    /// reads no more.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Option<usize>> {
        let Some(stdin) = &mut self.stdin else {
            return Poll::Ready(None);
        };
        if std::task::ready!(stdin.poll_ready(cx)).is_err() {
            return Poll::Ready(None);
        }
        let piece = bytes.get(..MAX_INPUT_BYTES).unwrap_or(bytes);
        let sent = stdin.start_send(Bytes::copy_from_slice(piece));
        Poll::Ready(sent.is_ok().then_some(piece.len()))
    }

    /// Ends the standard input.
    pub(super) fn shut_down(&mut self) {
        self.stdin = None;
    }

    /// Sets the size of the terminal.
    pub(super) fn resize(&self, size: TerminalSize) {
        let waker = {
            let mut latest = self.size.borrow_mut();
            latest.size = Some(size);
            latest.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> InputReader<T> for mpsc::Receiver<T> {
    fn next(&mut self) -> LocalBoxFuture<'_, Option<T>> {
        StreamExt::next(self).boxed_local()
    }
}

impl InputReader<TerminalSize> for Rc<RefCell<LatestSize>> {
    /// Never ends: the host keeps its end for as long as the process runs.
    fn next(&mut self) -> LocalBoxFuture<'_, Option<TerminalSize>> {
        poll_fn(|cx| {
            let mut latest = self.borrow_mut();
            match latest.size.take() {
                Some(size) => Poll::Ready(Some(size)),
                None => {
                    latest.waker = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .boxed_local()
    }
}
