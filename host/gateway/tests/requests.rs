//! The checks of a request, on a real socket with real TLS.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::stream;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use rdd_core::{AccessScope, AuthError, Authenticator, Credentials, SessionEnd, UserIdentity};
use rdd_gateway::{
    BindError, Gateway, GatewayBody, GatewayOptions, LocalAuthenticator, PageAccess, PageRoutes,
    text_response,
};
use rdd_testkit::PATIENCE;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tower::util::BoxCloneSyncService;

use common::{TestGateway, echo_handler, start, status, wait_for_close};

#[tokio::test]
async fn every_path_returns_503_with_retry_after_until_the_daemon_is_ready() {
    let gateway = start().await;
    for path in [
        "/",
        "/api/v1/namespaces",
        "/passthrough/engine/logs/x",
        "/passthrough/nosuch",
        "/metrics",
        "/readyz",
    ] {
        let response = gateway.send(path, &gateway.bearer()).await;
        assert_eq!(status(&response), "503", "{path}: {response}");
        assert!(
            response.to_lowercase().contains("retry-after: "),
            "{path}: {response}"
        );
    }
    assert_eq!(status(&gateway.send("/livez", "").await), "200");
    gateway.become_ready();
    assert_eq!(status(&gateway.send("/readyz", "").await), "200");
    assert_eq!(
        status(&gateway.send("/api", &gateway.bearer()).await),
        "200"
    );
}

/// Allows administrators everything but metrics.
struct NoMetricsAuthenticator(LocalAuthenticator);

#[async_trait]
impl Authenticator for NoMetricsAuthenticator {
    fn authenticate_locally(
        &self,
        credentials: &Credentials,
    ) -> Option<Result<UserIdentity, AuthError>> {
        Some(self.0.check(credentials))
    }

    fn authorize(&self, _: &UserIdentity, scope: AccessScope) -> Result<(), AuthError> {
        match scope {
            AccessScope::DaemonMetrics => Err(AuthError::Forbidden("no metrics".to_owned())),
            _ => Ok(()),
        }
    }

    async fn authenticate(
        &self,
        credentials: &Credentials,
        _: AccessScope,
    ) -> Result<UserIdentity, AuthError> {
        self.0.check(credentials)
    }
}

#[tokio::test]
async fn a_user_gets_403_for_what_the_authenticator_does_not_allow() {
    let mut gateway = start().await;
    gateway.become_ready();
    let local = LocalAuthenticator::new(gateway.token.clone());
    let second = Gateway::bind(GatewayOptions {
        authenticator: Arc::new(NoMetricsAuthenticator(local)),
        ..gateway.options.clone()
    })
    .await
    .unwrap();
    gateway.address = second.address();
    tokio::spawn(second.serve(std::future::pending()));
    for (path, expected) in [
        ("/metrics", "403"),
        ("/passthrough/engine/logs/x", "200"),
        // The API server decides for itself.
        ("/api", "200"),
    ] {
        let response = gateway.send(path, &gateway.bearer()).await;
        assert_eq!(status(&response), expected, "{path}");
    }
}

#[tokio::test]
async fn impersonation_is_refused_beside_the_api() {
    let gateway = start().await;
    gateway.become_ready();
    let headers = format!("{}impersonate-user: bob\r\n", gateway.bearer());
    for (path, expected) in [
        ("/api", "200"),
        ("/metrics", "403"),
        ("/passthrough/engine/logs/x", "403"),
    ] {
        assert_eq!(
            status(&gateway.send(path, &headers).await),
            expected,
            "{path}"
        );
        let own = gateway.send(path, &gateway.bearer()).await;
        assert_eq!(status(&own), "200", "{path}");
    }
}

#[tokio::test]
async fn every_path_requires_valid_credentials() {
    let gateway = start().await;
    gateway.become_ready();
    for path in [
        "/",
        "/api",
        "/passthrough/engine/logs/x",
        "/metrics",
        "/openapi/v3",
        "/version",
    ] {
        for headers in [
            "",
            "authorization: Bearer wrong\r\n",
            "authorization: Basic eDp5\r\n",
        ] {
            let response = gateway.send(path, headers).await;
            assert_eq!(status(&response), "401", "{path} {headers:?}");
            assert!(
                response.contains("kubeconfig") || response.contains("Bearer TOKEN"),
                "{response}"
            );
        }
        assert_eq!(
            status(&gateway.send(path, &gateway.bearer()).await),
            "200",
            "{path}"
        );
    }
}

#[tokio::test]
async fn errors_are_a_page_for_browsers_and_a_status_for_kubectl() {
    let gateway = start().await;
    gateway.become_ready();
    let foreign = format!("{}host: evil.example\r\n", gateway.bearer());
    for (headers, code) in [("", "401"), (&*foreign, "403")] {
        for (accept, media_type) in [
            ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
            ("application/json, */*", "application/json"),
            ("*/*", "text/plain"),
        ] {
            let headers = format!("{headers}accept: {accept}\r\n");
            let response = gateway.send("/", &headers).await.to_lowercase();
            assert_eq!(status(&response), code, "{response}");
            let content_type = format!("content-type: {media_type}");
            assert!(response.contains(&content_type), "{accept}: {response}");
        }
    }
}

