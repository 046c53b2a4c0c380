//! The scripted fixture, loaded, and transports for it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use rdd_core::{
    ContainerEngine, ContainerRef, EngineError, ErrorCode, LogOptions, LogStream, ObjectRef,
    OutputChunk, WatchEvent, WatchStream,
};
pub(crate) use rdd_plugin_contract::{BackendInstance as _, PluginBackend as _};
use rdd_plugin_contract::{BackendLimits, BackendServices, EngineConnection, EngineTransport};
use rdd_plugin_wasm::{BackendHandle, ComponentBackend, ComponentRuntime, LinkedComponent};
use rdd_testkit::{PATIENCE, fixture_component};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

pub(crate) fn fixture_bytes() -> Vec<u8> {
    std::fs::read(fixture_component("scripted")).unwrap()
}

/// Compiled once for all tests of the process.
static COMPONENT: LazyLock<LinkedComponent> = LazyLock::new(|| {
    let runtime = ComponentRuntime::new(None).unwrap();
    runtime.load(&fixture_bytes(), "scripted").unwrap()
});

pub(crate) fn component() -> LinkedComponent {
    COMPONENT.clone()
}

/// Limits that tests reach quickly, except the one that a backend which is paused with
/// the whole machine would exceed.
pub(crate) fn limits() -> BackendLimits {
    BackendLimits {
        control_memory_bytes: 64 << 20,
        yield_timeout: Duration::from_millis(300),
        stall_timeout: Duration::from_secs(5),
        // Longer than `PATIENCE`: what ends in time has reacted to the stop signal.
        stop_grace: 2 * PATIENCE,
        ..BackendLimits::default()
    }
}

/// Limits for what does not stop.
pub(crate) fn short_grace() -> BackendLimits {
    BackendLimits {
        stop_grace: SHORT_GRACE,
        ..limits()
    }
}

pub(crate) const SHORT_GRACE: Duration = Duration::from_millis(500);

/// The transport to an engine that is not running.
pub(crate) struct UnreachableTransport;

#[async_trait]
impl EngineTransport for UnreachableTransport {
    async fn connect(&self) -> Result<EngineConnection, EngineError> {
        Err(EngineError::new(
            ErrorCode::Unavailable,
            "the engine is not running",
        ))
    }
}

/// The transport to an engine that echoes all bytes and closes after its client.
pub(crate) struct EchoTransport;

#[async_trait]
impl EngineTransport for EchoTransport {
    async fn connect(&self) -> Result<EngineConnection, EngineError> {
        let (engine, host) = UnixStream::pair().unwrap();
        tokio::spawn(async move {
            let (mut reader, mut writer) = engine.into_split();
            tokio::io::copy(&mut reader, &mut writer).await.unwrap();
        });
        Ok(connection(host))
    }
}

pub(crate) fn connection(socket: UnixStream) -> EngineConnection {
    let (reader, writer) = socket.into_split();
    EngineConnection {
        reader: Box::new(reader),
        writer: Box::new(writer),
    }
}

/// The transport to an engine whose responses a test sends, over real sockets.
pub(crate) struct ScriptedTransport(mpsc::UnboundedSender<ScriptedRequest>);

/// A line that the fixture sent to a [`ScriptedTransport`], with its connection.
pub(crate) struct ScriptedRequest {
    pub(crate) line: String,
    pub(crate) connection: BufReader<UnixStream>,
}

/// Returns a transport and the requests that it receives.
pub(crate) fn scripted_transport() -> (ScriptedTransport, mpsc::UnboundedReceiver<ScriptedRequest>)
{
    let (sender, requests) = mpsc::unbounded_channel();
    (ScriptedTransport(sender), requests)
}

#[async_trait]
impl EngineTransport for ScriptedTransport {
    async fn connect(&self) -> Result<EngineConnection, EngineError> {
        let (engine, host) = UnixStream::pair().unwrap();
        let sender = self.0.clone();
        tokio::spawn(async move {
            let mut connection = BufReader::new(engine);
            let mut line = String::new();
            connection.read_line(&mut line).await.unwrap();
            let line = line.trim().to_owned();
            // Fails if the test is over.
            sender.send(ScriptedRequest { line, connection }).ok();
        });
        Ok(connection(host))
    }
}

