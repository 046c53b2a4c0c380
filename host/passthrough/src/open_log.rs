//! `GET /passthrough/engine/logs/{container}`: validates the request, in the
//! documented order, and opens the engine's stream.

use jiff::Timestamp;
use rdd_core::{
    ContainerRef, IdFormat, LogOptions, LogStream, ServingSnapshot, ServingState, text,
};

use crate::limits;
use crate::query::{self, LogRequest};
use crate::request_error::StreamRequestError;

/// Validates a request for the log of `id` and opens the log. A probe runs the
/// same checks without reading any content.
pub(crate) async fn open_log(
    snapshot: &ServingSnapshot,
    id: &str,
    query: &str,
    now: Timestamp,
    is_probe: bool,
) -> Result<LogStream, StreamRequestError> {
    let format = snapshot
        .info
        .as_ref()
        .map_or(IdFormat::Identifier(limits::MAX_ID_LENGTH), |info| {
            info.id_format
        });
    if !format.matches(id) {
        return Err(StreamRequestError::InvalidId {
            id: text::quote(id, limits::MAX_QUOTED_ID),
            format,
        });
    }
    let LogRequest {
        namespace,
        mut options,
    } = query::parse_log_request(query, now.into())?;
    if is_probe {
        options = LogOptions {
            follow: false,
            tail: Some(0),
            ..options
        };
    }
    // 501 takes precedence over 503: waiting does not install a backend.
    if let Some(info) = &snapshot.info
        && !info.capabilities.has_any_log()
    {
        return Err(StreamRequestError::LogsUnsupported {
            backend: info.name.clone(),
        });
    }
    let engine = match &snapshot.serving {
        ServingState::Ready(engine) => engine,
        ServingState::Unavailable(reason) => {
            return Err(StreamRequestError::from_unavailable(
                &snapshot.backend,
                reason,
            ));
        }
    };
    let namespace = namespace.unwrap_or_else(|| engine.info().default_namespace().to_owned());
    let container = ContainerRef::new(namespace, id);
    let log = engine.get_logs(&container, &options);
    match tokio::time::timeout(limits::ENGINE_TIMEOUT, log).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(StreamRequestError::from_engine_error(
            &snapshot.backend,
            id,
            error,
        )),
        Err(_) => Err(StreamRequestError::EngineUnreachable {
            backend: snapshot.backend.clone(),
            reason: format!("no answer within {} s", limits::ENGINE_TIMEOUT.as_secs()),
        }),
    }
}
