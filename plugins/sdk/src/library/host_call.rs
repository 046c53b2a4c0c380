//! A call of the host in progress (`rdd_call`), as a future.

use std::pin::Pin;
use std::task::{Context, Poll};

use rdd_sdk_abi as abi;
use rdd_sdk_abi::waker::WakerSlot;

use super::guard::{borrow, read_error};
use crate::types::Error;

/// A call of the host. Dropping it closes the call.
pub(super) struct HostCall {
    call: *mut abi::Call,
    waker: WakerSlot,
}

impl HostCall {
    /// Takes a call that the host has returned.
    ///
    /// # Safety
    ///
    /// `call` is a new call of the host.
    pub(super) unsafe fn new(call: *mut abi::Call) -> Self {
        Self {
            call,
            waker: WakerSlot::default(),
        }
    }

    fn vtable(&self) -> &abi::CallVtable {
        // SAFETY: the host's objects are valid until they are closed.
        unsafe { &*(*self.call).vtable }
    }
}

impl Future for HostCall {
    type Output = Result<Vec<u8>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(poll) = self.vtable().poll else {
            return Poll::Ready(Err(missing("poll")));
        };
        let waker = self.waker.pointer(cx);
        let mut result = abi::Bytes::EMPTY;
        let mut error = abi::Error::new();
        // SAFETY: the call was not closed, and the pointers are valid.
        match unsafe { poll(self.call, waker, &raw mut result, &raw mut error) } {
            abi::PENDING => Poll::Pending,
            // SAFETY: the result is valid until the next call of the host.
            abi::READY => Poll::Ready(Ok(unsafe { borrow(result) }.to_vec())),
            // SAFETY: as above.
            _ => Poll::Ready(Err(unsafe { read_error(&error) })),
        }
    }
}

impl Drop for HostCall {
    fn drop(&mut self) {
        if let Some(close) = self.vtable().close {
            // SAFETY: the call was not closed.
            unsafe { close(self.call) };
        }
    }
}

/// Returns the error for a function that the host lacks, against the ABI.
pub(super) fn missing(function: &str) -> Error {
    Error::internal(format!("the host has no function {function}"))
}
