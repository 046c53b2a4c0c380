//! The roads to an engine.

#[cfg(unix)]
mod paced;
mod ssh;
mod tcp;
mod unix;
#[cfg(windows)]
mod windows;

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use rdd_core::{EngineError, ErrorCode};
use rdd_plugin_wasm::{Connection, Transport};

use crate::EngineEndpoint;

/// How long opening a connection may take. A local engine answers at once, a
/// remote one within a few round trips.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens connections to one engine.
pub struct EngineDialer {
    endpoint: EngineEndpoint,
    timeout: Duration,
    tls: Option<tcp::Tls>,
}

/// An endpoint that can never be reached from here.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// Named pipes are of Windows alone.
    #[error(
        "the engine endpoint {0} is a named pipe, which only Windows has; name a unix socket: unix:///path"
    )]
    NamedPipe(String),
    /// Unix sockets are not for Windows.
    #[error(
        "the engine endpoint {0} is a unix socket, which this system has not; name a pipe: npipe:////./pipe/name"
    )]
    UnixSocket(String),
    /// A file of the TLS set cannot be used.
    #[error("cannot use the {what} in {path} for TLS with the engine: {problem}")]
    TlsFile {
        /// What the file should hold.
        what: &'static str,
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The host's name is none that a certificate could bear.
    #[error(
        "{0:?} cannot be checked against a certificate: give the engine's host name or address"
    )]
    ServerName(String),
}

impl EngineDialer {
    /// Prepares the road to `endpoint`; reads its certificates. Connects to
    /// nothing.
    pub fn new(endpoint: EngineEndpoint) -> Result<Self, TransportError> {
        let tls = match &endpoint {
            EngineEndpoint::Tls { host, files, .. } => Some(tcp::Tls::new(host, files)?),
            EngineEndpoint::NamedPipe(_) if cfg!(not(windows)) => {
                return Err(TransportError::NamedPipe(endpoint.to_string()));
            }
            EngineEndpoint::Unix(_) if cfg!(not(unix)) => {
                return Err(TransportError::UnixSocket(endpoint.to_string()));
            }
            _ => None,
        };
        Ok(Self {
            endpoint,
            timeout: CONNECT_TIMEOUT,
            tls,
        })
    }

    async fn dial(&self) -> Result<Connection, EngineError> {
        match &self.endpoint {
            EngineEndpoint::Unix(path) => unix::connect(path).await,
            #[cfg(windows)]
            EngineEndpoint::NamedPipe(path) => windows::connect(path).await,
            #[cfg(not(windows))]
            EngineEndpoint::NamedPipe(_) => Err(unavailable(
                &self.endpoint,
                &io::ErrorKind::Unsupported.into(),
            )),
            EngineEndpoint::Tcp { host, port } => {
                let port = port.unwrap_or(crate::endpoint::TCP_PORT);
                let connected = tcp::connect(&self.endpoint, host, port).await;
                connected.map(tcp::plain)
            }
            EngineEndpoint::Tls { host, port, .. } => {
                let stream = tcp::connect(&self.endpoint, host, *port).await?;
                match &self.tls {
                    Some(tls) => tls.wrap(&self.endpoint, stream).await,
                    // `new` made it for this endpoint.
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
impl Transport for EngineDialer {
    async fn connect(&self) -> Result<Connection, EngineError> {
        match tokio::time::timeout(self.timeout, self.dial()).await {
            Ok(dialled) => dialled,
            Err(_) => Err(EngineError::new(
                ErrorCode::Timeout,
                format!(
                    "the engine at {} did not take a connection within {:?}",
                    self.endpoint, self.timeout
                ),
            )),
        }
    }
}

/// The error of a connection that failed for now.
fn unavailable(endpoint: &EngineEndpoint, error: &io::Error) -> EngineError {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => "nothing is there; start the engine",
        io::ErrorKind::ConnectionRefused => "nothing listens there; start the engine",
        _ => "see that the engine runs and can be reached",
    };
    EngineError::new(
        ErrorCode::Unavailable,
        format!("cannot connect to the engine at {endpoint}: {error}; {hint}"),
    )
}
