//! The rules of the contract that the types of [`rdd_core`] do not express, for
//! what a backend returns.

mod names;

mod info;
mod object;
mod response;
mod watch;

pub use info::backend_info;
pub use names::{SizeBudget, check_name, check_namespace, is_backend_name, quote};
pub use object::{object, object_ref};
pub use response::{
    TransferValidator, created_container, created_volume, engine_error, inspection, output_chunk,
};
pub use watch::{WatchFault, WatchValidator};

/// A violation of the contract by a backend. The message is the end of a
/// sentence that begins with the backend's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("violated the contract: {0}")]
pub struct ContractError(pub String);

/// Creates a [`ContractError`] from a format string.
macro_rules! contract_error {
    ($($text:tt)*) => { $crate::validation::ContractError(format!($($text)*)) };
}
pub(crate) use contract_error;
