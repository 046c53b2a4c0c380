//! HTTP requests with a limit on each wait and each size.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::TokioExecutor;
use rustls_platform_verifier::BuilderVerifierExt as _;

use crate::reference::ArtifactReference;
use crate::registry_error::RegistryError;

/// The address of a proxy and its credentials.
pub use hyper_util::client::proxy::matcher::Intercept as ProxyIntercept;

/// Selects the proxy for an address; the error is a message for the user. Only
/// encrypted connections use it.
pub type ProxyPolicy =
    Arc<dyn Fn(&Uri) -> Result<Option<ProxyIntercept>, String> + Send + Sync + 'static>;

/// The maximum number of bytes of an error's body and of a token's.
pub(super) const MAX_MESSAGE_BYTES: u64 = 64 * 1024;

/// The name of this program in requests.
const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("rdd/", env!("CARGO_PKG_VERSION")));

pub(super) struct HttpClient {
    direct: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    tls: rustls::ClientConfig,
    proxy: ProxyPolicy,
    idle_timeout: Duration,
}

/// A failed exchange, before it is known what it was for.
#[derive(Debug)]
pub(super) enum HttpError {
    Connect(Box<dyn std::error::Error + Send + Sync>),
    Timeout,
    Proxy(String),
    TooLarge { max_bytes: u64 },
    Write(std::io::Error),
}

impl HttpError {
    /// Adds what the exchange was for.
    pub(super) fn in_registry(self, reference: &ArtifactReference, action: &str) -> RegistryError {
        let registry = reference.registry().to_owned();
        let action = action.to_owned();
        match self {
            Self::Connect(source) => RegistryError::Connect {
                registry,
                action,
                source,
            },
            Self::Timeout => RegistryError::Timeout { registry, action },
            Self::Proxy(message) => RegistryError::Proxy(message),
            Self::TooLarge { max_bytes } => RegistryError::TooLarge {
                reference: reference.to_string(),
                action,
                max_bytes,
            },
            Self::Write(error) => RegistryError::Write(error),
        }
    }
}

impl HttpClient {
    pub(super) fn new(proxy: ProxyPolicy, idle_timeout: Duration) -> Result<Self, RegistryError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_platform_verifier())
            .map_err(RegistryError::Tls)?
            .with_no_client_auth();
        Ok(Self {
            direct: new_client(encrypted(&tls, new_connector(idle_timeout))),
            tls,
            proxy,
            idle_timeout,
        })
    }

    pub(super) fn idle_timeout(&self) -> Duration {
        self.idle_timeout
    }

    /// Sends a request and returns the response once its head has arrived.
    pub(super) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        timeout: Duration,
    ) -> Result<Response<Incoming>, HttpError> {
        request
            .headers_mut()
            .insert(http::header::USER_AGENT, USER_AGENT);
        let proxy = match request.uri().scheme_str() {
            Some("https") => (self.proxy)(request.uri()).map_err(HttpError::Proxy)?,
            _ => None,
        };
        let response = match proxy {
            None => self.direct.request(request),
            Some(proxy) => {
                let to_proxy = encrypted(&self.tls, new_connector(self.idle_timeout));
                let mut tunnel = Tunnel::new(proxy.uri().clone(), to_proxy);
                if let Some(credentials) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(credentials.clone());
                }
                new_client(encrypted(&self.tls, tunnel)).request(request)
            }
        };
        match tokio::time::timeout(timeout, response).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(HttpError::Connect(error.into())),
            Err(_) => Err(HttpError::Timeout),
        }
    }

    /// Writes a body of at most `max_bytes` to `output`.
    pub(super) async fn copy(
        &self,
        mut body: Incoming,
        max_bytes: u64,
        output: &mut (dyn Write + Send),
    ) -> Result<(), HttpError> {
        let mut bytes = 0;
        loop {
            let frame = tokio::time::timeout(self.idle_timeout, body.frame())
                .await
                .map_err(|_| HttpError::Timeout)?;
            let Some(frame) = frame else { return Ok(()) };
            let frame = frame.map_err(|error| HttpError::Connect(error.into()))?;
            // Trailers are not used.
            let Ok(data) = frame.into_data() else {
                continue;
            };
            bytes += data.len() as u64;
            if bytes > max_bytes {
                return Err(HttpError::TooLarge { max_bytes });
            }
            output.write_all(&data).map_err(HttpError::Write)?;
        }
    }

    /// Reads the body of an error; empty if that fails.
    pub(super) async fn read_message(&self, body: Incoming) -> Vec<u8> {
        let mut message = Vec::new();
        match self.copy(body, MAX_MESSAGE_BYTES, &mut message).await {
            Ok(()) => message,
            Err(error) => {
                tracing::debug!(?error, "cannot read the message of a registry");
                Vec::new()
            }
        }
    }
}

fn new_connector(connect_timeout: Duration) -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_connect_timeout(Some(connect_timeout));
    connector
}

/// Adds TLS where an address asks for it.
fn encrypted<C>(tls: &rustls::ClientConfig, connector: C) -> HttpsConnector<C> {
    HttpsConnectorBuilder::new()
        .with_tls_config(tls.clone())
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector)
}

fn new_client<C>(connector: C) -> Client<C, Full<Bytes>>
where
    C: hyper_util::client::legacy::connect::Connect + Clone,
{
    Client::builder(TokioExecutor::new()).build(connector)
}
