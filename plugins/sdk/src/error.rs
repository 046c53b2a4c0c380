//! Constructors of the contract's error.

use crate::types::{Error, ErrorCode};

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $code:ident;)*) => {
        impl Error {
            /// Creates an error from a code and a message: one sentence in
            /// lower case without a full stop.
            pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
                Self { code, message: message.into() }
            }

            $($(#[$doc])*
            pub fn $name(message: impl Into<String>) -> Self {
                Self::new(ErrorCode::$code, message)
            })*
        }
    };
}

constructors! {
    /// Creates a `not-found` error: the engine does not have the object.
    not_found => NotFound;
    /// Creates an `invalid-argument` error: a retry cannot succeed.
    invalid_argument => InvalidArgument;
    /// Creates a `conflict` error: the object's state does not allow the call.
    conflict => Conflict;
    /// Creates a `replaced` error: another object has the name now, and nothing
    /// was changed.
    replaced => Replaced;
    /// Creates an `unavailable` error: the engine cannot be reached or cannot
    /// serve the call now.
    unavailable => Unavailable;
    /// Creates an `unsupported` error: the backend or the engine does not
    /// support the call for this object.
    unsupported => Unsupported;
    /// Creates a `timeout` error: the engine did not respond in time.
    timeout => Timeout;
    /// Creates a `cancelled` error: the host stopped the call or stopped reading.
    cancelled => Cancelled;
    /// Creates an `internal` error: the backend or the engine violated its
    /// protocol.
    internal => Internal;
}
