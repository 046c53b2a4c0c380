//! The fixture, loaded.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use rdd_core::{
    ContainerEngine, EngineError, ErrorCode, LogChunk, LogOptions, LogStream, ObjectKind,
    ObjectRef, WatchEvent, WatchStream,
};
use rdd_plugin_wasm::{Backend, BackendLimits, Connection, Instance, Program, Runtime, Transport};
use rdd_testkit::fixture_component;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

/// How long anything may take that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn fixture_bytes() -> Vec<u8> {
    std::fs::read(fixture_component("scripted")).unwrap()
}

/// Compiled once for all tests of the process.
static PROGRAM: LazyLock<Program> = LazyLock::new(|| {
    let runtime = Runtime::new(None).unwrap();
    runtime.load(&fixture_bytes(), "scripted").unwrap()
});

pub(crate) fn program() -> Program {
    PROGRAM.clone()
}

/// Limits that make a test of a limit short.
pub(crate) fn limits() -> BackendLimits {
    BackendLimits {
        control_memory: 64 << 20,
        spin: Duration::from_millis(300),
        stall: Duration::from_secs(5),
        stop_grace: Duration::from_millis(500),
        ..BackendLimits::default()
    }
}

/// An engine that is not there.
pub(crate) struct Nowhere;

#[async_trait]
impl Transport for Nowhere {
    async fn connect(&self) -> Result<Connection, EngineError> {
        Err(EngineError::new(ErrorCode::Unavailable, "nobody is there"))
    }
}

/// An engine that sends back what it gets, and closes after its client did.
pub(crate) struct Echo;

#[async_trait]
impl Transport for Echo {
    async fn connect(&self) -> Result<Connection, EngineError> {
        let (ours, theirs) = tokio::net::UnixStream::pair().unwrap();
        tokio::spawn(async move {
            let (mut from, mut to) = ours.into_split();
            tokio::io::copy(&mut from, &mut to).await.unwrap();
        });
        let (reader, writer) = theirs.into_split();
        Ok(Connection {
            reader: Box::new(reader),
            writer: Box::new(writer),
        })
    }
}

/// An engine over real sockets that a test plays.
pub(crate) struct Played(mpsc::UnboundedSender<Asked>);

/// A line that the fixture sent to a [`Played`] engine, and the connection
/// that it came on.
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) connection: BufReader<UnixStream>,
}

/// An engine, and what it is asked.
pub(crate) fn played() -> (Played, mpsc::UnboundedReceiver<Asked>) {
    let (asked, questions) = mpsc::unbounded_channel();
    (Played(asked), questions)
}

#[async_trait]
impl Transport for Played {
    async fn connect(&self) -> Result<Connection, EngineError> {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let asked = self.0.clone();
        tokio::spawn(async move {
            let mut connection = BufReader::new(ours);
            let mut line = String::new();
            connection.read_line(&mut line).await.unwrap();
            let line = line.trim().to_owned();
            // A test may be over.
            asked.send(Asked { line, connection }).ok();
        });
        let (reader, writer) = theirs.into_split();
        Ok(Connection {
            reader: Box::new(reader),
            writer: Box::new(writer),
        })
    }
}

impl Asked {
    pub(crate) async fn answer(&mut self) {
        self.connection.get_mut().write_all(b"!").await.unwrap();
    }
}

/// The next question but a ping, which is answered.
pub(crate) async fn asked(questions: &mut mpsc::UnboundedReceiver<Asked>, line: &str) -> Asked {
    loop {
        let mut asked = soon(questions.recv()).await.unwrap();
        if asked.line != "ping" {
            assert_eq!(asked.line, line);
            return asked;
        }
        asked.answer().await;
    }
}

pub(crate) fn backend_with(limits: BackendLimits, transport: impl Transport) -> Backend {
    Backend::new("scripted", program(), limits, Arc::new(transport))
}

pub(crate) fn backend() -> Backend {
    backend_with(limits(), Nowhere)
}

pub(crate) async fn launch(backend: &Backend) -> Instance {
    backend.launch().await.unwrap()
}

pub(crate) fn container(id: &str) -> ObjectRef {
    ObjectRef {
        kind: ObjectKind::Container,
        id: id.to_owned(),
    }
}

/// What `future` gives, which must come.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it did not come in time")
}

/// Tells the fixture what its next watch does.
pub(crate) async fn watch(instance: &Instance, mode: &str) -> WatchStream {
    choose(instance, mode).await;
    soon(instance.watch()).await.unwrap()
}

pub(crate) async fn choose(instance: &Instance, mode: &str) {
    let id = format!("watch-{mode}");
    soon(instance.act(&id, rdd_core::ContainerAction::Start))
        .await
        .unwrap();
}

/// The elements until the end, and the error that ended it.
pub(crate) async fn drain(mut watch: WatchStream) -> (Vec<WatchEvent>, Option<EngineError>) {
    let mut events = Vec::new();
    while let Some(event) = soon(watch.next()).await {
        match event {
            Ok(event) => events.push(event),
            Err(error) => return (events, Some(error)),
        }
    }
    (events, None)
}

pub(crate) async fn logs(instance: &Instance, id: &str) -> LogStream {
    soon(instance.get_logs(id, &LogOptions::default()))
        .await
        .unwrap()
}

/// The chunks until the end, and the error that ended it.
pub(crate) async fn drain_logs(mut logs: LogStream) -> (Vec<LogChunk>, Option<EngineError>) {
    let mut chunks = Vec::new();
    while let Some(chunk) = soon(logs.next()).await {
        match chunk {
            Ok(chunk) => chunks.push(chunk),
            Err(error) => return (chunks, Some(error)),
        }
    }
    (chunks, None)
}

/// Asserts that a log stream failed by itself, and that the sentence says so.
pub(crate) fn assert_stream_failed(error: &EngineError, why: &str) {
    assert_eq!(error.code, ErrorCode::StreamFailed, "{error}");
    let said = error.to_string();
    assert!(
        said.starts_with("the log stream of the backend scripted "),
        "{said}"
    );
    assert!(said.contains(why), "{said:?} does not say {why:?}");
}

/// Asserts that the backend is to blame, and that the sentence says so.
pub(crate) fn assert_failed(error: &EngineError, why: &str) {
    assert_eq!(error.code, ErrorCode::PluginFailed, "{error}");
    let said = error.to_string();
    assert!(said.starts_with("the backend scripted "), "{said}");
    assert!(said.contains(why), "{said:?} does not say {why:?}");
}

/// Waits until `is` holds.
pub(crate) async fn until(what: &str, is: impl Fn() -> bool) {
    let waiting = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .unwrap_or_else(|_| panic!("waited in vain until {what}"));
}

/// The files in a directory with this extension.
pub(crate) fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == extension))
        .collect()
}
