//! The log of one container in a subscription, which is read as far as the client
//! has given credit.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::task::AtomicWaker;
use futures::{FutureExt as _, Stream, StreamExt as _};

use crate::log_hub::LogOpenError;
use crate::log_reader::{EntrySelection, LogItem, LogItemStream};

/// The credit of a subscription, in bytes. It may be negative, since the last entry
/// may overdraw it.
#[derive(Debug, Default)]
pub(super) struct CreditCounter(AtomicI64);

impl CreditCounter {
    /// Returns whether entries may be sent.
    fn is_positive(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }

    /// Adds `bytes`. The balance is at most 2^62, which nobody can send.
    pub(super) fn add(&self, bytes: u64) {
        const MAX: i64 = 1 << 62;
        let bytes = i64::try_from(bytes).unwrap_or(MAX);
        let added = |balance: i64| Some(balance.saturating_add(bytes).min(MAX));
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, added)
            .ok();
    }

    /// Subtracts the cost of an entry.
    fn spend(&self, bytes: usize) {
        let cost = i64::try_from(bytes.max(1)).unwrap_or(i64::MAX);
        self.0.fetch_sub(cost, Ordering::Relaxed);
    }
}

/// The switch of one source, shared with the subscription.
#[derive(Debug, Default)]
pub(super) struct SourceHandle {
    is_closed: AtomicBool,
    waker: AtomicWaker,
}

impl SourceHandle {
    /// Has the source polled again, after the credit grew.
    pub(super) fn wake(&self) {
        self.waker.wake();
    }

    /// Ends the source.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        self.waker.wake();
    }
}

/// An item of one source.
pub(super) struct SourceItem {
    /// The subscription.
    pub(super) id: u32,
    pub(super) source: u32,
    pub(super) item: Result<LogItem, LogOpenError>,
}

enum SourceState {
    /// The log is opened without credit, so that it begins where it ends now.
    Opening(BoxFuture<'static, Result<LogItemStream, LogOpenError>>),
    Open(LogItemStream),
    Ended,
}

/// The items of one source, as far as the credit goes.
pub(super) struct SourceStream {
    pub(super) id: u32,
    pub(super) source: u32,
    state: SourceState,
    /// The entries for which there was no credit.
    rest: Option<EntrySelection>,
    credit: Arc<CreditCounter>,
    handle: Arc<SourceHandle>,
}

impl SourceStream {
    /// Creates the stream of a log that is not opened yet.
    pub(super) fn new(
        (id, source): (u32, u32),
        opening: BoxFuture<'static, Result<LogItemStream, LogOpenError>>,
        credit: Arc<CreditCounter>,
        handle: Arc<SourceHandle>,
    ) -> Self {
        Self {
            id,
            source,
            state: SourceState::Opening(opening),
            rest: None,
            credit,
            handle,
        }
    }

    /// Takes the entries that the credit covers; the last one may overdraw it.
    fn take_covered(&mut self, mut selection: EntrySelection) -> LogItem {
        let end = selection.range.end;
        let mut count = selection.range.start;
        // Where the entries may end without credit. A cursor is possible after most
        // entries only, if times are equal.
        let mut end_without_credit = None;
        for (number, length) in selection.costs() {
            if !self.credit.is_positive() {
                if count == selection.range.start {
                    break;
                }
                let known = || selection.batch.next_known(count).unwrap_or(usize::MAX);
                let end = *end_without_credit.get_or_insert_with(known);
                // What is between is not selected.
                if end <= number {
                    count = end;
                    break;
                }
            }
            self.credit.spend(length);
            count = number + 1;
        }
        // What follows is not selected.
        if selection.costs().all(|(number, _)| number < count) {
            count = end;
        }
        if count < end {
            let mut rest = selection.clone();
            rest.range.start = count;
            self.rest = Some(rest);
            selection.range.end = count;
        }
        LogItem::Entries(selection)
    }
}

impl Stream for SourceStream {
    type Item = SourceItem;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<SourceItem>> {
        let this = &mut *self;
        this.handle.waker.register(cx.waker());
        if this.handle.is_closed.load(Ordering::Relaxed) {
            this.state = SourceState::Ended;
        }
        loop {
            let has_credit = this.credit.is_positive();
            let item = match &mut this.state {
                SourceState::Ended => return Poll::Ready(None),
                SourceState::Opening(opening) => match opening.poll_unpin(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(items)) => {
                        this.state = SourceState::Open(items);
                        continue;
                    }
                    Poll::Ready(Err(error)) => {
                        this.state = SourceState::Ended;
                        Err(error)
                    }
                },
                SourceState::Open(_) if !has_credit => return Poll::Pending,
                SourceState::Open(items) => {
                    if let Some(rest) = this.rest.take() {
                        Ok(LogItem::Entries(rest))
                    } else {
                        match items.poll_next_unpin(cx) {
                            Poll::Pending => return Poll::Pending,
                            Poll::Ready(None) => return Poll::Ready(None),
                            Poll::Ready(Some(item)) => item.map_err(LogOpenError::from),
                        }
                    }
                }
            };
            let item = match item {
                Ok(LogItem::Entries(selection)) => Ok(this.take_covered(selection)),
                item => item,
            };
            return Poll::Ready(Some(SourceItem {
                id: this.id,
                source: this.source,
                item,
            }));
        }
    }
}
