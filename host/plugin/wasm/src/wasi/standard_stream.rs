//! Standard output and standard error of a component: lines of the daemon's log.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use super::line_buffer::LineBuffer;
use crate::bindings::host::LogLevel;
use crate::host_context::HostContext;

/// The number of bytes that the component may write at once.
const WRITE_BYTES: usize = 64 * 1024;

/// One of the two streams. What is written through any copy is one text.
#[derive(Clone)]
pub(super) struct StandardStream(Arc<Inner>);

struct Inner {
    host: Arc<HostContext>,
    level: LogLevel,
    line: Mutex<LineBuffer>,
}

impl StandardStream {
    pub(super) fn new(host: Arc<HostContext>, level: LogLevel) -> Self {
        Self(Arc::new(Inner {
            host,
            level,
            line: Mutex::default(),
        }))
    }

    fn push(&self, bytes: &[u8]) {
        let Inner { host, level, line } = &*self.0;
        // A panic while the lock is held leaves the line valid.
        let mut line = line.lock().unwrap_or_else(PoisonError::into_inner);
        line.push(bytes, |line| host.log(*level, line));
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let Self { host, level, line } = self;
        let line = line.get_mut().unwrap_or_else(PoisonError::into_inner);
        line.flush(|line| host.log(*level, line));
    }
}

impl IsTerminal for StandardStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for StandardStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for StandardStream {
    async fn ready(&mut self) {}
}

impl OutputStream for StandardStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES)
    }
}

impl AsyncWrite for StandardStream {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.push(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
