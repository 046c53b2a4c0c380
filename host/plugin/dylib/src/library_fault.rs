//! What a library does wrong, and how a call into it fails.

use rdd_core::{EngineError, ErrorCode};
use rdd_plugin_contract::validation::WatchFault;
use rdd_plugin_contract::{ContractError, ExitKind, ExitReason, MemoryError};

/// A fault of a library, after which its instance ends. The message is the end
/// of a sentence that begins with the backend's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LibraryFault {
    /// It violated the ABI or the contract.
    #[error("violated the contract: {0}")]
    Contract(String),
    /// It caught a panic.
    #[error("panicked: {0}")]
    Panic(String),
    /// The host would hold too much for it.
    #[error(transparent)]
    Memory(MemoryError),
    /// It sent too many changes, as the message says.
    #[error("{0}")]
    Flood(String),
}

impl From<WatchFault> for LibraryFault {
    fn from(fault: WatchFault) -> Self {
        match fault {
            WatchFault::Contract(error) => error.into(),
            WatchFault::Memory(error) => Self::Memory(error),
            WatchFault::Flood { .. } => Self::Flood(fault.to_string()),
        }
    }
}

impl From<&LibraryFault> for ExitReason {
    fn from(fault: &LibraryFault) -> Self {
        let kind = match fault {
            LibraryFault::Contract(_) => ExitKind::Contract,
            LibraryFault::Panic(_) => ExitKind::Trap,
            LibraryFault::Memory(_) => ExitKind::Memory,
            LibraryFault::Flood(_) => ExitKind::Flood,
        };
        Self::guest_fault(fault.to_string()).with_kind(kind)
    }
}

impl From<ContractError> for LibraryFault {
    fn from(ContractError(message): ContractError) -> Self {
        Self::Contract(message)
    }
}

/// Creates a [`LibraryFault::Contract`] from a format string.
macro_rules! contract_fault {
    ($($text:tt)*) => { $crate::library_fault::LibraryFault::Contract(format!($($text)*)) };
}
pub(crate) use contract_fault;

/// The failure of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallError {
    /// The call returned an error.
    Failed(EngineError),
    /// The library is faulty.
    Fault(LibraryFault),
}

impl From<LibraryFault> for CallError {
    fn from(fault: LibraryFault) -> Self {
        Self::Fault(fault)
    }
}

impl CallError {
    /// Returns the error of a call that the host ended.
    pub(crate) fn cancelled() -> Self {
        Self::Failed(EngineError::new(
            ErrorCode::Cancelled,
            "the daemon stopped the call",
        ))
    }
}