#[tokio::test]
async fn a_handler_receives_the_identity_but_not_the_token() {
    let gateway = start().await;
    gateway.become_ready();
    let response = gateway.send("/passthrough/x", &gateway.bearer()).await;
    assert!(
        response.ends_with("passthrough rdd-admin secret=false"),
        "{response}"
    );
    let response = gateway.send("/passthroughx", &gateway.bearer()).await;
    assert!(
        response.ends_with("api rdd-admin secret=false"),
        "{response}"
    );
}

#[tokio::test]
async fn a_foreign_origin_or_host_is_rejected_despite_valid_credentials() {
    let gateway = start().await;
    gateway.become_ready();
    for headers in [
        "origin: https://evil.example\r\n",
        "host: evil.example\r\n",
        "origin: null\r\n",
    ] {
        let response = gateway
            .send(
                "/passthrough/engine/logs/x",
                &format!("{}{headers}", gateway.bearer()),
            )
            .await;
        assert_eq!(status(&response), "403", "{headers}");
        assert!(
            response.contains("is not allowed; start the daemon with"),
            "{response}"
        );
    }
    // Credentials are checked first.
    assert_eq!(
        status(&gateway.send("/", "origin: https://evil.example\r\n").await),
        "401"
    );
}

#[tokio::test]
async fn a_long_query_is_accepted_and_a_head_that_does_not_end_is_not() {
    let gateway = start().await;
    gateway.become_ready();
    // As long as an HTTP library allows.
    let path = format!(
        "/api?{}",
        "x".repeat(usize::from(u16::MAX) - 1 - "/api?".len())
    );
    let response = gateway.send(&path, &gateway.bearer()).await;
    assert_eq!(status(&response), "200", "{response}");
    let headers = format!("{}x: {}\r\n", gateway.bearer(), "x".repeat(200 * 1024));
    let response = gateway.send("/api", &headers).await;
    assert_eq!(status(&response), "431", "{response}");
}

#[tokio::test]
async fn a_port_in_use_is_named_with_the_remedy() {
    let gateway = start().await;
    let taken = GatewayOptions {
        listen: gateway.address,
        ..gateway.options.clone()
    };
    let Err(error) = Gateway::bind(taken).await else {
        panic!("bound the same port twice")
    };
    assert!(matches!(error, BindError::InUse(_)));
    assert!(error.to_string().contains("--listen"), "{error}");
}

#[tokio::test]
async fn plain_http_is_refused_on_an_address_that_others_may_reach() {
    let gateway = start().await;
    let plain = GatewayOptions {
        listen: "0.0.0.0:0".parse().unwrap(),
        tls: None,
        ..gateway.options.clone()
    };
    let refused = Gateway::bind(plain).await;
    assert!(matches!(refused, Err(BindError::PlainText(_))));
}

#[tokio::test]
async fn without_tls_only_http_1_is_spoken() {
    let prototype = start().await;
    prototype.become_ready();
    let gateway = Gateway::bind(GatewayOptions {
        tls: None,
        ..prototype.options.clone()
    })
    .await
    .unwrap();
    let address = gateway.address();
    tokio::spawn(gateway.serve(std::future::pending()));
    let respond = |request: &'static [u8]| async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut response = Vec::new();
        let read = stream.read_to_end(&mut response);
        tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap();
        response
    };
    // The preface of HTTP/2 with empty settings.
    let response = respond(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    assert!(response.is_empty() || response.starts_with(b"HTTP/1.1 400 "));
    let response = respond(b"GET /readyz HTTP/1.1\r\nConnection: close\r\n\r\n").await;
    assert!(response.starts_with(b"HTTP/1.1 200 "));
}

#[tokio::test]
async fn the_page_is_checked_like_everything_beside_the_api() {
    let prototype = start().await;
    prototype.become_ready();
    let page = PageRoutes {
        handler: echo_handler("page"),
        access: |_, path| match path {
            "/ui/" => Some(PageAccess::Anonymous),
            "/ui/own" => Some(PageAccess::Authenticated),
            _ => None,
        },
    };
    let response_headers = [("content-type", "x/y"), ("x-own", "1")]
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    let server = Gateway::bind(GatewayOptions {
        page: Some(page),
        response_headers: response_headers.into_iter().collect(),
        ..prototype.options.clone()
    })
    .await
    .unwrap();
    let gateway = TestGateway {
        address: server.address(),
        ..prototype
    };
    tokio::spawn(server.serve(std::future::pending()));
    let bearer = gateway.bearer();
    let impersonating = format!("{bearer}impersonate-user: bob\r\n");
    for (path, headers, expected) in [
        ("/ui/", "", "200"),
        ("/ui/", "host: evil.example\r\n", "403"),
        ("/ui/", "origin: https://evil.example\r\n", "403"),
        ("/ui/own", "", "401"),
        ("/ui/own", &bearer, "200"),
        ("/ui/own", &impersonating, "403"),
    ] {
        let response = gateway.send(path, headers).await.to_lowercase();
        assert_eq!(status(&response), expected, "{path} {headers:?}");
        // A handler's own headers stay.
        assert!(response.contains("\r\nx-own: 1\r\n"), "{response}");
        assert!(
            response.contains("\r\ncontent-type: text/plain"),
            "{response}"
        );
    }
}

