//! The errors of a stream request, and their HTTP responses.

use http::{HeaderMap, HeaderValue, Response, StatusCode};
use rdd_core::{EngineError, ErrorCode, IdFormat, UnavailableReason};
use rdd_gateway::GatewayBody;

use crate::exec_query::ExecParameterError;
use crate::limits;
use crate::log_hub::LogOpenError;
use crate::query::ParameterError;

/// A request that is not upgraded to a stream. The message is for the client and
/// names the remedy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamRequestError {
    #[error(
        "no such path: {path}; logs are at /passthrough/engine/logs/CONTAINER-ID, and processes at /passthrough/engine/exec/CONTAINER-ID"
    )]
    UnknownPath { path: String },
    #[error("method {method} is not allowed here; use GET")]
    MethodNotAllowed { method: http::Method },
    #[error("too many streams are open ({limit}); close some, then try again")]
    TooManyStreams { limit: usize },
    /// A limit of the backend, in a sentence.
    #[error("{0}")]
    LimitReached(String),
    /// `id` is quoted for the message.
    #[error(
        "{id} is not a full container ID: it must be {format}; names and short IDs are resolved by 'rdd logs' or the Kubernetes API"
    )]
    InvalidId { id: String, format: IdFormat },
    #[error(
        "the ID {id} exists in several namespaces of the engine ({}); add the parameter namespace, or use the name of the Container object",
        namespaces.join(", ")
    )]
    AmbiguousId { id: String, namespaces: Vec<String> },
    #[error(transparent)]
    InvalidParameter(#[from] ParameterError),
    #[error("the container engine backend {backend:?} cannot be used: {reason}")]
    BackendNotInstalled { backend: String, reason: String },
    #[error("the backend {backend:?} cannot read logs")]
    LogsUnsupported { backend: String },
    #[error(
        "the backend {backend:?} does not report when the entries of a log were written, so a log cannot be resumed; use the subprotocol rdd.logs.v1+raw without cursor and follow=restart"
    )]
    EntriesUnsupported { backend: String },
    #[error("the backend {backend:?} cannot read the log of container {id}: {reason}")]
    LogUnreadable {
        backend: String,
        id: String,
        reason: String,
    },
    #[error(
        "the container engine is stopped; start it with: kubectl patch app app --type=merge -p '{{\"spec\":{{\"running\":true}}}}'"
    )]
    EngineStopped,
    #[error("the daemon is starting, and the container engine has not answered yet")]
    EngineStarting,
    #[error("the container engine of backend {backend:?} cannot be reached: {reason}")]
    EngineUnreachable { backend: String, reason: String },
    #[error("the backend {backend:?} crashed and is being restarted: {reason}")]
    BackendRestarting { backend: String, reason: String },
    #[error("no container {id} in the engine of backend {backend:?}")]
    ContainerNotFound { backend: String, id: String },
    #[error("the container engine rejected the request: {0}")]
    EngineRejected(EngineError),
    #[error("the log cannot be streamed: {0}")]
    StreamFailed(String),
    #[error("a log is streamed over a WebSocket: {0}")]
    UpgradeRequired(&'static str),
    #[error(
        "the logs of many containers need the subprotocol {0}; name it in Sec-WebSocket-Protocol"
    )]
    SubprotocolRequired(&'static str),
    #[error("the WebSocket handshake is invalid: {0}")]
    InvalidHandshake(&'static str),
    #[error("the daemon is shutting down")]
    ShuttingDown,
    #[error(
        "rdd runs with --read-only and runs no process in a container; start it without --read-only, or use the engine's own tools"
    )]
    ExecReadOnly,
    #[error(transparent)]
    InvalidExecParameter(#[from] ExecParameterError),
    #[error("the backend {backend:?} cannot run processes in containers")]
    ExecUnsupported { backend: String },
    #[error("no process can run in container {id}: {reason}")]
    ContainerConflict { id: String, reason: String },
    #[error("the process cannot be started: {0}")]
    ExecFailed(String),
    #[error("the input and output of a process are streamed over a WebSocket: {0}")]
    ExecUpgradeRequired(&'static str),
}

impl StreamRequestError {
    /// Converts the error of a call to the engine.
    pub(crate) fn from_engine_error(backend: &str, id: &str, error: EngineError) -> Self {
        let (backend, id) = (backend.to_owned(), id.to_owned());
        match error.code {
            ErrorCode::NotFound => Self::ContainerNotFound { backend, id },
            ErrorCode::Unsupported => Self::LogUnreadable {
                backend,
                id,
                reason: error.message,
            },
            ErrorCode::Unavailable | ErrorCode::Timeout | ErrorCode::PermissionDenied => {
                Self::EngineUnreachable {
                    backend,
                    reason: error.message,
                }
            }
            ErrorCode::LimitReached => Self::LimitReached(error.message),
            ErrorCode::PluginFailed => Self::BackendRestarting {
                backend,
                reason: error.message,
            },
            ErrorCode::StreamFailed => Self::StreamFailed(error.message),
            _ => Self::EngineRejected(error),
        }
    }

    /// Converts the error of a call to run a process.
    pub(crate) fn from_exec_error(backend: &str, id: &str, error: EngineError) -> Self {
        match error.code {
            ErrorCode::Unsupported => Self::ExecUnsupported {
                backend: backend.to_owned(),
            },
            ErrorCode::Conflict => Self::ContainerConflict {
                id: id.to_owned(),
                reason: error.message,
            },
            ErrorCode::StreamFailed => Self::ExecFailed(error.message),
            _ => Self::from_engine_error(backend, id, error),
        }
    }

    /// Returns the same error in the words of the exec endpoint.
    pub(crate) fn for_exec(self) -> Self {
        match self {
            Self::UpgradeRequired(reason) => Self::ExecUpgradeRequired(reason),
            error => error,
        }
    }

    /// Converts the error of opening a log.
    pub(crate) fn from_open_error(backend: &str, id: &str, error: LogOpenError) -> Self {
        match error {
            LogOpenError::Engine(error) => Self::from_engine_error(backend, id, error),
            LogOpenError::TooManyStreams { limit } => Self::TooManyStreams { limit },
        }
    }

    /// Converts the reason why no engine is available.
    pub(crate) fn from_unavailable(backend: &str, reason: &UnavailableReason) -> Self {
        match reason.clone() {
            UnavailableReason::BackendNotInstalled { backend, reason } => {
                Self::BackendNotInstalled { backend, reason }
            }
            UnavailableReason::Stopped => Self::EngineStopped,
            UnavailableReason::Starting => Self::EngineStarting,
            UnavailableReason::EngineUnreachable { reason } => Self::EngineUnreachable {
                backend: backend.to_owned(),
                reason,
            },
            UnavailableReason::BackendRestarting { reason } => Self::BackendRestarting {
                backend: backend.to_owned(),
                reason,
            },
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::UnknownPath { .. } | Self::ContainerNotFound { .. } => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooManyStreams { .. } | Self::LimitReached(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::InvalidId { .. }
            | Self::SubprotocolRequired(_)
            | Self::InvalidParameter(_)
            | Self::InvalidExecParameter(_)
            | Self::InvalidHandshake(_) => StatusCode::BAD_REQUEST,
            Self::ExecReadOnly => StatusCode::FORBIDDEN,
            Self::AmbiguousId { .. } | Self::ContainerConflict { .. } => StatusCode::CONFLICT,
            Self::BackendNotInstalled { .. }
            | Self::LogsUnsupported { .. }
            | Self::EntriesUnsupported { .. }
            | Self::LogUnreadable { .. }
            | Self::ExecUnsupported { .. } => StatusCode::NOT_IMPLEMENTED,
            Self::EngineStopped
            | Self::EngineStarting
            | Self::EngineUnreachable { .. }
            | Self::BackendRestarting { .. }
            | Self::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
            Self::EngineRejected(error) if error.code == ErrorCode::InvalidArgument => {
                StatusCode::BAD_REQUEST
            }
            Self::EngineRejected(_) | Self::StreamFailed(_) | Self::ExecFailed(_) => {
                StatusCode::BAD_GATEWAY
            }
            Self::UpgradeRequired(_) | Self::ExecUpgradeRequired(_) => StatusCode::UPGRADE_REQUIRED,
        }
    }

    /// Returns the response to a request with these `headers`.
    pub(crate) fn into_response(self, headers: &HeaderMap) -> Response<GatewayBody> {
        let status = self.status();
        let retry_after = match status {
            StatusCode::TOO_MANY_REQUESTS => Some(limits::STREAM_LIMIT_RETRY_AFTER_SECONDS),
            StatusCode::SERVICE_UNAVAILABLE => Some(limits::ENGINE_RETRY_AFTER_SECONDS),
            _ => None,
        };
        let mut response =
            rdd_gateway::error_response(headers, status, &self.to_string(), retry_after);
        let mut set = |name, value| {
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static(value))
        };
        match self {
            Self::MethodNotAllowed { .. } => {
                set(http::header::ALLOW, "GET");
            }
            Self::UpgradeRequired(_) | Self::ExecUpgradeRequired(_) => {
                set(http::header::UPGRADE, "websocket");
                set(http::header::CONNECTION, "Upgrade");
                set(http::header::SEC_WEBSOCKET_VERSION, "13");
            }
            _ => {}
        }
        response
    }
}
