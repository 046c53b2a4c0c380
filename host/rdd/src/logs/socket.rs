//! The WebSocket to an endpoint of the daemon for one container.

use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use http::uri::Authority;
use http::{StatusCode, Uri};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Request;

use crate::discovery_entry::DiscoveryEntry;
use crate::state_dir::StateDir;

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
        let discovery = DiscoveryEntry::read(state_dir)?;
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

/// Why a WebSocket could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The daemon answered with an error.
    #[error("{message} ({status})")]
    Rejected {
        /// The status of the response.
        status: StatusCode,
        /// Its text.
        message: String,
    },
    /// There was no answer.
    #[error(transparent)]
    Unreachable(#[from] anyhow::Error),
}

impl ConnectError {
    /// Returns whether a later attempt may succeed.
    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            Self::Rejected { status, .. } => matches!(
                *status,
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
            ),
            Self::Unreachable(_) => true,
        }
    }
}

/// Opens a path below the engine's endpoints with a subprotocol.
pub(crate) async fn connect(
    endpoint: &LogEndpoint,
    path_of_endpoint: &str,
    query: &str,
    subprotocol: &'static str,
) -> Result<LogSocket, ConnectError> {
    let stream = connect_tls(endpoint).await?;
    let request = upgrade_request(endpoint, path_of_endpoint, query, subprotocol)?;
    match tokio_tungstenite::client_async(request, stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) => {
            let body = response.body().as_deref();
            let body = body.map(String::from_utf8_lossy).unwrap_or_default();
            Err(ConnectError::Rejected {
                status: response.status(),
                message: body.trim().to_owned(),
            })
        }
        Err(error) => Err(anyhow!(error)
            .context("the daemon did not open the stream")
            .into()),
    }
}

fn authority(url: &Uri) -> Result<&Authority> {
    url.authority()
        .context("the daemon published an endpoint without a host")
}

async fn connect_tls(endpoint: &LogEndpoint) -> Result<TlsStream<TcpStream>> {
    let authority = authority(&endpoint.url)?;
    let address = authority.as_str();
    let stream = TcpStream::connect(address).await.with_context(|| {
        format!("cannot reach the daemon at {address}; check it with 'rdd status'")
    })?;
    let tls = rustls::ClientConfig::builder()
        .with_root_certificates(endpoint.roots.clone())
        .with_no_client_auth();
    let host = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    TlsConnector::from(Arc::new(tls))
        .connect(ServerName::try_from(host)?, stream)
        .await
        .context("the TLS handshake with the daemon failed")
}

fn upgrade_request(
    endpoint: &LogEndpoint,
    path_of_endpoint: &str,
    query: &str,
    subprotocol: &'static str,
) -> Result<Request> {
    let LogEndpoint { url, token, .. } = endpoint;
    let address = authority(url)?.as_str();
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
    Ok(request)
}