#[tokio::test]
async fn an_upgraded_connection_can_be_unwrapped() {
    let gateway = start().await;
    let (unwrapped, received) = tokio::sync::oneshot::channel();
    let unwrapped = Arc::new(std::sync::Mutex::new(Some(unwrapped)));
    let passthrough = BoxCloneSyncService::new(tower::service_fn(
        move |request: Request<rdd_gateway::RequestBody>| {
            let unwrapped = unwrapped.lock().unwrap().take();
            async move {
                tokio::spawn(async move {
                    let upgraded = hyper::upgrade::on(request).await.unwrap();
                    let connection = rdd_gateway::into_tls_connection(upgraded);
                    unwrapped
                        .unwrap()
                        .send(connection.map(|(_, read)| read).ok())
                        .unwrap();
                });
                let mut response = text_response(StatusCode::SWITCHING_PROTOCOLS, "");
                for (name, value) in [("connection", "upgrade"), ("upgrade", "test")] {
                    response.headers_mut().insert(name, value.parse().unwrap());
                }
                Ok::<Response<GatewayBody>, Infallible>(response)
            }
        },
    ));
    let options = GatewayOptions {
        passthrough,
        ..gateway.options.clone()
    };
    let server = Gateway::bind(options).await.unwrap();
    let gateway = TestGateway {
        address: server.address(),
        ..gateway
    };
    tokio::spawn(server.serve(std::future::pending()));
    gateway.become_ready();
    let headers = format!("{}upgrade: test\r\n", gateway.bearer());
    let upgrade = headers.replace("upgrade: test", "connection: upgrade\r\nupgrade: test");
    gateway.send("/passthrough/x", &upgrade).await;
    assert_eq!(received.await.unwrap(), Some(bytes::Bytes::new()));
}

/// An authenticator with a session that ends while its credentials are checked.
struct EndingAuthenticator(Mutex<Option<(watch::Sender<()>, SessionEnd)>>);

#[async_trait]
impl Authenticator for EndingAuthenticator {
    fn authenticate_locally(&self, _: &Credentials) -> Option<Result<UserIdentity, AuthError>> {
        self.0.lock().unwrap().take();
        Some(Ok(LocalAuthenticator::administrator()))
    }

    fn authorize(&self, _: &UserIdentity, _: AccessScope) -> Result<(), AuthError> {
        Ok(())
    }

    fn session_end(&self, _: &Credentials) -> Option<SessionEnd> {
        let session = self.0.lock().unwrap();
        session.as_ref().map(|(_, end)| end.clone())
    }

    async fn authenticate(
        &self,
        credentials: &Credentials,
        _: AccessScope,
    ) -> Result<UserIdentity, AuthError> {
        self.authenticate_locally(credentials).unwrap()
    }
}

#[tokio::test]
async fn a_response_ends_with_a_session_that_ends_during_the_authentication() {
    let prototype = start().await;
    prototype.become_ready();
    let endless = tower::service_fn(|_| async {
        let body = StreamBody::new(stream::pending());
        Ok::<Response<GatewayBody>, Infallible>(Response::new(body.boxed_unsync()))
    });
    let gateway = Gateway::bind(GatewayOptions {
        tls: None,
        authenticator: Arc::new(EndingAuthenticator(Mutex::new(Some(SessionEnd::channel())))),
        api: Some(BoxCloneSyncService::new(endless)),
        ..prototype.options.clone()
    })
    .await
    .unwrap();
    let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
    tokio::spawn(gateway.serve(std::future::pending()));
    let request = prototype.request("/api", "");
    stream.write_all(request.as_bytes()).await.unwrap();
    wait_for_close(&mut stream).await;
}

#[tokio::test]
async fn a_response_with_a_length_is_complete_although_its_session_has_ended() {
    let prototype = start().await;
    prototype.become_ready();
    let gateway = Gateway::bind(GatewayOptions {
        tls: None,
        authenticator: Arc::new(EndingAuthenticator(Mutex::new(Some(SessionEnd::channel())))),
        ..prototype.options.clone()
    })
    .await
    .unwrap();
    let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
    tokio::spawn(gateway.serve(std::future::pending()));
    let request = prototype.request("/api", "connection: close\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    assert!(
        response.ends_with("api rdd-admin secret=false"),
        "{response}"
    );
}