impl ScriptedRequest {
    /// Sends one byte.
    pub(crate) async fn respond(&mut self) {
        self.connection.get_mut().write_all(b"!").await.unwrap();
    }
}

/// Returns the next request, which must be `line`. Responds to pings.
pub(crate) async fn expect_request(
    requests: &mut mpsc::UnboundedReceiver<ScriptedRequest>,
    line: &str,
) -> ScriptedRequest {
    loop {
        let mut request = in_time(requests.recv()).await.unwrap();
        if request.line != "ping" {
            assert_eq!(request.line, line);
            return request;
        }
        request.respond().await;
    }
}

pub(crate) fn backend_with(
    limits: BackendLimits,
    transport: impl EngineTransport,
) -> ComponentBackend {
    backend_of(limits, BackendServices::new(Arc::new(transport)))
}

pub(crate) fn backend_of(limits: BackendLimits, services: BackendServices) -> ComponentBackend {
    ComponentBackend::new("scripted", component(), limits, services)
}

pub(crate) fn backend() -> ComponentBackend {
    backend_with(limits(), UnreachableTransport)
}

pub(crate) async fn launch(backend: &ComponentBackend) -> BackendHandle {
    backend.launch().await.unwrap()
}

pub(crate) fn container(id: &str) -> ObjectRef {
    container_ref(id).into()
}

/// Returns the reference to a container of the fixture's namespace.
pub(crate) fn container_ref(id: &str) -> ContainerRef {
    ContainerRef::new("default", id)
}

/// Returns the output of `future`, which must complete within [`PATIENCE`].
pub(crate) async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("the future did not complete in time")
}

/// Starts a watch that behaves as `mode` says.
pub(crate) async fn watch(handle: &BackendHandle, mode: &str) -> WatchStream {
    choose_watch(handle, mode).await;
    in_time(handle.watch()).await.unwrap()
}

/// Selects the behavior of the fixture's next watch.
pub(crate) async fn choose_watch(handle: &BackendHandle, mode: &str) {
    let id = format!("watch-{mode}");
    in_time(handle.act(&container_ref(&id), rdd_core::ContainerAction::Start))
        .await
        .unwrap();
}

/// Returns all events, and the error that ended the watch.
pub(crate) async fn drain(mut watch: WatchStream) -> (Vec<WatchEvent>, Option<EngineError>) {
    let mut events = Vec::new();
    while let Some(event) = in_time(watch.next()).await {
        match event {
            Ok(event) => events.push(event),
            Err(error) => return (events, Some(error)),
        }
    }
    (events, None)
}

pub(crate) async fn logs(handle: &BackendHandle, id: &str) -> LogStream {
    in_time(handle.get_logs(&container_ref(id), &LogOptions::default()))
        .await
        .unwrap()
}

/// Returns all chunks, and the error that ended the log.
pub(crate) async fn drain_logs(mut logs: LogStream) -> (Vec<OutputChunk>, Option<EngineError>) {
    let mut chunks = Vec::new();
    while let Some(chunk) = in_time(logs.next()).await {
        match chunk {
            Ok(chunk) => chunks.push(chunk),
            Err(error) => return (chunks, Some(error)),
        }
    }
    (chunks, None)
}

/// Asserts that only a log stream failed, with `expected` in the message.
pub(crate) fn assert_stream_failed(error: &EngineError, expected: &str) {
    assert_eq!(error.code, ErrorCode::StreamFailed, "{error}");
    let message = error.to_string();
    assert!(
        message.starts_with("the log stream of the backend scripted "),
        "{message}"
    );
    assert!(message.contains(expected), "{message:?} lacks {expected:?}");
}

/// Asserts that the backend failed, with `expected` in the message.
pub(crate) fn assert_failed(error: &EngineError, expected: &str) {
    assert_eq!(error.code, ErrorCode::PluginFailed, "{error}");
    let message = error.to_string();
    assert!(message.starts_with("the backend scripted "), "{message}");
    assert!(message.contains(expected), "{message:?} lacks {expected:?}");
}

/// Returns the files in `dir` with this extension.
pub(crate) fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == extension))
        .collect()
}
