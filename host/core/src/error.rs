//! The error of a call to an engine.

use std::fmt;

/// The reason why a call failed. Mirrors `error-code` of the WIT package, an
/// open set: treat a code that you do not handle like [`Internal`](Self::Internal).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The engine does not have the object.
    NotFound,
    /// An argument of the call is invalid; a retry cannot succeed.
    InvalidArgument,
    /// The object is in use, or its state does not allow the call.
    Conflict,
    /// Another object has the name now; nothing was changed.
    Replaced,
    /// The engine denied access.
    PermissionDenied,
    /// The engine cannot be reached, or cannot serve the call now.
    Unavailable,
    /// A limit of the host is reached; the same call may succeed once others have ended.
    LimitReached,
    /// The backend or the engine does not support the call for this object.
    Unsupported,
    /// The engine did not respond in time.
    Timeout,
    /// The caller stopped the call.
    Cancelled,
    /// The backend trapped, exceeded a limit, or violated the contract.
    PluginFailed,
    /// One stream of the backend trapped, exceeded a limit, or violated the
    /// contract. The backend still runs; the same call is likely to fail again.
    StreamFailed,
    /// The engine violated its protocol.
    Internal,
    /// A code of the backend's own, by its short name.
    Other(String),
}

/// A failed call: a code for programs and a message for people.
///
/// ```
/// use rdd_core::{EngineError, ErrorCode};
///
/// let error = EngineError::new(ErrorCode::Unavailable, "connection refused");
/// assert!(error.is_retryable());
/// assert_eq!(error.to_string(), "connection refused");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EngineError {
    /// The code that programs branch on.
    pub code: ErrorCode,
    /// One sentence in lower case without a full stop; the engine's own message
    /// if it gave one.
    pub message: String,
}

impl EngineError {
    /// Creates an error from a code and a message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// Returns whether the same call may succeed later without intervention.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.code,
            ErrorCode::Unavailable
                | ErrorCode::LimitReached
                | ErrorCode::Timeout
                | ErrorCode::PluginFailed
        )
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "not found",
            Self::InvalidArgument => "invalid argument",
            Self::Conflict => "conflict",
            Self::Replaced => "replaced",
            Self::PermissionDenied => "permission denied",
            Self::Unavailable => "unavailable",
            Self::LimitReached => "limit reached",
            Self::Unsupported => "unsupported",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::PluginFailed => "plugin failed",
            Self::StreamFailed => "stream failed",
            Self::Internal => "internal",
            Self::Other(name) => name,
        })
    }
}
