//! The fixture, compiled, and an engine for it.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use rdd_core::{
    ContainerRef, EngineError, ErrorCode, ObjectKind, ObjectRef, RegistryCredentialStore,
    RegistryCredentials,
};
use rdd_plugin_contract::{
    BackendInstance as _, BackendLimits, BackendServices, EngineConnection, EngineTransport,
    PluginBackend as _, UsageSnapshot,
};
use rdd_plugin_dylib::{BackendLibrary, LibraryBackend, LibraryHandle};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadBuf};
use tokio_util::sync::CancellationToken;

/// The name in the fixture's description.
pub(crate) const NAME: &str = "c-library";

/// Compiles the fixture with additional flags.
pub(crate) fn fixture(flags: &[&str]) -> PathBuf {
    rdd_testkit::fixture_library("c-library", flags)
}

/// An engine that answers `ping` with a byte, echoes everything else until the
/// client half-closes, and then closes.
struct ToyEngine;

#[async_trait]
impl EngineTransport for ToyEngine {
    async fn connect(&self) -> Result<EngineConnection, EngineError> {
        /// Less than what tests send, so that writes wait.
        const BUFFER_BYTES: usize = 1024;
        let (client, server) = tokio::io::duplex(BUFFER_BYTES);
        tokio::spawn(serve(server));
        let (reader, writer) = tokio::io::split(client);
        Ok(EngineConnection {
            reader: Box::new(reader),
            writer: Box::new(writer),
        })
    }
}

async fn serve(mut server: DuplexStream) {
    server.write_all(b"hello ").await.ok();
    let mut buffer = [0; 256];
    while let Ok(count @ 1..) = server.read(&mut buffer).await {
        server.write_all(&buffer[..count]).await.ok();
    }
}

/// An engine that cannot be reached.
pub(crate) struct NoEngine;

#[async_trait]
impl EngineTransport for NoEngine {
    async fn connect(&self) -> Result<EngineConnection, EngineError> {
        Err(EngineError::new(
            ErrorCode::Unavailable,
            "no engine listens",
        ))
    }
}

/// An engine that responds once a test releases it.
#[derive(Clone, Default)]
pub(crate) struct HeldEngine {
    connected: CancellationToken,
    released: CancellationToken,
}

impl HeldEngine {
    pub(crate) fn is_connected(&self) -> bool {
        self.connected.is_cancelled()
    }

    pub(crate) fn release(&self) {
        self.released.cancel();
    }
}

#[async_trait]
impl EngineTransport for HeldEngine {
    async fn connect(&self) -> Result<EngineConnection, EngineError> {
        self.connected.cancel();
        self.released.cancelled().await;
        ToyEngine.connect().await
    }
}

/// An engine that accepts connections and sends nothing.
pub(crate) struct SilentEngine;

#[async_trait]
impl EngineTransport for SilentEngine {
    async fn connect(&self) -> Result<EngineConnection, EngineError> {
        let (reader, writer) = (Silence, tokio::io::sink());
        Ok(EngineConnection {
            reader: Box::new(reader),
            writer: Box::new(writer),
        })
    }
}

/// Never ready to be read.
struct Silence;

impl AsyncRead for Silence {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Poll::Pending
    }
}

/// A store with credentials for one registry.
struct OneRegistry;

#[async_trait]
impl RegistryCredentialStore for OneRegistry {
    async fn credentials(
        &self,
        registry: &str,
    ) -> Result<Option<RegistryCredentials>, EngineError> {
        match registry {
            "registry.example" => Ok(Some(RegistryCredentials::Password {
                username: "jane".to_owned(),
                password: "hunter2".to_owned(),
            })),
            "broken.example" => Err(EngineError::new(ErrorCode::Unavailable, "no helper")),
            _ => Ok(None),
        }
    }
}

pub(crate) fn limits() -> BackendLimits {
    BackendLimits {
        max_log_streams: 8,
        max_connections: 8,
        ..BackendLimits::default()
    }
}

/// Limits under which a function that does not return is soon given up.
pub(crate) fn impatient() -> BackendLimits {
    BackendLimits {
        // Long enough for a healthy call that is paused with the whole machine.
        yield_timeout: Duration::from_secs(3),
        start_timeout: Duration::from_secs(3),
        stop_grace: Duration::from_millis(200),
        ..limits()
    }
}

pub(crate) fn backend_with(
    flags: &[&str],
    limits: BackendLimits,
    transport: impl EngineTransport,
) -> LibraryBackend {
    let library = BackendLibrary::load(&fixture(flags)).unwrap();
    let services = BackendServices {
        credentials: Arc::new(OneRegistry),
        ..BackendServices::new(Arc::new(transport))
    };
    LibraryBackend::new(NAME, library, limits, services)
}

/// The example of docs/abi.md.
pub(crate) fn minimal_backend() -> LibraryBackend {
    let library = BackendLibrary::load(&rdd_testkit::fixture_library("c-minimal", &[])).unwrap();
    let services = BackendServices::new(Arc::new(NoEngine));
    LibraryBackend::new("minimal", library, limits(), services)
}

pub(crate) fn backend(limits: BackendLimits) -> LibraryBackend {
    backend_with(&[], limits, ToyEngine)
}

/// A backend and its running instance.
pub(crate) async fn launched(limits: BackendLimits) -> (LibraryBackend, LibraryHandle) {
    let backend = backend(limits);
    let handle = backend.launch().await.unwrap();
    (backend, handle)
}

pub(crate) fn container(id: &str) -> ContainerRef {
    ContainerRef::new("default", id)
}

pub(crate) fn reference(id: &str) -> ObjectRef {
    ObjectRef::new(ObjectKind::Container, "default", id)
}

/// Waits until `condition` is true. `what` names it.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    rdd_testkit::eventually(what, || {
        let checked = condition().then_some(()).ok_or("not true".to_owned());
        std::future::ready(checked)
    })
    .await;
}

/// Waits until nothing uses the backend, and shuts it down.
pub(crate) async fn finish(backend: LibraryBackend, handle: LibraryHandle) {
    eventually("nothing uses the backend", || {
        handle.usage() == UsageSnapshot::default()
    })
    .await;
    drop(handle);
    backend.shutdown().await;
    assert_eq!(backend.abandoned_threads(), 0);
}
