//! A gateway on a real socket with real TLS, and a client for it.
#![allow(dead_code, reason = "not every test file uses all items")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo};
use jiff::Timestamp;
use rdd_core::{AccessScope, UserIdentity};
use rdd_gateway::{
    BearerToken, CertificateSet, ConnectionLimits, DaemonPhase, Gateway, GatewayBody,
    GatewayOptions, HealthReport, HostOriginPolicy, LocalAuthenticator, RequestHandler,
    text_response,
};
use rdd_testkit::PATIENCE;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;
use tower::util::BoxCloneSyncService;

/// A running gateway.
pub(crate) struct TestGateway {
    pub(crate) address: SocketAddr,
    pub(crate) token: BearerToken,
    pub(crate) health: watch::Sender<HealthReport>,
    pub(crate) roots: rustls::RootCertStore,
    pub(crate) options: GatewayOptions,
    pub(crate) shutdown: CancellationToken,
    pub(crate) served: JoinHandle<()>,
    pub(crate) _dir: tempfile::TempDir,
}

/// A handler that returns its name and the user.
pub(crate) fn echo_handler(name: &'static str) -> RequestHandler {
    BoxCloneSyncService::new(tower::service_fn(
        move |request: Request<rdd_gateway::RequestBody>| async move {
            let user = request
                .extensions()
                .get::<UserIdentity>()
                .map_or("none", |identity| &identity.user)
                .to_owned();
            let secret = request.headers().contains_key("authorization");
            Ok::<Response<GatewayBody>, Infallible>(text_response(
                StatusCode::OK,
                format!("{name} {user} secret={secret}"),
            ))
        },
    ))
}

/// Starts a gateway with default limits, which is not ready yet.
pub(crate) async fn start() -> TestGateway {
    start_with(ConnectionLimits::default(), echo_handler("api")).await
}

/// Starts a gateway with these limits and this API handler.
pub(crate) async fn start_with(limits: ConnectionLimits, api: RequestHandler) -> TestGateway {
    let dir = tempfile::tempdir().unwrap();
    let certificates =
        CertificateSet::load_or_create(&dir.path().join("tls"), &[], Timestamp::now()).unwrap();
    let token = BearerToken::load_or_create(&dir.path().join("token")).unwrap();
    let (health, reported) = watch::channel(HealthReport::default());
    let options = GatewayOptions {
        listen: "127.0.0.1:0".parse().unwrap(),
        tls: Some(certificates.server.clone()),
        authenticator: Arc::new(LocalAuthenticator::new(token.clone())),
        access_scope: |_| AccessScope::ContainerLog,
        host_origin_policy: HostOriginPolicy::new(&[], &[]),
        page: None,
        response_headers: Default::default(),
        passthrough: echo_handler("passthrough"),
        recorder: None,
        api: Some(api),
        metrics: echo_handler("metrics"),
        health: reported,
        limits,
        shutdown_grace: PATIENCE,
    };
    let server = Gateway::bind(options.clone()).await.unwrap();
    let address = server.address();
    let shutdown = CancellationToken::new();
    let served = tokio::spawn(server.serve(shutdown.clone().cancelled_owned()));
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(certificates.bundle_pem.as_bytes()).unwrap())
        .unwrap();
    TestGateway {
        address,
        token,
        health,
        roots,
        options,
        shutdown,
        served,
        _dir: dir,
    }
}

impl TestGateway {
    /// Connects and completes the TLS handshake.
    pub(crate) async fn connect(&self, protocol: &str) -> TlsStream<TcpStream> {
        self.try_connect(protocol).await.unwrap()
    }

    pub(crate) async fn try_connect(
        &self,
        protocol: &str,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let stream = TcpStream::connect(self.address).await?;
        tokio_rustls::TlsConnector::from(Arc::new(config))
            .connect(ServerName::try_from("localhost").unwrap(), stream)
            .await
    }

    /// Returns the head of a request.
    pub(crate) fn request(&self, path: &str, headers: &str) -> String {
        let host = if headers.contains("host:") {
            String::new()
        } else {
            format!("host: {}\r\n", self.address)
        };
        format!("GET {path} HTTP/1.1\r\n{host}{headers}\r\n")
    }

    /// Sends one request and returns the whole response.
    pub(crate) async fn send(&self, path: &str, headers: &str) -> String {
        let mut stream = self.connect("http/1.1").await;
        let request = self.request(path, &format!("connection: close\r\n{headers}"));
        stream.write_all(request.as_bytes()).await.unwrap();
        read_to_end(&mut stream).await
    }

    pub(crate) fn become_ready(&self) {
        self.health
            .send_modify(|report| report.phase = DaemonPhase::Ready);
    }

    pub(crate) fn bearer(&self) -> String {
        format!("authorization: Bearer {}\r\n", self.token.reveal())
    }
}

/// Reads until the connection is closed.
pub(crate) async fn read_to_end(stream: &mut TlsStream<TcpStream>) -> String {
    let mut response = Vec::new();
    // The server may close the connection without `close_notify`.
    if let Err(error) = stream.read_to_end(&mut response).await {
        assert!(is_close(&error), "{error}");
    }
    String::from_utf8(response).unwrap()
}

/// Returns whether the peer closed the connection.
pub(crate) fn is_close(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::UnexpectedEof
            | std::io::ErrorKind::ConnectionReset
            | std::io::ErrorKind::ConnectionAborted
            | std::io::ErrorKind::BrokenPipe
    )
}

/// Returns the status code of a response.
pub(crate) fn status(response: &str) -> &str {
    response.split(' ').nth(1).unwrap_or(response)
}

/// Waits until the gateway closes the connection.
pub(crate) async fn wait_for_close(stream: &mut (impl tokio::io::AsyncRead + Unpin)) {
    let mut bytes = Vec::new();
    match timeout(PATIENCE, stream.read_to_end(&mut bytes)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => assert!(is_close(&error), "{error}"),
        Err(_) => panic!("the connection is still open"),
    }
}

pub(crate) type H2Sender = hyper::client::conn::http2::SendRequest<Empty<Bytes>>;
pub(crate) type H2Connection = tokio::task::JoinHandle<hyper::Result<()>>;

/// Opens an HTTP/2 connection, which answers pings automatically.
pub(crate) async fn http2(gateway: &TestGateway) -> (H2Sender, H2Connection) {
    let stream = gateway.connect("h2").await;
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    (sender, tokio::spawn(connection))
}

pub(crate) fn http2_request(
    gateway: &TestGateway,
    path: &str,
    with_token: bool,
) -> Request<Empty<Bytes>> {
    let mut request = Request::get(format!("https://{}{path}", gateway.address));
    if with_token {
        request = request.header(
            "authorization",
            format!("Bearer {}", gateway.token.reveal()),
        );
    }
    request.body(Empty::new()).unwrap()
}
