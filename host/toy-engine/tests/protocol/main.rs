//! The protocol of the toy engine, byte by byte.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod exchanges;
mod server;

use std::path::Path;

use rdd_core::{ContainerAction, ContainerRef, ContainerSpec};
use rdd_toy_engine::{TOY_IMAGE, ToyEngine, ToyServer};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// An engine that listens in a directory of its own.
struct TestEngine {
    engine: ToyEngine,
    server: ToyServer,
    _dir: TempDir,
}

impl TestEngine {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let engine = ToyEngine::new();
        let server = engine.listen(&dir.path().join("toy.sock")).unwrap();
        Self {
            engine,
            server,
            _dir: dir,
        }
    }

    /// Runs a container whose program writes nothing.
    fn container(&self, namespace: &str, id: &str) -> ContainerRef {
        self.run(namespace, id, &["sleep"])
    }

    fn run(&self, namespace: &str, id: &str, program: &[&str]) -> ContainerRef {
        let spec = ContainerSpec {
            args: program.iter().map(|&word| word.to_owned()).collect(),
            ..ContainerSpec::new(namespace, TOY_IMAGE)
        };
        let container = self.engine.create_container_with_id(&spec, id).unwrap();
        self.engine.act(&container, ContainerAction::Start).unwrap();
        container
    }

    /// Sends bytes and returns everything up to the end of the connection.
    async fn exchange(&self, request: &str) -> String {
        let response = exchange(self.server.path(), request.as_bytes()).await;
        String::from_utf8(response).unwrap()
    }

    async fn connect(&self) -> UnixStream {
        UnixStream::connect(self.server.path()).await.unwrap()
    }
}

async fn exchange(path: &Path, request: &[u8]) -> Vec<u8> {
    let mut stream = UnixStream::connect(path).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut response = Vec::new();
    let read = stream.read_to_end(&mut response);
    timeout(rdd_testkit::PATIENCE, read).await.unwrap().unwrap();
    response
}

/// Reads until what was read ends with `end`.
async fn read_until(stream: &mut UnixStream, end: &[u8]) -> Vec<u8> {
    let mut read = Vec::new();
    while !read.ends_with(end) {
        let byte = timeout(rdd_testkit::PATIENCE, stream.read_u8()).await;
        read.push(byte.unwrap().unwrap());
    }
    read
}
