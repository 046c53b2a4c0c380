//! An engine that answers as a test wants, on a unix socket.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use rdd_backend_moby::Moby;
use rdd_sdk::Backend;
use rdd_sdk::native::{Running, UnixHost};
use rdd_sdk::types::Event;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(600);

/// An answer.
pub(crate) enum Answer {
    /// `200` with this body.
    Whole(Vec<u8>),
    /// `404`.
    Missing,
    /// `500`.
    Broken,
    /// `200` with the pieces of a body as they come; it ends with the channel.
    Pieces(mpsc::Receiver<Vec<u8>>),
    /// `200` with the beginning of a body that never goes on.
    Stalled(&'static str),
}

impl Answer {
    pub(crate) fn json(value: &serde_json::Value) -> Self {
        Self::Whole(value.to_string().into_bytes())
    }
}

type Handler = Rc<dyn Fn(&str) -> Answer>;

pub(crate) struct Server {
    socket: PathBuf,
    connections: Rc<Connections>,
}

/// Counts the connections of a backend.
#[derive(Default)]
struct Connections {
    open: Cell<usize>,
    /// The most that were open at once.
    peak: Cell<usize>,
}

/// One of them, for as long as it is open.
struct Counted(Rc<Connections>);

impl Counted {
    fn new(connections: &Rc<Connections>) -> Self {
        let open = connections.open.get() + 1;
        connections.open.set(open);
        connections.peak.set(connections.peak.get().max(open));
        Self(Rc::clone(connections))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
    }
}

impl Server {
    /// Answers requests for paths without their version. Must run within a
    /// `LocalSet`; `name` is the test's own.
    pub(crate) fn start(name: &str, handler: impl Fn(&str) -> Answer + 'static) -> Self {
        let name = format!("rdd-fake-{name}-{}.sock", std::process::id());
        let socket = std::env::temp_dir().join(name);
        let listener = UnixListener::bind(&socket).unwrap();
        let handler: Handler = Rc::new(handler);
        let connections = Rc::new(Connections::default());
        let counts = Rc::clone(&connections);
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let counted = Counted::new(&counts);
                let serving = serve(stream, Rc::clone(&handler));
                tokio::task::spawn_local(async move {
                    let served = serving.await;
                    drop(counted);
                    served
                });
            }
        });
        Self {
            socket,
            connections,
        }
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        self.connections.open.get()
    }

    /// How many were open at once since this was asked last.
    pub(crate) fn peak(&self) -> usize {
        self.connections.peak.replace(self.open())
    }

    /// Watches this engine, as a host does.
    pub(crate) async fn watch(&self) -> Running<Event> {
        let moby = Moby::new(UnixHost::new(&self.socket, |_, _| {}).handle());
        Running::start(|responder| async move { moby.watch(responder).await })
            .await
            .unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone by itself.
        let _ = std::fs::remove_file(&self.socket);
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
            Answer::Whole(Vec::new())
        } else {
            handler(path)
        } {
            Answer::Whole(body) => {
                let length = body.len();
                let head = format!("HTTP/1.1 200 OK\r\n{common}Content-Length: {length}\r\n\r\n");
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(&body).await?;
            }
            Answer::Missing => refuse(&mut stream, common, "404 Not Found").await?,
            Answer::Broken => refuse(&mut stream, common, "500 Internal Server Error").await?,
            Answer::Pieces(mut pieces) => {
                stream.write_all(chunked(common).as_bytes()).await?;
                while let Some(bytes) = pieces.recv().await {
                    stream.write_all(&piece(&bytes)).await?;
                }
                stream.write_all(b"0\r\n\r\n").await?;
            }
            Answer::Stalled(begun) => {
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

/// The next events of a watch that goes on.
pub(crate) async fn next(watch: &mut Running<Event>) -> Vec<Event> {
    tokio::time::timeout(PATIENCE, watch.next())
        .await
        .expect("an event comes")
        .expect("the watch goes on")
}
