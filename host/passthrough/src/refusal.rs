//! Why a request got no stream, and how that is told.

use http::{HeaderMap, HeaderValue, Response, StatusCode};
use rdd_core::{EngineError, ErrorCode, IdFormat, UnavailableReason};
use rdd_gateway::Body;

use crate::limits;
use crate::params::ParamError;

/// A request that gets no stream. The sentence is for the client: it says
/// what is wrong and what helps.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("no such path: {path}; logs are at /passthrough/engine/logs/CONTAINER-ID")]
    NoSuchEndpoint { path: String },
    #[error("method {method} is not allowed here; use GET")]
    Method { method: http::Method },
    #[error("too many streams are open ({limit}); close some, then try again")]
    TooMany { limit: usize },
    #[error(
        "{id:?} is not a full container ID: it must be {form}; names and short IDs are resolved by 'rdd logs' or the Kubernetes API"
    )]
    BadId { id: String, form: IdFormat },
    #[error(transparent)]
    Param(#[from] ParamError),
    #[error("the container engine backend {backend:?} cannot be used: {reason}")]
    NotInstalled { backend: String, reason: String },
    #[error("the backend {backend:?} cannot read logs")]
    NoLogs { backend: String },
    #[error("the backend {backend:?} cannot read the log of container {id}: {reason}")]
    Unreadable {
        backend: String,
        id: String,
        reason: String,
    },
    #[error(
        "the container engine is stopped; start it with: kubectl patch app app --type=merge -p '{{\"spec\":{{\"running\":true}}}}'"
    )]
    Stopped,
    #[error("the daemon has just begun to look for the engine, which has not answered yet")]
    Starting,
    #[error("the container engine of backend {backend:?} cannot be reached: {reason}")]
    Unreachable { backend: String, reason: String },
    #[error("the backend {backend:?} crashed and is being restarted: {reason}")]
    Restarting { backend: String, reason: String },
    #[error("no container {id} in the engine of backend {backend:?}")]
    NoContainer { backend: String, id: String },
    #[error("the engine refused the request: {0}")]
    Engine(EngineError),
    #[error("the log cannot be streamed: {0}")]
    StreamFailed(String),
    #[error("a log is streamed over a WebSocket: {0}")]
    NotWebSocket(&'static str),
    #[error("the WebSocket handshake is incomplete: {0}")]
    Handshake(&'static str),
    #[error("the daemon is shutting down")]
    Draining,
}

impl Refusal {
    /// What a failed call to the engine means for the request.
    pub(crate) fn from_engine(backend: &str, id: &str, error: EngineError) -> Self {
        let (backend, id) = (backend.to_owned(), id.to_owned());
        match error.code {
            ErrorCode::NotFound => Self::NoContainer { backend, id },
            ErrorCode::Unsupported => Self::Unreadable {
                backend,
                id,
                reason: error.message,
            },
            ErrorCode::Unavailable | ErrorCode::Timeout | ErrorCode::PermissionDenied => {
                Self::Unreachable {
                    backend,
                    reason: error.message,
                }
            }
            ErrorCode::PluginFailed => Self::Restarting {
                backend,
                reason: error.message,
            },
            ErrorCode::StreamFailed => Self::StreamFailed(error.message),
            _ => Self::Engine(error),
        }
    }

    /// Why there is no engine to ask.
    pub(crate) fn from_not_serving(backend: &str, why: &UnavailableReason) -> Self {
        match why.clone() {
            UnavailableReason::BackendNotInstalled { backend, reason } => {
                Self::NotInstalled { backend, reason }
            }
            UnavailableReason::Stopped => Self::Stopped,
            UnavailableReason::Starting => Self::Starting,
            UnavailableReason::EngineUnreachable { reason } => Self::Unreachable {
                backend: backend.to_owned(),
                reason,
            },
            UnavailableReason::BackendRestarting { reason } => Self::Restarting {
                backend: backend.to_owned(),
                reason,
            },
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::NoSuchEndpoint { .. } | Self::NoContainer { .. } => StatusCode::NOT_FOUND,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::BadId { .. } | Self::Param(_) | Self::Handshake(_) => StatusCode::BAD_REQUEST,
            Self::NotInstalled { .. } | Self::NoLogs { .. } | Self::Unreadable { .. } => {
                StatusCode::NOT_IMPLEMENTED
            }
            Self::Stopped
            | Self::Starting
            | Self::Unreachable { .. }
            | Self::Restarting { .. }
            | Self::Draining => StatusCode::SERVICE_UNAVAILABLE,
            Self::Engine(error) if error.code == ErrorCode::InvalidArgument => {
                StatusCode::BAD_REQUEST
            }
            Self::Engine(_) | Self::StreamFailed(_) => StatusCode::BAD_GATEWAY,
            Self::NotWebSocket(_) => StatusCode::UPGRADE_REQUIRED,
        }
    }

    /// The answer; `headers` are the request's.
    pub(crate) fn into_response(self, headers: &HeaderMap) -> Response<Body> {
        let status = self.status();
        let retry_after = match status {
            StatusCode::TOO_MANY_REQUESTS => Some(limits::RETRY_AFTER_PLACES),
            StatusCode::SERVICE_UNAVAILABLE => Some(limits::RETRY_AFTER_ENGINE),
            _ => None,
        };
        let mut response = rdd_gateway::refuse(headers, status, &self.to_string(), retry_after);
        let mut set = |name, value| {
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static(value))
        };
        match self {
            Self::Method { .. } => {
                set(http::header::ALLOW, "GET");
            }
            Self::NotWebSocket(_) => {
                set(http::header::UPGRADE, "websocket");
                set(http::header::CONNECTION, "Upgrade");
                set(http::header::SEC_WEBSOCKET_VERSION, "13");
            }
            _ => {}
        }
        response
    }
}
