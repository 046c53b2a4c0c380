//! Short ways to make the contract's error.

use crate::types::{Error, ErrorCode};

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $code:ident;)*) => {
        impl Error {
            /// An error of this code and sentence (lower case, no full stop).
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
    /// The engine does not know the object.
    not_found => NotFound;
    /// The caller passed something that can never work.
    invalid_argument => InvalidArgument;
    /// The object's state forbids the call.
    conflict => Conflict;
    /// Another object bears the name now; nothing was changed.
    replaced => Replaced;
    /// The engine cannot be reached or cannot serve now.
    unavailable => Unavailable;
    /// The backend or the engine cannot do this, ever.
    unsupported => Unsupported;
    /// The engine did not answer in time.
    timeout => Timeout;
    /// The host stopped the call, or stopped reading.
    cancelled => Cancelled;
    /// The backend or the engine broke a rule of its protocol.
    internal => Internal;
}
