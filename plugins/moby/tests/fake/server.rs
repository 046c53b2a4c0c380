//! A scripted engine on a unix socket.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use rdd_backend_moby::MobyBackend;
use rdd_sdk::Backend;
use rdd_sdk::native::{CallHandle, UnixHost};
use rdd_sdk::types::Event;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

/// The maximum time to wait for an expected event, by the paused clock.
const PATIENCE: Duration = Duration::from_secs(600);

/// A response.
pub(crate) enum FakeResponse {
    /// `200` with this body.
    Complete(Vec<u8>),
    /// `404`.
    NotFound,
    /// `500`.
    ServerError,
    /// `200` with a body whose pieces are sent through a channel.
    Pieces(mpsc::Receiver<Vec<u8>>),
    /// `200` with the beginning of a body that is never continued.
    Stalled(&'static str),
}

impl FakeResponse {
    pub(crate) fn json(value: &serde_json::Value) -> Self {
        Self::Complete(value.to_string().into_bytes())
    }
}

type Handler = Rc<dyn Fn(&str) -> FakeResponse>;

pub(crate) struct FakeServer {
    socket: PathBuf,
    connections: Rc<Connections>,
}

/// Counts the connections of a backend.
#[derive(Default)]
struct Connections {
    open: Cell<usize>,
    /// The maximum number of open connections.
    peak: Cell<usize>,
}

/// A guard that counts a connection as open.
struct ConnectionGuard(Rc<Connections>);

impl ConnectionGuard {
    fn new(connections: &Rc<Connections>) -> Self {
        let open = connections.open.get() + 1;
        connections.open.set(open);
        connections.peak.set(connections.peak.get().max(open));
        Self(Rc::clone(connections))
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
    }
}

impl FakeServer {
    /// Starts a server that calls `handler` with the path of each request,
    /// without the version. Must run within a `LocalSet`. `name` must be unique
    /// among the tests.
    pub(crate) fn start(name: &str, handler: impl Fn(&str) -> FakeResponse + 'static) -> Self {
        let name = format!("rdd-fake-{name}-{}.sock", std::process::id());
        let socket = std::env::temp_dir().join(name);
        let listener = UnixListener::bind(&socket).unwrap();
        let handler: Handler = Rc::new(handler);
        let connections = Rc::new(Connections::default());
        let counts = Rc::clone(&connections);
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let guard = ConnectionGuard::new(&counts);
                let serving = serve(stream, Rc::clone(&handler));
                tokio::task::spawn_local(async move {
                    let served = serving.await;
                    drop(guard);
                    served
                });
            }
        });
        Self {
            socket,
            connections,
        }
    }

    /// Returns the number of open connections.
    pub(crate) fn open(&self) -> usize {
        self.connections.open.get()
    }

    /// Returns the maximum number of open connections since the last call.
    pub(crate) fn peak(&self) -> usize {
        self.connections.peak.replace(self.open())
    }

    /// Watches this engine as a host does.
    pub(crate) async fn watch(&self) -> CallHandle<Event> {
        let moby = MobyBackend::new(UnixHost::new(&self.socket, |_, _| {}).handle());
        CallHandle::start(|responder| async move { moby.watch(responder).await })
            .await
            .unwrap()
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        // The file may not exist anymore.
        std::fs::remove_file(&self.socket).ok();
    }
}

async fn serve(mut stream: UnixStream, handler: Handler) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        head.extend_from_slice(&buffer[..count]);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        let text = String::from_utf8_lossy(&std::mem::take(&mut head)).into_owned();
        let path = text.split(' ').nth(1).unwrap();
        let path = path.strip_prefix("/v1.41").unwrap_or(path);
        let common = "Api-Version: 1.41\r\nDate: Mon, 23 Nov 2026 09:33:04 GMT\r\n";
        match if path == "/_ping" {
            FakeResponse::Complete(Vec::new())
        } else {
            handler(path)
        } {
            FakeResponse::Complete(body) => {
                let length = body.len();
                let head = format!("HTTP/1.1 200 OK\r\n{common}Content-Length: {length}\r\n\r\n");
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(&body).await?;
            }
            FakeResponse::NotFound => refuse(&mut stream, common, "404 Not Found").await?,
            FakeResponse::ServerError => {
                refuse(&mut stream, common, "500 Internal Server Error").await?
            }
            FakeResponse::Pieces(mut pieces) => {
                stream.write_all(chunked(common).as_bytes()).await?;
                while let Some(bytes) = pieces.recv().await {
                    stream.write_all(&piece(&bytes)).await?;
                }
                stream.write_all(b"0\r\n\r\n").await?;
            }
            FakeResponse::Stalled(begun) => {
                stream.write_all(chunked(common).as_bytes()).await?;
                if !begun.is_empty() {
                    stream.write_all(&piece(begun.as_bytes())).await?;
                }
                std::future::pending::<()>().await;
            }
        }
    }
}

async fn refuse(stream: &mut UnixStream, common: &str, status: &str) -> std::io::Result<()> {
    let body = format!(r#"{{"message":"{status}"}}"#);
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{common}Content-Length: {length}\r\n\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).await
}

fn chunked(common: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{common}Transfer-Encoding: chunked\r\n\r\n")
}

fn piece(bytes: &[u8]) -> Vec<u8> {
    let mut piece = format!("{:x}\r\n", bytes.len()).into_bytes();
    piece.extend_from_slice(bytes);
    piece.extend_from_slice(b"\r\n");
    piece
}

/// Returns the next events of a watch.
pub(crate) async fn next(watch: &mut CallHandle<Event>) -> Vec<Event> {
    tokio::time::timeout(PATIENCE, watch.next())
        .await
        .expect("no event in time")
        .expect("the watch ended")
}
