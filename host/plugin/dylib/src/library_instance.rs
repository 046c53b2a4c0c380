//! An instance of a library. It belongs to one thread.

use std::ptr;
use std::rc::Rc;
use std::sync::Arc;

use rdd_sdk_abi as abi;

use crate::backend_library::LibraryFunctions;
use crate::foreign;
use crate::instance_host::InstanceHost;
use crate::library_call::LibraryCall;
use crate::library_fault::{CallError, contract_fault};
use crate::library_stream::LibraryStream;
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

    /// Begins a call with one result. `name` is the name of `function`.
    pub(crate) fn start_call(
        self: &Rc<Self>,
        name: &'static str,
        function: abi::StartCall,
        parameters: &str,
    ) -> Result<LibraryCall, CallError> {
        let site = CallSite::new(name, "");
        let mut call = ptr::null_mut();
        let mut error = abi::Error::new();
        let status = {
            let _entry = self.tracker.enter(site);
            // SAFETY: this is the thread of the instance, and the pointers are valid.
            unsafe {
                function(
                    self.instance,
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
        Ok(unsafe { LibraryCall::new(self.clone(), site, call)? })
    }

    /// Begins a stream. `name` is the name of `function`.
    pub(crate) fn start_stream(
        self: &Rc<Self>,
        name: &'static str,
        function: abi::StartStream,
        parameters: &str,
    ) -> Result<LibraryStream, CallError> {
        let site = CallSite::new(name, "");
        let mut stream = ptr::null_mut();
        let mut error = abi::Error::new();
        let status = {
            let _entry = self.tracker.enter(site);
            // SAFETY: this is the thread of the instance, and the pointers are valid.
            unsafe {
                function(
                    self.instance,
                    abi::Bytes::new(parameters.as_bytes()),
                    &raw mut stream,
                    &raw mut error,
                )
            }
        };
        if status != abi::READY {
            // SAFETY: nothing was called since then.
            return Err(unsafe { foreign::failure(site, status, &error) });
        }
        // SAFETY: the library has just returned the object.
        Ok(unsafe { LibraryStream::new(self.clone(), site, stream)? })
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
