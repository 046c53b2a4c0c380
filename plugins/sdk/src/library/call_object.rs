//! A call with one result, as the host sees it (`rdd_call`).

use std::task::Poll;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use rdd_sdk_abi as abi;
use rdd_sdk_abi::waker::with_waker;
use serde::Serialize;

use super::guard::{PollOutcome, ReturnBuffer, catch};
use super::records;
use crate::types::Error;

/// A call, which begins with the pointer to its functions.
#[repr(C)]
pub(super) struct CallObject {
    base: abi::Call,
    /// The result as JSON; `None` after it has completed or panicked.
    future: Option<LocalBoxFuture<'static, Result<Vec<u8>, Error>>>,
    returned: ReturnBuffer,
}

static VTABLE: abi::CallVtable = abi::CallVtable {
    size: size_of::<abi::CallVtable>(),
    poll: Some(poll),
    close: Some(close),
};

impl CallObject {
    /// Creates a call whose result is encoded as JSON. The host owns it.
    pub(super) fn with_result<T: Serialize>(
        future: impl Future<Output = Result<T, Error>> + 'static,
    ) -> *mut abi::Call {
        Self::create(future.map(|result| records::encode(&result?)).boxed_local())
    }

    /// Creates a call without a result. The host owns it.
    pub(super) fn without_result(
        future: impl Future<Output = Result<(), Error>> + 'static,
    ) -> *mut abi::Call {
        Self::create(
            future
                .map(|result| result.map(|()| Vec::new()))
                .boxed_local(),
        )
    }

    fn create(future: LocalBoxFuture<'static, Result<Vec<u8>, Error>>) -> *mut abi::Call {
        let call = Box::new(Self {
            base: abi::Call {
                vtable: &raw const VTABLE,
            },
            future: Some(future),
            returned: ReturnBuffer::default(),
        });
        Box::into_raw(call).cast()
    }

    fn poll(&mut self, waker: *const abi::Waker, result: *mut abi::Bytes) -> PollOutcome {
        let Some(mut future) = self.future.take() else {
            return PollOutcome::Failed(Error::internal("the call has completed before"));
        };
        // SAFETY: the host passes a valid waker.
        let polled = unsafe { with_waker(waker, |cx| future.poll_unpin(cx)) };
        match polled {
            Some(Poll::Pending) => {
                self.future = Some(future);
                PollOutcome::Pending
            }
            Some(Poll::Ready(Ok(bytes))) => {
                self.returned.bytes = bytes;
                // SAFETY: the host passes a valid pointer.
                if let Some(result) = unsafe { result.as_mut() } {
                    *result = abi::Bytes::new(&self.returned.bytes);
                }
                PollOutcome::Ready
            }
            Some(Poll::Ready(Err(error))) => PollOutcome::Failed(error),
            None => PollOutcome::Failed(Error::internal("the host's waker is not valid")),
        }
    }
}

unsafe extern "C" fn poll(
    call: *mut abi::Call,
    waker: *const abi::Waker,
    result: *mut abi::Bytes,
    error: *mut abi::Error,
) -> abi::Status {
    // SAFETY: the host passes a call that was not closed, on the instance's thread.
    let call = unsafe { &mut *call.cast::<CallObject>() };
    let outcome = catch(|| call.poll(waker, result));
    // SAFETY: the host passes a valid pointer.
    unsafe { call.returned.finish(error, outcome) }
}

unsafe extern "C" fn close(call: *mut abi::Call) {
    // SAFETY: the host closes each call once, on the instance's thread.
    let call = unsafe { Box::from_raw(call.cast::<CallObject>()) };
    // A panic of a destructor leaves nothing to report it to; it was printed.
    catch(|| drop(call)).ok();
}
