//! An instance of a library. It belongs to one thread.

use std::ptr;
use std::rc::Rc;
use std::sync::Arc;

use rdd_sdk_abi as abi;

use crate::backend_library::LibraryFunctions;
use crate::foreign;
use crate::instance_host::InstanceHost;
use crate::library_fault::{CallError, contract_fault};
use crate::thread_tracker::{CallSite, ThreadTracker};

/// An instance. The raw pointers keep it on its thread. Its calls and streams
/// hold a reference, so that it is destroyed after all of them were closed.
pub(crate) struct LibraryInstance {
    functions: LibraryFunctions,
    tracker: Arc<ThreadTracker>,
    instance: *mut abi::Instance,
    /// Made by `Box::into_raw`, and freed after the instance was destroyed.
    host: *mut InstanceHost,
}

impl LibraryInstance {
    /// Creates an instance, on the thread to which it belongs from now on.
    pub(crate) fn create(
        functions: LibraryFunctions,
        tracker: Arc<ThreadTracker>,
        host: Box<InstanceHost>,
    ) -> Result<Rc<Self>, CallError> {
        const SITE: CallSite = CallSite::new("create", "");
        let mut created = Self {
            functions,
            tracker,
            instance: ptr::null_mut(),
            host: Box::into_raw(host),
        };
        let mut error = abi::Error::new();
        let status = {
            let _entry = created.tracker.enter(SITE);
            // SAFETY: the pointers are valid, the host until the instance is
            // destroyed.
            unsafe {
                (functions.create)(
                    created.host.cast_const().cast(),
                    &raw mut created.instance,
                    &raw mut error,
                )
            }
        };
        if status != abi::READY {
            // What the library left there on a failure is no instance.
            created.instance = ptr::null_mut();
            // SAFETY: the texts live until the next call of the library.
            return Err(unsafe { foreign::failure(SITE, status, &error) });
        }
        if created.instance.is_null() {
            return Err(contract_fault!("create returned a NULL pointer for the instance").into());
        }
        Ok(Rc::new(created))
    }

    /// Returns the functions of the library.
    pub(crate) fn functions(&self) -> &LibraryFunctions {
        &self.functions
    }

    /// Returns what the thread does.
    pub(crate) fn tracker(&self) -> &ThreadTracker {
        &self.tracker
    }

    /// Returns the instance as the library's functions take it.
    pub(crate) fn as_ptr(&self) -> *mut abi::Instance {
        self.instance
    }
}

impl Drop for LibraryInstance {
    fn drop(&mut self) {
        if !self.instance.is_null() {
            let _entry = self.tracker.enter(CallSite::new("destroy", ""));
            // SAFETY: all objects of the instance were closed, since each holds a
            // reference to it.
            unsafe { (self.functions.destroy)(self.instance) };
        }
        // SAFETY: made by `Box::into_raw`, and the library does not use it after
        // `destroy`.
        drop(unsafe { Box::from_raw(self.host) });
    }
}
