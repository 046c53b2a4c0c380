//! A scripted Docker engine.

use std::time::Duration;

use rdd_backend_moby::MobyBackend;
use rdd_sdk::Backend;
use rdd_sdk::http::StatusCode;
use rdd_sdk::testing::{CallHandle, EngineResponse, ScriptedEngine};
use rdd_sdk::types::Event;

/// The maximum time to wait for an expected event, by the paused clock.
const PATIENCE: Duration = Duration::from_secs(600);

/// Starts an engine that calls `handler` with the path and query of each request,
/// without the version.
pub(crate) fn start(handler: impl Fn(&str) -> EngineResponse + 'static) -> ScriptedEngine {
    let engine = ScriptedEngine::new();
    engine.fallback(move |request| {
        let path = request.target.as_str();
        let path = path.strip_prefix("/v1.41").unwrap_or(path);
        let response = match path {
            "/_ping" => EngineResponse::text("OK"),
            path => handler(path),
        };
        response.header("api-version", "1.41")
    });
    engine
}

/// Returns a response with the engine's message for this status.
pub(crate) fn refusal(status: StatusCode) -> EngineResponse {
    EngineResponse::json(format!(r#"{{"message":"{status}"}}"#)).with_status(status)
}

/// Watches an engine as a host does.
pub(crate) async fn watch(engine: &ScriptedEngine) -> CallHandle<Event> {
    let moby = MobyBackend::new(engine.host());
    CallHandle::start(|responder| async move { moby.watch(responder).await })
        .await
        .unwrap()
}

/// Returns the next events of a watch.
pub(crate) async fn next(watch: &mut CallHandle<Event>) -> Vec<Event> {
    tokio::time::timeout(PATIENCE, watch.next())
        .await
        .expect("no event in time")
        .expect("the watch ended")
}
