//! The page on a gateway without TLS, and a client for it.
#![allow(dead_code, reason = "not every test file uses all items")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{Request, Response, StatusCode};
use rdd_core::{AccessScope, UserIdentity};
use rdd_gateway::{
    BearerToken, ConnectionLimits, DaemonPhase, Gateway, GatewayBody, GatewayOptions, HealthReport,
    HostOriginPolicy, LocalAuthenticator, RequestHandler, text_response,
};
use rdd_testkit::PATIENCE;
use rdd_web::{PageHandler, SessionAuthenticator, SessionGrant, SessionStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tower::util::BoxCloneSyncService;

/// Headers of every response, with a part of their values.
pub(crate) const PAGE_HEADERS: [(&str, &str); 7] = [
    ("content-security-policy", "default-src 'none'"),
    ("content-security-policy", "frame-ancestors 'none'"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("x-frame-options", "DENY"),
];

/// A running gateway with the page.
pub(crate) struct TestPage {
    pub(crate) address: SocketAddr,
    pub(crate) sessions: Arc<SessionStore>,
    pub(crate) token: BearerToken,
    pub(crate) options: GatewayOptions,
    _health: watch::Sender<HealthReport>,
    _dir: tempfile::TempDir,
}

/// A response.
#[derive(Debug)]
pub(crate) struct TestResponse {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl TestResponse {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A handler that returns its name and the user.
fn echo_handler(name: &'static str) -> RequestHandler {
    BoxCloneSyncService::new(tower::service_fn(
        move |request: Request<rdd_gateway::RequestBody>| async move {
            let user = request.extensions().get::<UserIdentity>();
            let user = user.map_or("none", |identity| &identity.user);
            let content = format!("{name} {user}");
            Ok::<Response<GatewayBody>, Infallible>(text_response(StatusCode::OK, content))
        },
    ))
}

impl TestPage {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let token = BearerToken::load_or_create(&dir.path().join("token")).unwrap();
        let sessions = Arc::<SessionStore>::default();
        let (health, reported) = watch::channel(HealthReport {
            phase: DaemonPhase::Ready,
            checks: Vec::new(),
        });
        let others = Arc::new(LocalAuthenticator::new(token.clone()));
        let options = GatewayOptions {
            listen: "127.0.0.1:0".parse().unwrap(),
            tls: None,
            authenticator: Arc::new(SessionAuthenticator::new(sessions.clone(), others)),
            access_scope: |_| AccessScope::ContainerLog,
            host_origin_policy: HostOriginPolicy::own_address(),
            page: Some(PageHandler::new(sessions.clone()).routes_with_root()),
            response_headers: rdd_web::response_headers(),
            passthrough: echo_handler("passthrough"),
            recorder: None,
            api: Some(echo_handler("api")),
            metrics: echo_handler("metrics"),
            health: reported,
            limits: ConnectionLimits::default(),
            shutdown_grace: PATIENCE,
        };
        let server = Gateway::bind(options.clone()).await.unwrap();
        let address = server.address();
        tokio::spawn(server.serve(std::future::pending()));
        Self {
            address,
            sessions,
            token,
            options,
            _health: health,
            _dir: dir,
        }
    }

    /// Returns a code of the administrator.
    pub(crate) fn create_code(&self) -> String {
        let grant = SessionGrant {
            identity: LocalAuthenticator::administrator(),
            end: None,
        };
        self.sessions.create_code(grant).unwrap()
    }

    /// Returns the token of a new session.
    pub(crate) fn sign_in(&self) -> String {
        let code = self.create_code();
        self.sessions.begin_session(&code).unwrap()
    }

    pub(crate) async fn get(&self, path: &str, headers: &str) -> TestResponse {
        self.send("GET", path, headers, "").await
    }

    pub(crate) async fn post(&self, path: &str, headers: &str, body: &str) -> TestResponse {
        self.send("POST", path, headers, body).await
    }

    /// Sends one request and reads the whole response.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> TestResponse {
        let host = match headers.contains("host:") {
            true => String::new(),
            false => format!("host: {}\r\n", self.address),
        };
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{host}{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        let exchange = async {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.unwrap();
            bytes
        };
        let bytes = timeout(PATIENCE, exchange).await.unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        TestResponse {
            status: status.parse().unwrap(),
            headers: lines
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect(),
            body: body.to_owned(),
        }
    }
}
