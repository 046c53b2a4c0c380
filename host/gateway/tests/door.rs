//! The door on a real socket with real TLS: who is let in, from where, and when.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::convert::Infallible;
use std::sync::Arc;

use http::{Request, Response, StatusCode};
use rdd_gateway::{BindError, Body, Gateway, GatewayOptions, text};
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
async fn a_browser_gets_a_page_and_kubectl_a_status() {
    let door = door().await;
    door.become_ready();
    let foreign = format!("{}host: evil.example\r\n", door.bearer());
    for (headers, code) in [("", "401"), (&*foreign, "403")] {
        for (accept, media_type) in [
            ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
            ("application/json, */*", "application/json"),
            ("*/*", "text/plain"),
        ] {
            let headers = format!("{headers}accept: {accept}\r\n");
            let answer = door.ask("/", &headers).await.to_lowercase();
            assert_eq!(status(&answer), code, "{answer}");
            let content_type = format!("content-type: {media_type}");
            assert!(answer.contains(&content_type), "{accept}: {answer}");
        }
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
    let taken = GatewayOptions {
        listen: door.address,
        ..door.options.clone()
    };
    let Err(error) = Gateway::bind(taken).await else {
        panic!("bound twice")
    };
    assert!(matches!(error, BindError::InUse(_)));
    assert!(error.to_string().contains("--listen"), "{error}");
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
                    let connection = rdd_gateway::into_connection(upgraded);
                    taken
                        .unwrap()
                        .send(connection.map(|(_, read)| read).ok())
                        .unwrap();
                });
                let mut answer = text(StatusCode::SWITCHING_PROTOCOLS, "");
                for (name, value) in [("connection", "upgrade"), ("upgrade", "test")] {
                    answer.headers_mut().insert(name, value.parse().unwrap());
                }
                Ok::<Response<Body>, Infallible>(answer)
            }
        },
    ));
    let options = GatewayOptions {
        passthrough,
        ..door.options.clone()
    };
    let front = Gateway::bind(options).await.unwrap();
    let door = Door {
        address: front.address(),
        ..door
    };
    tokio::spawn(front.serve(std::future::pending()));
    door.become_ready();
    let headers = format!("{}upgrade: test\r\n", door.bearer());
    let upgrade = headers.replace("upgrade: test", "connection: upgrade\r\nupgrade: test");
    door.ask("/passthrough/x", &upgrade).await;
    assert_eq!(is_taken.await.unwrap(), Some(bytes::Bytes::new()));
}
