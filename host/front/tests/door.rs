//! The door on a real socket with real TLS: who is let in, from where, and when.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use rdd_core::{AuthError, Authenticator, Credentials, Identity};
use rdd_front::{BindError, Body, Front, Options, text};
use tokio::io::AsyncWriteExt as _;
use tower::util::BoxCloneSyncService;

use common::{Door, door, status};

#[tokio::test]
async fn s11_before_the_daemon_is_ready_every_path_is_503_with_retry_after() {
    let door = door().await;
    for path in [
        "/",
        "/api/v1/namespaces",
        "/passthrough/engine/logs/x",
        "/passthrough/nosuch",
        "/metrics",
        "/readyz",
    ] {
        let answer = door.ask(path, &door.bearer()).await;
        assert_eq!(status(&answer), "503", "{path}: {answer}");
        assert!(
            answer.to_lowercase().contains("retry-after: "),
            "{path}: {answer}"
        );
    }
    assert_eq!(status(&door.ask("/livez", "").await), "200");
    door.become_ready();
    assert_eq!(status(&door.ask("/readyz", "").await), "200");
    assert_eq!(status(&door.ask("/api", &door.bearer()).await), "200");
}

#[tokio::test]
async fn one_credential_check_holds_on_every_path() {
    let door = door().await;
    door.become_ready();
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
            let answer = door.ask(path, headers).await;
            assert_eq!(status(&answer), "401", "{path} {headers:?}");
            assert!(
                answer.contains("kubeconfig") || answer.contains("Bearer TOKEN"),
                "{answer}"
            );
        }
        assert_eq!(
            status(&door.ask(path, &door.bearer()).await),
            "200",
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_room_sees_the_identity_and_never_the_secret() {
    let door = door().await;
    door.become_ready();
    let answer = door.ask("/passthrough/x", &door.bearer()).await;
    assert!(
        answer.ends_with("passthrough rdd-admin secret=false"),
        "{answer}"
    );
    let answer = door.ask("/passthroughx", &door.bearer()).await;
    assert!(answer.ends_with("api rdd-admin secret=false"), "{answer}");
}

#[tokio::test]
async fn another_origin_or_host_is_403_even_with_credentials() {
    let door = door().await;
    door.become_ready();
    for headers in [
        "origin: https://evil.example\r\n",
        "host: evil.example\r\n",
        "origin: null\r\n",
    ] {
        let answer = door
            .ask(
                "/passthrough/engine/logs/x",
                &format!("{}{headers}", door.bearer()),
            )
            .await;
        assert_eq!(status(&answer), "403", "{headers}");
        assert!(
            answer.contains("is not allowed; start the daemon with"),
            "{answer}"
        );
    }
    // Wrong credentials are found first.
    assert_eq!(
        status(&door.ask("/", "origin: https://evil.example\r\n").await),
        "401"
    );
}

#[tokio::test]
async fn a_port_in_use_is_named_with_the_remedy() {
    let door = door().await;
    let taken = Options {
        listen: door.address,
        ..door.options.clone()
    };
    let Err(error) = Front::bind(taken).await else {
        panic!("bound twice")
    };
    assert!(matches!(error, BindError::InUse(_)));
    assert!(error.to_string().contains("--listen"), "{error}");
}

/// Another listener with the same certificates and token.
async fn door_on(mut door: Door, options: Options) -> Door {
    let front = Front::bind(options).await.unwrap();
    door.address = front.address();
    tokio::spawn(front.serve(door.stop.clone().cancelled_owned()));
    door
}

#[tokio::test]
async fn an_upgraded_connection_can_be_taken_out_of_its_wrapping() {
    let door = door().await;
    let (taken, is_taken) = tokio::sync::oneshot::channel();
    let taken = Arc::new(std::sync::Mutex::new(Some(taken)));
    let passthrough = BoxCloneSyncService::new(tower::service_fn(
        move |request: Request<hyper::body::Incoming>| {
            let taken = taken.lock().unwrap().take();
            async move {
                tokio::spawn(async move {
                    let upgraded = hyper::upgrade::on(request).await.unwrap();
                    let connection = rdd_front::into_connection(upgraded);
                    let read = connection.map(|(_, read)| read).ok();
                    taken.unwrap().send(read).unwrap();
                });
                let mut answer = text(StatusCode::SWITCHING_PROTOCOLS, "");
                for (name, value) in [("connection", "upgrade"), ("upgrade", "test")] {
                    answer.headers_mut().insert(name, value.parse().unwrap());
                }
                Ok::<Response<Body>, Infallible>(answer)
            }
        },
    ));
    let options = Options {
        passthrough,
        ..door.options.clone()
    };
    let door = door_on(door, options).await;
    door.become_ready();
    let headers = format!("{}connection: upgrade\r\nupgrade: test\r\n", door.bearer());
    let mut stream = door.connect("http/1.1").await;
    let request = door.request("/passthrough/x", &headers);
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(is_taken.await.unwrap(), Some(Bytes::new()));
}

/// Has to ask somebody else about every credential, and counts how often.
#[derive(Default)]
struct Asking(AtomicUsize);

#[async_trait::async_trait]
impl Authenticator for Asking {
    fn known(&self, _: &Credentials) -> Option<Result<Identity, AuthError>> {
        None
    }

    async fn authenticate(&self, _: &Credentials) -> Result<Identity, AuthError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(Identity {
            user: "asked".to_owned(),
            groups: Vec::new(),
        })
    }
}

#[tokio::test]
async fn nobody_is_asked_about_the_credentials_of_a_request_that_is_refused_anyway() {
    let door = door().await;
    let asking = Arc::new(Asking::default());
    let options = Options {
        authenticator: asking.clone(),
        ..door.options.clone()
    };
    let door = door_on(door, options).await;
    let bearer = door.bearer();
    for (headers, refused) in [
        (format!("{bearer}host: evil.example\r\n"), "403"),
        (format!("{bearer}origin: https://evil.example\r\n"), "403"),
        (bearer.clone(), "503"),
        ("authorization: Basic eDp5\r\n".to_owned(), "401"),
    ] {
        assert_eq!(status(&door.ask("/api", &headers).await), refused);
    }
    assert_eq!(asking.0.load(Ordering::SeqCst), 0);
    door.become_ready();
    let answer = door.ask("/api", &bearer).await;
    assert!(answer.ends_with("api asked secret=false"), "{answer}");
    assert_eq!(asking.0.load(Ordering::SeqCst), 1);
}
