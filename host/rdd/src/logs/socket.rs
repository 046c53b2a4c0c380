//! The WebSocket to an endpoint of the daemon for one container.

use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use http::{StatusCode, Uri};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::state_dir::StateDir;

/// The subprotocol of a log whose frames begin with one byte for their source.
const SUBPROTOCOL: &str = "rdd.logs.v1+source";

/// The connection of an open log.
pub(crate) type LogSocket = WebSocketStream<TlsStream<TcpStream>>;

/// The log endpoint of the daemon, and the credentials for it.
pub(crate) struct LogEndpoint {
    url: Uri,
    roots: rustls::RootCertStore,
    token: String,
}

impl LogEndpoint {
    /// Reads the endpoint and the credentials from the state directory.
    pub(crate) fn discover(state_dir: &StateDir) -> Result<Self> {
        let discovery = crate::serve::discovery::read(state_dir)?;
        let url = discovery
            .passthrough_endpoint
            .parse()
            .context("the daemon published an invalid endpoint")?;
        let token = std::fs::read_to_string(state_dir.token())
            .context("cannot read the instance's token")?;
        let mut roots = rustls::RootCertStore::empty();
        let authority = state_dir.tls().join("ca.crt");
        roots.add(
            CertificateDer::from_pem_file(&authority)
                .map_err(|error| anyhow!("cannot read {}: {error}", authority.display()))?,
        )?;
        Ok(Self { url, roots, token })
    }
}

/// Opens the log of a container, by the name of its mirror.
pub(crate) async fn open(endpoint: &LogEndpoint, mirror: &str, query: &str) -> Result<LogSocket> {
    connect(endpoint, &format!("logs/{mirror}"), query, SUBPROTOCOL).await
}

/// Opens a path below the engine's endpoints with a subprotocol.
pub(crate) async fn connect(
    endpoint: &LogEndpoint,
    path_of_endpoint: &str,
    query: &str,
    subprotocol: &'static str,
) -> Result<LogSocket> {
    let LogEndpoint { url, roots, token } = endpoint;
    let authority = url
        .authority()
        .context("the daemon published an endpoint without a host")?;
    let address = authority.as_str();
    let stream = TcpStream::connect(address).await.with_context(|| {
        format!("cannot reach the daemon at {address}; check it with 'rdd status'")
    })?;
    let tls = rustls::ClientConfig::builder()
        .with_root_certificates(roots.clone())
        .with_no_client_auth();
    let host = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    let stream = TlsConnector::from(Arc::new(tls))
        .connect(ServerName::try_from(host)?, stream)
        .await
        .context("the TLS handshake with the daemon failed")?;

    let path = url.path().trim_end_matches('/');
    let mut request =
        format!("wss://{address}{path}/engine/{path_of_endpoint}?{query}").into_client_request()?;
    let headers = request.headers_mut();
    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.trim()))?;
    bearer.set_sensitive(true);
    headers.insert(AUTHORIZATION, bearer);
    headers.insert(ACCEPT, HeaderValue::from_static("text/plain"));
    headers.insert(
        SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static(subprotocol),
    );
    match tokio_tungstenite::client_async(request, stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) => {
            let status: StatusCode = response.status();
            let body = response
                .body()
                .as_deref()
                .map(String::from_utf8_lossy)
                .unwrap_or_default();
            bail!("{} ({status})", body.trim())
        }
        Err(error) => Err(error).context("the daemon did not open the stream"),
    }
}
