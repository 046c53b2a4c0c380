//! What a call leaves to the calls after it.
//!
//! A connection may outlive the call that used it: an idle one is kept for the
//! next request, and the streams of an HTTP/2 connection belong to several
//! calls. A pending read or write belongs to the component-model task that
//! polled it last. wit-bindgen keeps this task until the operation completes,
//! and forever if another task takes the operation over. So the last thing that
//! a call does is to cancel the operations that it leaves, which loses no bytes.
//! Whoever waits for such a connection is woken up, and starts them again in a
//! task of its own.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use futures::FutureExt;
use futures::future::LocalBoxFuture;

/// The number of a call in this instance.
pub(super) type CallId = u64;

thread_local! {
    /// The number of the last call.
    static LAST: Cell<CallId> = const { Cell::new(0) };
    /// The call that is polled.
    static CURRENT: Cell<CallId> = const { Cell::new(0) };
    static CONNECTIONS: RefCell<Vec<Weak<dyn HeldConnection>>> = const { RefCell::new(Vec::new()) };
}

/// A connection that calls may leave to others.
pub(super) trait HeldConnection {
    /// Cancels the operations that `call` polled last.
    fn release(&self, call: CallId);
}

/// Adds a connection to those that a call releases at its end.
pub(super) fn register(connection: Rc<dyn HeldConnection>) {
    let connection = Rc::downgrade(&connection);
    CONNECTIONS.with_borrow_mut(|connections| {
        connections.retain(|known| known.strong_count() > 0);
        connections.push(connection);
    });
}

/// A call in progress. Dropping it cancels the operations that the call leaves.
pub(super) struct CallScope(CallId);

impl CallScope {
    /// Begins a call.
    pub(super) fn new() -> Self {
        let id = LAST.get() + 1;
        LAST.set(id);
        Self(id)
    }

    /// Returns a part of the call whose operations belong to the call.
    pub(super) fn part<'a, T>(&self, part: LocalBoxFuture<'a, T>) -> CallFuture<'a, T> {
        CallFuture {
            call: self.0,
            future: Some(part),
        }
    }
}

/// A part of a call. Its future is boxed, so that there is one copy of this code
/// for all calls with the same output.
pub(super) struct CallFuture<'a, T> {
    call: CallId,
    /// `None` once it is ready.
    future: Option<LocalBoxFuture<'a, T>>,
}

impl<T> CallFuture<'_, T> {
    /// Runs `work` on behalf of the call.
    fn enter<R>(&mut self, work: impl FnOnce(&mut Self) -> R) -> R {
        let outer = CURRENT.replace(self.call);
        let output = work(self);
        CURRENT.set(outer);
        output
    }
}

impl<T> Future for CallFuture<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        self.enter(|part| match &mut part.future {
            Some(future) => {
                let polled = future.as_mut().poll(cx);
                if polled.is_ready() {
                    part.future = None;
                }
                polled
            }
            None => Poll::Pending,
        })
    }
}

impl<T> Drop for CallFuture<'_, T> {
    fn drop(&mut self) {
        // A stream that is dropped polls its connection.
        self.enter(|part| part.future = None);
    }
}

impl Drop for CallScope {
    fn drop(&mut self) {
        // Waking others up must not find the list borrowed.
        let connections = CONNECTIONS.with_borrow(Clone::clone);
        for connection in connections {
            if let Some(connection) = connection.upgrade() {
                connection.release(self.0);
            }
        }
    }
}

/// An operation on a stream or future that can be canceled without losing its
/// state.
pub(super) struct StreamOperation<T> {
    future: LocalBoxFuture<'static, T>,
    is_canceled: Rc<Cell<bool>>,
    /// The call that polled it last, and its waker.
    last_poll: Option<(CallId, Waker)>,
}

impl<T> StreamOperation<T> {
    /// Creates an operation. When the flag is set, its future must be ready.
    pub(super) fn new<F>(start: impl FnOnce(Rc<Cell<bool>>) -> F) -> Self
    where
        F: Future<Output = T> + 'static,
    {
        let is_canceled = Rc::new(Cell::new(false));
        Self {
            future: start(Rc::clone(&is_canceled)).boxed_local(),
            is_canceled,
            last_poll: None,
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        let polled = self.future.as_mut().poll(cx);
        if polled.is_pending() {
            self.last_poll = Some((CURRENT.get(), cx.waker().clone()));
        }
        polled
    }

    /// Cancels the operation if `call` polled it last. Returns its output and
    /// whom to wake up.
    pub(super) fn cancel(&mut self, call: CallId) -> Option<(T, Waker)> {
        let (_, waker) = self.last_poll.take_if(|(last, _)| *last == call)?;
        self.is_canceled.set(true);
        match self
            .future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(output) => Some((output, waker)),
            Poll::Pending => None,
        }
    }
}
