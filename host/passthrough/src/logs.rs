//! `GET /passthrough/engine/logs/{container}`: the checks, in the order that
//! the documentation gives them, and the engine's stream.

use jiff::Timestamp;
use rdd_core::{IdFormat, LogOptions, LogStream, ServingSnapshot, ServingState};

use crate::{limits, params, refusal::Refusal};

/// An opened log.
pub(crate) struct Opened {
    pub(crate) stream: LogStream,
}

/// Checks a request for the log of `id` and opens it. With `probe` nothing of
/// the log is wanted: the same checks, without its content.
pub(crate) async fn open(
    snapshot: &ServingSnapshot,
    id: &str,
    query: &str,
    now: Timestamp,
    probe: bool,
) -> Result<Opened, Refusal> {
    let form = snapshot
        .info
        .as_ref()
        .map_or(IdFormat::Identifier(limits::ANY_ID), |info| info.id_format);
    if !form.matches(id) {
        return Err(Refusal::BadId {
            id: shortened(id),
            form,
        });
    }
    let mut options = params::parse(query, now.into())?;
    if probe {
        options = LogOptions {
            follow: false,
            tail: Some(0),
            ..options
        };
    }
    // 501 before 503: what is not installed does not come back by waiting.
    if let Some(info) = &snapshot.info
        && !info.capabilities.logs
    {
        return Err(Refusal::NoLogs {
            backend: info.name.clone(),
        });
    }
    let engine = match &snapshot.serving {
        ServingState::Ready(engine) => engine,
        ServingState::Unavailable(why) => {
            return Err(Refusal::from_not_serving(&snapshot.backend, why));
        }
    };
    match tokio::time::timeout(limits::ENGINE_ANSWER, engine.get_logs(id, &options)).await {
        Ok(Ok(stream)) => Ok(Opened { stream }),
        Ok(Err(error)) => Err(Refusal::from_engine(&snapshot.backend, id, error)),
        Err(_) => Err(Refusal::Unreachable {
            backend: snapshot.backend.clone(),
            reason: format!("no answer within {} s", limits::ENGINE_ANSWER.as_secs()),
        }),
    }
}

/// A client's text for an error message: long ones are cut at a character.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 80;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
