//! Connections over TCP, with and without TLS.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rdd_core::EngineError;
use rdd_plugin_contract::EngineConnection;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncWrite, AsyncWriteExt, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tracing::Instrument as _;

use super::{TransportError, unavailable};
use crate::{EngineEndpoint, TlsFiles};

/// The idle time after which the kernel sends the first keep-alive probe.
const KEEPALIVE_TIME: Duration = Duration::from_secs(15);
/// The interval between keep-alive probes without an answer.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// The number of unanswered probes after which the connection fails: 45 s in
/// all.
const KEEPALIVE_RETRIES: u32 = 3;
/// The longest time that sent bytes may remain unacknowledged. The same 45 s,
/// since the kernel sends no keep-alive probes while bytes are in flight.
#[cfg(target_os = "linux")]
const USER_TIMEOUT: Duration = Duration::from_secs(45);

/// The time limit for the orderly close of a TLS stream.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn connect(
    endpoint: &EngineEndpoint,
    host: &str,
    port: u16,
) -> Result<TcpStream, EngineError> {
    let stream = TcpStream::connect((host, port))
        .await
        .map_err(|error| unavailable(endpoint, &error))?;
    // Requests are small, and each one is awaited.
    stream
        .set_nodelay(true)
        .map_err(|error| unavailable(endpoint, &error))?;
    enable_keepalive(&stream).map_err(|error| unavailable(endpoint, &error))?;
    Ok(stream)
}

/// Makes the kernel detect that the peer is gone.
fn enable_keepalive(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_TIME)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_RETRIES);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(())
}

pub(super) fn into_connection(stream: TcpStream) -> EngineConnection {
    let (reader, writer) = stream.into_split();
    EngineConnection {
        reader: Box::new(reader),
        writer: Box::new(writer),
    }
}

/// The TLS configuration for one engine.
pub(super) struct TlsClient {
    connector: TlsConnector,
    server_name: ServerName<'static>,
}

impl TlsClient {
    pub(super) fn new(host: &str, files: &TlsFiles) -> Result<Self, TransportError> {
        let TlsFiles { ca, cert, key } = files;
        let invalid = |what, path: &Path, problem: String| TransportError::TlsFile {
            what,
            path: path.to_owned(),
            problem,
        };
        let invalid_ca = |problem| invalid("certificate authority", ca, problem);
        let invalid_key = |problem| invalid("private key", key, problem);
        let mut roots = RootCertStore::empty();
        for root in read_certificates(ca).map_err(|error| invalid_ca(error.to_string()))? {
            roots
                .add(root)
                .map_err(|error| invalid_ca(error.to_string()))?;
        }
        let chain = read_certificates(cert)
            .map_err(|error| invalid("certificate", cert, error.to_string()))?;
        let private_key =
            PrivateKeyDer::from_pem_file(key).map_err(|error| invalid_key(error.to_string()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| invalid_ca(error.to_string()))?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, private_key)
            .map_err(|error| invalid_key(error.to_string()))?;
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            server_name: ServerName::try_from(host.to_owned())
                .map_err(|_| TransportError::ServerName(host.to_owned()))?,
        })
    }

    pub(super) async fn handshake(
        &self,
        endpoint: &EngineEndpoint,
        stream: TcpStream,
    ) -> Result<EngineConnection, EngineError> {
        let stream = self
            .connector
            .connect(self.server_name.clone(), stream)
            .await
            .map_err(|error| unavailable(endpoint, &error))?;
        let (reader, writer) = tokio::io::split(stream);
        Ok(EngineConnection {
            reader: Box::new(reader),
            writer: Box::new(TlsWriter(Some(writer))),
        })
    }
}

/// A file from which no certificates can be read.
#[derive(Debug, thiserror::Error)]
enum ReadCertificatesError {
    #[error("{0}")]
    Pem(rustls::pki_types::pem::Error),
    #[error("it contains no certificate")]
    Empty,
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ReadCertificatesError> {
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(ReadCertificatesError::Pem)?;
    if certificates.is_empty() {
        return Err(ReadCertificatesError::Empty);
    }
    Ok(certificates)
}

/// The sending half of a TLS stream. Sends `close_notify` when dropped, as a
/// plain TCP half sends FIN.
struct TlsWriter(Option<WriteHalf<TlsStream<TcpStream>>>);

impl TlsWriter {
    fn inner(&mut self) -> io::Result<Pin<&mut WriteHalf<TlsStream<TcpStream>>>> {
        self.0
            .as_mut()
            .map(Pin::new)
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl AsyncWrite for TlsWriter {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.inner()?.poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner()?.poll_shutdown(cx)
    }
}

impl Drop for TlsWriter {
    fn drop(&mut self) {
        let (Some(mut writer), Ok(runtime)) =
            (self.0.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        // Not tracked: the task ends by its own timeout.
        let close = async move {
            let closed = tokio::time::timeout(CLOSE_TIMEOUT, writer.shutdown()).await;
            if let Ok(Err(error)) = closed {
                tracing::debug!(%error, "cannot close the TLS stream to the engine in order");
            }
        };
        runtime.spawn(close.in_current_span());
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_kernel_probes_an_idle_connection() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let endpoint = EngineEndpoint::Tcp {
            host: "127.0.0.1".to_owned(),
            port: Some(port),
        };
        let stream = connect(&endpoint, "127.0.0.1", port).await.unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        let detection_time = socket.tcp_keepalive_interval().unwrap()
            * socket.tcp_keepalive_retries().unwrap()
            + socket.tcp_keepalive_time().unwrap();
        assert_eq!(detection_time, Duration::from_secs(45));
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(detection_time));
    }
}
