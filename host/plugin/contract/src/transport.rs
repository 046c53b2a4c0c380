//! The transport between a backend and its engine.

use async_trait::async_trait;
use rdd_core::EngineError;
use tokio::io::{AsyncRead, AsyncWrite};

/// The transport to one engine, such as a Unix socket or SSH. A backend only
/// sees bytes.
#[async_trait]
pub trait EngineTransport: Send + Sync + 'static {
    /// Opens a new connection.
    ///
    /// # Errors
    ///
    /// Fails with `Unavailable`, `Timeout`, or `PermissionDenied`; the message of
    /// the last names the remedy.
    async fn connect(&self) -> Result<EngineConnection, EngineError>;
}

/// A connection to an engine. Dropping the writer half-closes it; dropping
/// both closes it.
pub struct EngineConnection {
    /// The bytes from the engine.
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
    /// The bytes to the engine.
    pub writer: Box<dyn AsyncWrite + Send + Unpin>,
}
