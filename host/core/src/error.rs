//! How a call to an engine fails.

use std::fmt;

/// Why a call failed. Mirrors `error-code` of the WIT package; read it as an
/// open set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The engine does not know the object.
    NotFound,
    /// The caller passed something that can never work.
    InvalidArgument,
    /// The object is in use, or its state forbids the call.
    Conflict,
    /// Another object bears the name now; nothing was changed.
    Replaced,
    /// The engine refused access.
    PermissionDenied,
    /// The engine cannot be reached or cannot serve now.
    Unavailable,
    /// The backend or the engine cannot do this, ever.
    Unsupported,
    /// The engine did not answer in time.
    Timeout,
    /// The caller stopped the call.
    Cancelled,
    /// The backend broke: a trap, a limit, a rule of the protocol.
    PluginFailed,
    /// One stream of the backend broke in the same way. The backend goes on,
    /// and the same call is likely to break again.
    StreamFailed,
    /// The engine broke a rule of its protocol.
    Internal,
    /// A failure of the backend's own kind, by its short name.
    Other(String),
}

/// A failed call: a code for programs, a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EngineError {
    /// What programs branch on.
    pub code: ErrorCode,
    /// One sentence, lower case, no full stop; the engine's own words where it gave some.
    pub message: String,
}

impl EngineError {
    /// Makes an error of this code and sentence.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// Whether the same call may succeed later without anybody's doing.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.code,
            ErrorCode::Unavailable | ErrorCode::Timeout | ErrorCode::PluginFailed
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
