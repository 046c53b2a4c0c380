//! A call of the host that the library polls: a timer, or a request for
//! credentials.

use std::pin::Pin;
use std::task::Poll;

use rdd_core::EngineError;
use rdd_sdk_abi as abi;
use rdd_sdk_abi::waker::with_waker;
use tokio::runtime::Handle;

use crate::host_function::{code_number, guarded, set_error};

/// What a call computes.
type CallFuture = Pin<Box<dyn Future<Output = Result<String, EngineError>> + Send>>;

/// A call of the host, as the library sees it.
#[repr(C)]
pub(crate) struct HostCall {
    base: abi::Call,
    /// `None` after the call has completed.
    future: Option<CallFuture>,
    /// The result or the error message, which the library borrows.
    text: String,
    runtime: Handle,
}

static VTABLE: abi::CallVtable = abi::CallVtable {
    size: size_of::<abi::CallVtable>(),
    poll: Some(poll),
    close: Some(close),
};

impl HostCall {
    /// Creates a call, which the library owns.
    pub(crate) fn create(
        runtime: Handle,
        future: impl Future<Output = Result<String, EngineError>> + Send + 'static,
    ) -> *mut abi::Call {
        let call = Box::new(Self {
            base: abi::Call {
                vtable: &raw const VTABLE,
            },
            future: Some(Box::pin(future)),
            text: String::new(),
            runtime,
        });
        Box::into_raw(call).cast()
    }
}

unsafe extern "C" fn poll(
    call: *mut abi::Call,
    waker: *const abi::Waker,
    result: *mut abi::Bytes,
    error: *mut abi::Error,
) -> abi::Status {
    let poll = || {
        // SAFETY: the ABI demands that `call` is one that `create` returned and that
        // was not closed, and that one thread at a time uses it.
        let call = unsafe { &mut *call.cast::<HostCall>() };
        let Some(future) = call.future.as_mut() else {
            let message = "the call has completed before";
            // SAFETY: the message is static, and the rest is passed on.
            return unsafe { set_error(error, abi::error_code::INTERNAL, message) };
        };
        let _entered = call.runtime.enter();
        // SAFETY: the ABI demands a valid waker.
        let polled = unsafe { with_waker(waker, |cx| future.as_mut().poll(cx)) };
        let output = match polled {
            Some(Poll::Ready(output)) => output,
            Some(Poll::Pending) => return abi::PENDING,
            None => {
                let message = "the waker is not valid";
                // SAFETY: the message is static, and the rest is passed on.
                return unsafe { set_error(error, abi::error_code::INTERNAL, message) };
            }
        };
        call.future = None;
        match output {
            Ok(text) => {
                call.text = text;
                // SAFETY: the ABI demands that `result` is NULL or valid.
                if let Some(result) = unsafe { result.as_mut() } {
                    *result = abi::Bytes::new(call.text.as_bytes());
                }
                abi::READY
            }
            Err(EngineError { code, message }) => {
                call.text = message;
                // SAFETY: the message lives as long as the call.
                unsafe { set_error(error, code_number(&code), &call.text) }
            }
        }
    };
    // SAFETY: passed on.
    unsafe { guarded(error, poll) }
}

unsafe extern "C" fn close(call: *mut abi::Call) {
    if !call.is_null() {
        // SAFETY: the ABI demands that the library closes a call once.
        drop(unsafe { Box::from_raw(call.cast::<HostCall>()) });
    }
}
