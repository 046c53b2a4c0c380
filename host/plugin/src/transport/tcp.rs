//! TCP, with and without TLS.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rdd_core::EngineError;
use rdd_plugin_wasm::Connection;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncWrite, AsyncWriteExt, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{TransportError, unavailable};
use crate::{EngineEndpoint, TlsFiles};

/// How soon the kernel looks whether the other end of a silent connection is
/// still there, ...
const KEEPALIVE_TIME: Duration = Duration::from_secs(15);
/// ... how soon again without an answer, ...
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// ... and after how many of these it gives up: 45 s in all.
const KEEPALIVE_RETRIES: u32 = 3;
/// How long sent bytes may go without an acknowledgement: the same time, since
/// there is no keep-alive while bytes are on their way.
#[cfg(target_os = "linux")]
const USER_TIMEOUT: Duration = Duration::from_secs(45);

/// How long saying goodbye over TLS may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn connect(
    endpoint: &EngineEndpoint,
    host: &str,
    port: u16,
) -> Result<TcpStream, EngineError> {
    let stream = TcpStream::connect((host, port))
        .await
        .map_err(|error| unavailable(endpoint, &error))?;
    // Requests are small and each is waited for.
    stream
        .set_nodelay(true)
        .map_err(|error| unavailable(endpoint, &error))?;
    watch_over(&stream).map_err(|error| unavailable(endpoint, &error))?;
    Ok(stream)
}

/// Has the kernel find out when the other end is gone.
fn watch_over(stream: &TcpStream) -> io::Result<()> {
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

pub(super) fn plain(stream: TcpStream) -> Connection {
    let (reader, writer) = stream.into_split();
    Connection {
        reader: Box::new(reader),
        writer: Box::new(writer),
    }
}

/// What TLS with one engine takes.
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Tls {
    pub(super) fn new(host: &str, files: &TlsFiles) -> Result<Self, TransportError> {
        let TlsFiles { ca, cert, key } = files;
        let bad = |what, path: &Path, problem: String| TransportError::TlsFile {
            what,
            path: path.display().to_string(),
            problem,
        };
        let mut roots = RootCertStore::empty();
        for root in certificates(ca).map_err(|problem| bad("certificate authority", ca, problem))? {
            roots
                .add(root)
                .map_err(|error| bad("certificate authority", ca, error.to_string()))?;
        }
        let chain = certificates(cert).map_err(|problem| bad("certificate", cert, problem))?;
        let private = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| bad("private key", key, error.to_string()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| bad("certificate authority", ca, error.to_string()))?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, private)
            .map_err(|error| bad("private key", key, error.to_string()))?;
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            name: ServerName::try_from(host.to_owned())
                .map_err(|_| TransportError::ServerName(host.to_owned()))?,
        })
    }

    pub(super) async fn wrap(
        &self,
        endpoint: &EngineEndpoint,
        stream: TcpStream,
    ) -> Result<Connection, EngineError> {
        let stream = self
            .connector
            .connect(self.name.clone(), stream)
            .await
            .map_err(|error| unavailable(endpoint, &error))?;
        let (reader, writer) = tokio::io::split(stream);
        Ok(Connection {
            reader: Box::new(reader),
            writer: Box::new(Closing(Some(writer))),
        })
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| error.to_string())?;
    if certificates.is_empty() {
        return Err("there is no certificate in it".to_owned());
    }
    Ok(certificates)
}

/// Closes its direction of the connection when it is dropped, as a plain
/// socket does by itself.
struct Closing(Option<WriteHalf<TlsStream<TcpStream>>>);

impl Closing {
    fn half(&mut self) -> io::Result<Pin<&mut WriteHalf<TlsStream<TcpStream>>>> {
        self.0
            .as_mut()
            .map(Pin::new)
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl AsyncWrite for Closing {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.half()?.poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.half()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.half()?.poll_shutdown(cx)
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        let (Some(mut half), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        // Ends by its own clock: no task could own it longer than that.
        runtime.spawn(async move {
            let closed = tokio::time::timeout(CLOSE_TIMEOUT, half.shutdown()).await;
            if let Ok(Err(error)) = closed {
                tracing::debug!(%error, "an engine's connection did not close in order");
            }
        });
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_kernel_looks_after_a_silent_connection() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let endpoint = EngineEndpoint::Tcp {
            host: "127.0.0.1".to_owned(),
            port: Some(port),
        };
        let stream = connect(&endpoint, "127.0.0.1", port).await.unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        let looks = socket.tcp_keepalive_interval().unwrap()
            * socket.tcp_keepalive_retries().unwrap()
            + socket.tcp_keepalive_time().unwrap();
        assert_eq!(looks, Duration::from_secs(45));
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(looks));
    }
}
