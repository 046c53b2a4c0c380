//! A proxy between the backend and the engine that runs a hook before it forwards
//! a request.

use std::path::PathBuf;
use std::rc::Rc;

use futures::future::LocalBoxFuture;
use rdd_backend_moby::MobyBackend;
use rdd_sdk::Backend;
use rdd_sdk::testing::UnixHost;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// A hook that receives the first line of a request. The request is forwarded
/// when the hook completes.
type Hook = Rc<dyn Fn(String) -> LocalBoxFuture<'static, ()>>;

pub(crate) struct EngineProxy {
    socket: PathBuf,
}

impl EngineProxy {
    /// Starts a proxy. Must run within a `LocalSet`. `name` must be unique among
    /// the tests.
    pub(crate) fn start(
        engine: String,
        name: &str,
        hook: impl Fn(String) -> LocalBoxFuture<'static, ()> + 'static,
    ) -> Self {
        let socket = std::env::temp_dir().join(format!("{name}.sock"));
        let listener = UnixListener::bind(&socket).unwrap();
        let hook: Hook = Rc::new(hook);
        tokio::task::spawn_local(async move {
            while let Ok((client, _)) = listener.accept().await {
                let engine = UnixStream::connect(&engine).await.unwrap();
                tokio::task::spawn_local(forward(client, engine, Rc::clone(&hook)));
            }
        });
        Self { socket }
    }

    /// Returns a backend that connects to the engine through this proxy.
    pub(crate) fn moby(&self) -> MobyBackend {
        MobyBackend::new(UnixHost::new(&self.socket, |_, _| {}).handle())
    }
}

impl Drop for EngineProxy {
    fn drop(&mut self) {
        // The file may not exist anymore.
        std::fs::remove_file(&self.socket).ok();
    }
}

async fn forward(client: UnixStream, engine: UnixStream, hook: Hook) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_engine, mut to_engine) = engine.into_split();
    let responses =
        tokio::task::spawn_local(
            async move { tokio::io::copy(&mut from_engine, &mut to_client).await },
        );
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    // The backend's requests have no bodies, and it waits for each response.
    while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
        head.extend_from_slice(&buffer[..count]);
        if head.ends_with(b"\r\n\r\n") {
            let line = String::from_utf8_lossy(&head);
            hook(line.lines().next().unwrap().to_owned()).await;
            if to_engine
                .write_all(&std::mem::take(&mut head))
                .await
                .is_err()
            {
                break;
            }
        }
    }
    responses.abort();
}
