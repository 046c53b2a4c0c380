//! A call in progress that has one result.

use std::pin::Pin;
use std::ptr;
use std::rc::Rc;
use std::task::{Context, Poll};

use rdd_sdk_abi as abi;
use rdd_sdk_abi::waker::WakerSlot;

use crate::foreign;
use crate::library_fault::{CallError, LibraryFault, contract_fault};
use crate::library_instance::LibraryInstance;
use crate::thread_tracker::CallSite;

/// A call in progress. As a future, it has the text of the result. Dropping it
/// cancels the call.
pub(crate) struct LibraryCall {
    instance: Rc<LibraryInstance>,
    site: CallSite,
    call: *mut abi::Call,
    poll: abi::PollCall,
    close: unsafe extern "C" fn(*mut abi::Call),
    waker: WakerSlot,
}

impl LibraryCall {
    /// Begins a call with one result. `name` is the name of `function`.
    pub(crate) fn start(
        instance: &Rc<LibraryInstance>,
        name: &'static str,
        function: abi::StartCall,
        parameters: &str,
    ) -> Result<Self, CallError> {
        let site = CallSite::new(name, "");
        let mut call = ptr::null_mut();
        let mut error = abi::Error::new();
        let status = {
            let _entry = instance.tracker().enter(site);
            // SAFETY: this is the thread of the instance, and the pointers are valid.
            unsafe {
                function(
                    instance.as_ptr(),
                    abi::Bytes::new(parameters.as_bytes()),
                    &raw mut call,
                    &raw mut error,
                )
            }
        };
        if status != abi::READY {
            // SAFETY: nothing was called since then.
            return Err(unsafe { foreign::failure(site, status, &error) });
        }
        // SAFETY: the library has just returned the object.
        Ok(unsafe { Self::new(instance.clone(), site, call)? })
    }

    /// Takes a call that the library has returned.
    ///
    /// # Safety
    ///
    /// What the ABI demands: `call` is NULL or a new call of `instance`.
    unsafe fn new(
        instance: Rc<LibraryInstance>,
        site: CallSite,
        call: *mut abi::Call,
    ) -> Result<Self, LibraryFault> {
        if call.is_null() {
            return Err(contract_fault!(
                "{site} returned a NULL pointer for the call"
            ));
        }
        if !call.is_aligned() {
            return Err(contract_fault!(
                "{site} returned a call that is not aligned"
            ));
        }
        // SAFETY: not NULL and aligned, and the ABI demands that it is valid.
        let vtable = unsafe { foreign::read_struct(site, (*call).vtable)? };
        const NAME: &str = "rdd_call_vtable";
        Ok(Self {
            poll: foreign::required(site, NAME, "poll", vtable.poll)?,
            close: foreign::required(site, NAME, "close", vtable.close)?,
            instance,
            site,
            call,
            waker: WakerSlot::default(),
        })
    }
}

impl Future for LibraryCall {
    type Output = Result<String, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let site = this.site.function("poll");
        let waker = this.waker.pointer(cx);
        let mut result = abi::Bytes::EMPTY;
        let mut error = abi::Error::new();
        let status = {
            let _entry = this.instance.tracker().enter(site);
            // SAFETY: this is the thread of the instance, the call was not closed,
            // and the pointers are valid.
            unsafe { (this.poll)(this.call, waker, &raw mut result, &raw mut error) }
        };
        if status != abi::PENDING {
            this.instance.tracker().progress.record();
        }
        match status {
            // SAFETY: nothing was called since then.
            abi::READY => Poll::Ready(
                unsafe { foreign::text(site, "result", result) }.map_err(CallError::from),
            ),
            abi::PENDING => Poll::Pending,
            // SAFETY: as above.
            _ => Poll::Ready(Err(unsafe { foreign::failure(site, status, &error) })),
        }
    }
}

impl Drop for LibraryCall {
    fn drop(&mut self) {
        let _entry = self.instance.tracker().enter(self.site.function("close"));
        // SAFETY: this is the thread of the instance, and the call was not closed.
        unsafe { (self.close)(self.call) };
    }
}
