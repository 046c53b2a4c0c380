//! The log line of a panic in what handles a request. Nobody awaits it, so the panic
//! would be lost otherwise.

use std::any::Any;

/// Logs a panic with its message.
pub(crate) fn log_panic(panic: &(dyn Any + Send)) {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(
        panic = message,
        "handling a request panicked; report this bug"
    );
}
