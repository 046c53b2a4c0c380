//! The input of a process: its standard input, and the sizes of its terminal.

use std::collections::VecDeque;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{LocalBoxFuture, ready};

use crate::types::TerminalSize;

/// The implementation of an [`InputStream`], one for each form of a plugin.
pub trait InputReader<T> {
    /// Returns the next item, or `None` at the end. Dropping the future may lose
    /// an item.
    fn next(&mut self) -> LocalBoxFuture<'_, Option<T>>;
}

/// A stream that the host writes.
pub struct InputStream<T>(Box<dyn InputReader<T>>);

impl<T> InputStream<T> {
    /// Wraps an implementation.
    pub fn new(reader: Box<dyn InputReader<T>>) -> Self {
        Self(reader)
    }

    /// Returns the next item, or `None` at the end.
    ///
    /// Dropping the future may lose an item: read in a loop of its own that runs
    /// concurrently with the rest of the call.
    pub async fn next(&mut self) -> Option<T> {
        self.0.next().await
    }
}

/// The input of a process. Dropping `stdin` tells the host that the process
/// accepts no more input.
pub struct ExecInput {
    /// The standard input, in pieces of any size. Its end half-closes the
    /// process's input.
    pub stdin: InputStream<Bytes>,
    /// The sizes of the terminal. Only the last one matters.
    pub resizes: InputStream<TerminalSize>,
}

impl ExecInput {
    /// Creates an input with these items, for tests.
    pub fn from_items(stdin: Vec<Bytes>, resizes: Vec<TerminalSize>) -> Self {
        Self {
            stdin: InputStream::new(Box::new(VecDeque::from(stdin))),
            resizes: InputStream::new(Box::new(VecDeque::from(resizes))),
        }
    }
}

impl<T> InputReader<T> for VecDeque<T> {
    fn next(&mut self) -> LocalBoxFuture<'_, Option<T>> {
        ready(self.pop_front()).boxed_local()
    }
}
