//! Faults of a guest that wasmtime reports as text and without a type, with a
//! sentence for the author of the backend.
//!
//! The texts are those of wasmtime 48. A test runs a component with each fault, so
//! that a new version with other texts is noticed.

use rdd_plugin_contract::{ExitKind, ExitReason};

use crate::limits::MAX_HANDLES;

/// A fault that wasmtime has no type for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GuestFault {
    /// It holds more handles than one instance may have.
    #[error(
        "ran out of handles: one instance may hold {MAX_HANDLES} streams, futures, and tasks; drop each as soon as it is not needed"
    )]
    Handles,
    /// It wrote to a stream or a future whose reader is gone.
    #[error(
        "violated the contract: it wrote to a stream or future after a write had returned that the reader is gone; end the call then"
    )]
    ClosedReader,
}

impl GuestFault {
    /// Returns the fault that an error of wasmtime describes, if it is one of these.
    pub(crate) fn of(error: &wasmtime::Error) -> Option<Self> {
        error.chain().find_map(|cause| {
            let text = cause.to_string();
            if text.starts_with("cannot allocate another handle") {
                Some(Self::Handles)
            } else if text.starts_with("cannot write after being notified")
                || text.starts_with("cannot write to future after")
            {
                Some(Self::ClosedReader)
            } else {
                None
            }
        })
    }
}

impl From<GuestFault> for ExitReason {
    fn from(fault: GuestFault) -> Self {
        let kind = match fault {
            GuestFault::Handles => ExitKind::Memory,
            GuestFault::ClosedReader => ExitKind::Contract,
        };
        Self::guest_fault(fault.to_string()).with_kind(kind)
    }
}
