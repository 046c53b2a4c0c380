//! Stands between the backend and the engine, so that a test can do something
//! right before a request arrives there.

use std::path::PathBuf;
use std::rc::Rc;

use futures::future::LocalBoxFuture;
use rdd_backend_moby::Moby;
use rdd_sdk::Backend;
use rdd_sdk::native::UnixHost;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// Gets a request's first line, and holds the request until it is done.
type Hook = Rc<dyn Fn(String) -> LocalBoxFuture<'static, ()>>;

pub(crate) struct Proxy {
    socket: PathBuf,
}

impl Proxy {
    /// Must run within a `LocalSet`. `name` is the test's own.
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
                tokio::task::spawn_local(carry(client, engine, Rc::clone(&hook)));
            }
        });
        Self { socket }
    }

    /// A backend whose engine is reached through this.
    pub(crate) fn moby(&self) -> Moby {
        Moby::new(UnixHost::new(&self.socket, |_, _| {}).handle())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may be gone by itself.
        let _ = std::fs::remove_file(&self.socket);
    }
}

async fn carry(client: UnixStream, engine: UnixStream, hook: Hook) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_engine, mut to_engine) = engine.into_split();
    let answers =
        tokio::task::spawn_local(
            async move { tokio::io::copy(&mut from_engine, &mut to_client).await },
        );
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    // The backend's requests have no bodies, and each waits for its answer.
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
    answers.abort();
}
