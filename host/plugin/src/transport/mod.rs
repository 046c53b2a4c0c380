//! The transports to an engine: Unix socket, TCP, TLS, and SSH.

mod ssh;
mod tcp;
mod unix;

mod coalescing;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use rdd_core::{EngineError, ErrorCode};
use rdd_plugin_contract::{EngineConnection, EngineTransport};

use crate::EngineEndpoint;

/// The time limit for opening a connection. A local engine accepts one at once,
/// a remote one within a few round trips.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens connections to one engine.
pub struct EngineDialer {
    endpoint: EngineEndpoint,
    timeout: Duration,
    /// Set for a TLS endpoint, and only then.
    tls: Option<tcp::TlsClient>,
}

/// An endpoint that cannot be used on this machine.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// A file of the TLS configuration cannot be used.
    #[error("cannot use the {what} in {} for TLS with the engine: {problem}", path.display())]
    TlsFile {
        /// The expected content of the file.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The host name cannot appear in a certificate.
    #[error(
        "{0:?} cannot be verified against a certificate; use the engine's host name or IP address"
    )]
    ServerName(String),
}

impl EngineDialer {
    /// Creates a dialer for `endpoint` and reads the endpoint's certificates.
    /// Does not connect.
    ///
    /// # Errors
    ///
    /// Fails if the endpoint can never be reached from this machine, for
    /// example because a certificate is missing.
    pub fn new(endpoint: EngineEndpoint) -> Result<Self, TransportError> {
        let tls = match &endpoint {
            EngineEndpoint::Tls { host, files, .. } => Some(tcp::TlsClient::new(host, files)?),
            _ => None,
        };
        Ok(Self {
            endpoint,
            timeout: CONNECT_TIMEOUT,
            tls,
        })
    }

    async fn dial(&self) -> Result<EngineConnection, EngineError> {
        match &self.endpoint {
            EngineEndpoint::Unix(path) => unix::connect(path).await,
            EngineEndpoint::Tcp { host, port } => {
                let port = port.unwrap_or(crate::engine_endpoint::TCP_PORT);
                let stream = tcp::connect(&self.endpoint, host, port).await?;
                Ok(tcp::into_connection(stream))
            }
            EngineEndpoint::Tls { host, port, .. } => {
                let stream = tcp::connect(&self.endpoint, host, *port).await?;
                match &self.tls {
                    Some(tls) => tls.handshake(&self.endpoint, stream).await,
                    // Unreachable: `new` creates the client for this endpoint.
                    None => Err(unavailable(
                        &self.endpoint,
                        &io::ErrorKind::Unsupported.into(),
                    )),
                }
            }
            EngineEndpoint::Ssh {
                user,
                host,
                port,
                socket,
            } => ssh::connect(
                user.as_deref(),
                host,
                *port,
                socket.as_deref(),
                self.timeout,
            ),
        }
    }
}

#[async_trait]
impl EngineTransport for EngineDialer {
    async fn connect(&self) -> Result<EngineConnection, EngineError> {
        match tokio::time::timeout(self.timeout, self.dial()).await {
            Ok(connected) => connected,
            Err(_) => Err(EngineError::new(
                ErrorCode::Timeout,
                format!(
                    "the engine at {} did not accept a connection within {:?}",
                    self.endpoint, self.timeout
                ),
            )),
        }
    }
}

/// Returns the error for a failed connection attempt that may succeed later.
fn unavailable(endpoint: &EngineEndpoint, error: &io::Error) -> EngineError {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => "there is no socket; start the engine",
        io::ErrorKind::ConnectionRefused => "nothing is listening there; start the engine",
        _ => "check that the engine is running and reachable",
    };
    EngineError::new(
        ErrorCode::Unavailable,
        format!("cannot connect to the engine at {endpoint}: {error}; {hint}"),
    )
}
