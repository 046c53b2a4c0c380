//! A connection to the engine (`rdd_connection`), with hyper's I/O traits.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use rdd_sdk_abi as abi;
use rdd_sdk_abi::waker::WakerSlot;

use super::guard::read_error;
use super::host_call::missing;
use crate::types::Error;

/// A connection of the host. Dropping it closes the connection.
pub(super) struct HostConnection {
    connection: *mut abi::Connection,
    read_waker: WakerSlot,
    write_waker: WakerSlot,
}

impl HostConnection {
    /// Takes a connection that the host has returned.
    ///
    /// # Safety
    ///
    /// `connection` is a new connection of the host.
    pub(super) unsafe fn new(connection: *mut abi::Connection) -> Self {
        Self {
            connection,
            read_waker: WakerSlot::default(),
            write_waker: WakerSlot::default(),
        }
    }

    fn vtable(&self) -> &abi::ConnectionVtable {
        // SAFETY: the host's objects are valid until they are closed.
        unsafe { &*(*self.connection).vtable }
    }

    /// Waits until the connection is established.
    pub(super) async fn connect(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_unit("poll_connect", self.vtable().poll_connect, cx)).await
    }

    fn poll_unit(
        &mut self,
        name: &str,
        function: Option<abi::PollConnection>,
        cx: &Context<'_>,
    ) -> Poll<Result<(), Error>> {
        let Some(function) = function else {
            return Poll::Ready(Err(missing(name)));
        };
        let waker = self.write_waker.pointer(cx);
        let mut error = abi::Error::new();
        // SAFETY: the connection was not closed, and the pointers are valid.
        match unsafe { function(self.connection, waker, &raw mut error) } {
            abi::PENDING => Poll::Pending,
            abi::READY => Poll::Ready(Ok(())),
            // SAFETY: the error is valid until the next call of the host.
            _ => Poll::Ready(Err(unsafe { read_error(&error) })),
        }
    }
}

fn io_error(error: Error) -> io::Error {
    io::Error::other(error.message)
}

impl Read for HostConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut out: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(poll_read) = self.vtable().poll_read else {
            return Poll::Ready(Err(io_error(missing("poll_read"))));
        };
        if out.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let waker = self.read_waker.pointer(cx);
        let mut count = 0;
        let mut error = abi::Error::new();
        // SAFETY: the host initializes the first `count` bytes and no others.
        let buffer = unsafe { out.as_mut() };
        let (pointer, capacity) = (buffer.as_mut_ptr().cast(), buffer.len());
        // SAFETY: the connection was not closed, and the pointers are valid.
        let status = unsafe {
            poll_read(
                self.connection,
                waker,
                pointer,
                capacity,
                &raw mut count,
                &raw mut error,
            )
        };
        match status {
            abi::PENDING => Poll::Pending,
            abi::END => Poll::Ready(Ok(())),
            abi::READY => {
                // SAFETY: the host has initialized these bytes.
                unsafe { out.advance(count) };
                Poll::Ready(Ok(()))
            }
            // SAFETY: the error is valid until the next call of the host.
            _ => Poll::Ready(Err(io_error(unsafe { read_error(&error) }))),
        }
    }
}

impl Write for HostConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(poll_write) = self.vtable().poll_write else {
            return Poll::Ready(Err(io_error(missing("poll_write"))));
        };
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let waker = self.write_waker.pointer(cx);
        let mut count = 0;
        let mut error = abi::Error::new();
        // SAFETY: the connection was not closed, and the pointers are valid.
        let status = unsafe {
            poll_write(
                self.connection,
                waker,
                abi::Bytes::new(bytes),
                &raw mut count,
                &raw mut error,
            )
        };
        match status {
            abi::PENDING => Poll::Pending,
            abi::READY => Poll::Ready(Ok(count)),
            // SAFETY: the error is valid until the next call of the host.
            _ => Poll::Ready(Err(io_error(unsafe { read_error(&error) }))),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let function = self.vtable().poll_flush;
        self.poll_unit("poll_flush", function, cx).map_err(io_error)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let function = self.vtable().poll_shutdown;
        self.poll_unit("poll_shutdown", function, cx)
            .map_err(io_error)
    }
}

impl Drop for HostConnection {
    fn drop(&mut self) {
        if let Some(close) = self.vtable().close {
            // SAFETY: the connection was not closed.
            unsafe { close(self.connection) };
        }
    }
}
