//! What a component writes to its standard output and standard error. Its own
//! process, since other threads without a subscriber would disable the log lines
//! that these tests read.
#![allow(clippy::unwrap_used, reason = "a failed test panics")]

use std::sync::Arc;

use async_trait::async_trait;
use rdd_core::{ContainerEngine as _, EngineError, ErrorCode, ObjectKind, ObjectRef};
use rdd_plugin_contract::{
    BackendLimits, BackendServices, EngineConnection, EngineTransport, PluginBackend as _,
};
use rdd_plugin_wasm::{BackendHandle, ComponentBackend, ComponentRuntime};
use rdd_testkit::{CapturedLog, fixture_component};
use tracing::subscriber::DefaultGuard;

/// The transport to an engine that is not running.
struct UnreachableTransport;

#[async_trait]
impl EngineTransport for UnreachableTransport {
    async fn connect(&self) -> Result<EngineConnection, EngineError> {
        Err(EngineError::new(ErrorCode::Unavailable, "no engine"))
    }
}

fn capture() -> (CapturedLog, DefaultGuard) {
    let log = CapturedLog::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    (log, tracing::subscriber::set_default(subscriber))
}

async fn launch() -> (ComponentBackend, BackendHandle) {
    let runtime = ComponentRuntime::new(None).unwrap();
    let bytes = std::fs::read(fixture_component("wasi")).unwrap();
    let component = runtime.load(&bytes, "wasi").unwrap();
    let services = BackendServices::new(Arc::new(UnreachableTransport));
    let backend = ComponentBackend::new("wasi", component, BackendLimits::default(), services);
    let handle = backend.launch().await.unwrap();
    (backend, handle)
}

async fn run(handle: &BackendHandle, command: &str) {
    let object = ObjectRef::new(ObjectKind::Volume, "default", command);
    assert_eq!(handle.inspect(&object).await.unwrap().raw, "done");
}

#[tokio::test]
async fn output_goes_to_the_log_line_by_line() {
    let (log, _guard) = capture();
    let (backend, handle) = launch().await;
    run(&handle, "stdout first\\nhalf a ").await;
    run(&handle, "stdout line\\n").await;
    run(&handle, "stderr problem\\nunfinished").await;
    for line in ["INFO", "first\n", "half a line\n", "WARN", "problem\n"] {
        assert!(log.text().contains(line), "{}", log.text());
    }
    assert!(!log.text().contains("unfinished"), "{}", log.text());
    // The rest of a line is logged when the instance ends.
    backend.shutdown().await;
    assert!(log.text().contains("unfinished"), "{}", log.text());
}

#[tokio::test]
async fn output_is_limited_like_the_log() {
    let (log, _guard) = capture();
    let (_backend, handle) = launch().await;
    run(&handle, &format!("stdout {}", "noise\\n".repeat(500))).await;
    let lines = log.text().matches("noise").count();
    assert!((1..500).contains(&lines), "{lines} lines");
}
