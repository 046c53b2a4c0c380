//! A door on a real socket with real TLS, and a client of it.
#![allow(dead_code, reason = "not every test file uses all of it")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use jiff::Timestamp;
use rdd_core::UserIdentity;
use rdd_gateway::{
    Body, Certificates, ConnectionLimits, DaemonPhase, Gateway, GatewayOptions, Guard, Handler,
    HealthReport, LocalAuthenticator, Token, text,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;
use tower::util::BoxCloneSyncService;

/// How long a busy machine may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    pub(crate) token: Token,
    pub(crate) health: watch::Sender<HealthReport>,
    pub(crate) roots: rustls::RootCertStore,
    pub(crate) options: GatewayOptions,
    pub(crate) stop: CancellationToken,
    pub(crate) served: JoinHandle<()>,
    pub(crate) _dir: tempfile::TempDir,
}

/// A room that says its name and who came in.
pub(crate) fn room(name: &'static str) -> Handler {
    BoxCloneSyncService::new(tower::service_fn(
        move |request: Request<hyper::body::Incoming>| async move {
            let user = request
                .extensions()
                .get::<UserIdentity>()
                .map_or("nobody", |identity| &identity.user)
                .to_owned();
            let secret = request.headers().contains_key("authorization");
            Ok::<Response<Body>, Infallible>(text(
                StatusCode::OK,
                format!("{name} {user} secret={secret}"),
            ))
        },
    ))
}

pub(crate) async fn door() -> Door {
    door_with(ConnectionLimits::default(), room("api")).await
}

pub(crate) async fn door_with(limits: ConnectionLimits, api: Handler) -> Door {
    let dir = tempfile::tempdir().unwrap();
    let certificates =
        Certificates::load_or_create(&dir.path().join("tls"), &[], Timestamp::now()).unwrap();
    let token = Token::load_or_create(&dir.path().join("token")).unwrap();
    let (health, reported) = watch::channel(HealthReport::default());
    let options = GatewayOptions {
        listen: "127.0.0.1:0".parse().unwrap(),
        tls: certificates.server.clone(),
        authenticator: Arc::new(LocalAuthenticator::new(token.clone())),
        guard: Guard::new(&[], &[]),
        passthrough: room("passthrough"),
        api: Some(api),
        metrics: Arc::new(|| "metrics".to_owned()),
        health: reported,
        limits,
        grace: PATIENCE,
    };
    let front = Gateway::bind(options.clone()).await.unwrap();
    let address = front.address();
    let stop = CancellationToken::new();
    let served = tokio::spawn(front.serve(stop.clone().cancelled_owned()));
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(certificates.bundle_pem.as_bytes()).unwrap())
        .unwrap();
    Door {
        address,
        token,
        health,
        roots,
        options,
        stop,
        served,
        _dir: dir,
    }
}

impl Door {
    /// A connection whose TLS handshake is done.
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

    /// The head of a request.
    pub(crate) fn request(&self, path: &str, headers: &str) -> String {
        let host = if headers.contains("host:") {
            String::new()
        } else {
            format!("host: {}\r\n", self.address)
        };
        format!("GET {path} HTTP/1.1\r\n{host}{headers}\r\n")
    }

    /// Sends one request and reads the whole answer.
    pub(crate) async fn ask(&self, path: &str, headers: &str) -> String {
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

/// All that comes until the connection ends.
pub(crate) async fn read_to_end(stream: &mut TlsStream<TcpStream>) -> String {
    let mut answer = Vec::new();
    // The server may close without a TLS goodbye; what came before counts.
    if let Err(error) = stream.read_to_end(&mut answer).await {
        assert!(is_close(&error), "{error}");
    }
    String::from_utf8(answer).unwrap()
}

/// How a connection looks that was closed from the other side.
pub(crate) fn is_close(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::UnexpectedEof
            | std::io::ErrorKind::ConnectionReset
            | std::io::ErrorKind::ConnectionAborted
            | std::io::ErrorKind::BrokenPipe
    )
}

pub(crate) fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or(answer)
}
