//! The log of a handler that panics. Its own process, since other threads
//! without a subscriber would disable the spans that this test reads.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use http::Request;
use rdd_gateway::{ConnectionLimits, RequestHandler};
use rdd_testkit::{CapturedLog, PATIENCE};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use tower::util::BoxCloneSyncService;

use common::{http2, http2_request, start_with, status};

#[tokio::test]
async fn a_panic_is_500_to_its_request_and_logged_with_the_peer_and_without_the_token() {
    let captured = CapturedLog::default();
    let writer = captured.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // The gateway runs on the thread of the test.
    let _default = tracing::subscriber::set_default(subscriber);
    let panicking: RequestHandler = BoxCloneSyncService::new(tower::service_fn(
        |_: Request<rdd_gateway::RequestBody>| async { panic!("injected") },
    ));
    let gateway = start_with(ConnectionLimits::default(), panicking).await;
    gateway.become_ready();

    let mut http1 = gateway.connect("http/1.1").await;
    let peer = http1.get_ref().0.local_addr().unwrap();
    let request = gateway.request("/api", &gateway.bearer());
    // The connection goes on.
    for _ in 0..2 {
        http1.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        while !response.ends_with("has the cause\n") {
            let mut bytes = [0; 1024];
            let read = timeout(PATIENCE, http1.read(&mut bytes)).await;
            let read = read.unwrap().unwrap();
            assert!(read > 0, "closed after {response:?}");
            response.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        }
        assert_eq!(status(&response), "500");
        assert!(!response.contains("injected"), "{response}");
    }
    let log = || captured.text();
    assert!(log().contains(&format!("peer={peer}")), "{}", log());
    assert!(log().contains("injected"), "{}", log());

    let before = log().matches("injected").count();
    assert_eq!(before, 2);
    let (mut sender, _connection) = http2(&gateway).await;
    let request = http2_request(&gateway, "/api", true);
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status().as_u16(), 500);
    assert_eq!(log().matches("injected").count(), before + 1);
    // Other connections are not affected.
    assert_eq!(status(&gateway.send("/livez", "").await), "200");
    assert!(!log().contains(gateway.token.reveal()));
}
