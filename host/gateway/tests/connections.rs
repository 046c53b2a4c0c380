//! Limits, timeouts, and shutdown of connections, on a real socket with real
//! TLS.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use http::{Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use rdd_gateway::{
    ConnectionLimits, Gateway, GatewayBody, GatewayOptions, PageAccess, PageRoutes, RequestHandler,
};
use rdd_testkit::PATIENCE;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;
use tower::util::BoxCloneSyncService;

use common::{
    TestGateway, echo_handler, http2, http2_request, read_to_end, start_with, status,
    wait_for_close,
};

/// Longer than any test runs.
const NEVER: Duration = Duration::from_secs(3600);
/// Short enough for a test to wait for it, and longer than a busy machine takes between
/// a connection and its first request.
const SOON: Duration = Duration::from_secs(1);

/// Low limits on the number of connections, without timeouts.
fn generous_limits() -> ConnectionLimits {
    ConnectionLimits {
        authenticated: 4,
        anonymous: 4,
        handshake: NEVER,
        anonymous_idle: NEVER,
        body: NEVER,
        idle: NEVER,
    }
}

/// Sends a request and reads a response that ends with `end`.
async fn exchange(stream: &mut TlsStream<TcpStream>, request: &str, end: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    while !response.ends_with(end) {
        let mut bytes = [0; 1024];
        let read = timeout(PATIENCE, stream.read(&mut bytes))
            .await
            .unwrap()
            .unwrap();
        assert!(read > 0, "closed after {response:?}");
        response.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
    }
    response
}

/// A handler whose response is a piece per `interval`, until `end`.
fn streaming_handler(interval: Duration, end: CancellationToken) -> RequestHandler {
    BoxCloneSyncService::new(tower::service_fn(
        move |_: Request<rdd_gateway::RequestBody>| {
            let end = end.clone();
            async move {
                let pieces = futures::stream::unfold((0, end), move |(count, end)| async move {
                    tokio::select! {
                        () = end.cancelled() => return None,
                        () = tokio::time::sleep(if count == 0 { Duration::ZERO } else { interval }) => {}
                    }
                    let piece = http_body::Frame::data(Bytes::from(format!("piece {count}\n")));
                    Some((Ok(piece), (count + 1, end)))
                });
                let body: GatewayBody = StreamBody::new(pieces.boxed()).boxed_unsync();
                Ok::<_, Infallible>(Response::new(body))
            }
        },
    ))
}

#[tokio::test]
async fn silent_connections_do_not_block_new_ones() {
    let gateway = start_with(generous_limits(), echo_handler("api")).await;
    gateway.become_ready();
    let mut silent = Vec::new();
    for _ in 0..12 {
        // One never starts TLS, the other never sends a request.
        silent.push((
            TcpStream::connect(gateway.address).await.unwrap(),
            gateway.connect("http/1.1").await,
        ));
        let response = timeout(PATIENCE, gateway.send("/api", &gateway.bearer())).await;
        assert_eq!(status(&response.unwrap()), "200");
    }
    // The oldest ones were evicted.
    let (tcp, tls) = &mut silent[0];
    wait_for_close(tcp).await;
    wait_for_close(tls).await;
}

#[tokio::test]
async fn anonymous_connections_do_not_affect_authenticated_ones() {
    let gateway = start_with(generous_limits(), echo_handler("api")).await;
    gateway.become_ready();
    let mut authenticated = gateway.connect("http/1.1").await;
    let request = gateway.request("/api", &gateway.bearer());
    exchange(&mut authenticated, &request, "secret=false").await;
    let (mut authenticated_h2, _connection) = http2(&gateway).await;
    let h2_request = http2_request(&gateway, "/api", true);
    assert_eq!(
        authenticated_h2
            .send_request(h2_request)
            .await
            .unwrap()
            .status(),
        200
    );

    let mut anonymous = Vec::new();
    for _ in 0..12 {
        let mut stream = gateway.connect("http/1.1").await;
        exchange(&mut stream, &gateway.request("/api", ""), "kubeconfig\n").await;
        anonymous.push(stream);
    }
    exchange(&mut authenticated, &request, "secret=false").await;
    let h2_request = http2_request(&gateway, "/api", true);
    assert_eq!(
        authenticated_h2
            .send_request(h2_request)
            .await
            .unwrap()
            .status(),
        200
    );
}

#[tokio::test]
async fn authenticated_connections_above_the_limit_get_429() {
    let gateway = start_with(generous_limits(), echo_handler("api")).await;
    gateway.become_ready();
    let request = gateway.request("/api", &gateway.bearer());
    let mut authenticated = Vec::new();
    // Three of four, which is the share of one user.
    for _ in 0..generous_limits().authenticated - 1 {
        let mut stream = gateway.connect("http/1.1").await;
        exchange(&mut stream, &request, "secret=false").await;
        authenticated.push(stream);
    }
    let response = gateway.send("/api", &gateway.bearer()).await;
    assert_eq!(status(&response), "429", "{response}");
    assert!(response.contains("retry-after: "), "{response}");
    // A connection that was not counted is not authenticated either.
    let mut above = gateway.connect("http/1.1").await;
    for _ in 0..2 {
        let response = exchange(&mut above, &request, "try again later\n").await;
        assert_eq!(status(&response), "429", "{response}");
    }
    authenticated.pop();
    let freed = async {
        while status(&gateway.send("/api", &gateway.bearer()).await) != "200" {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, freed).await.unwrap();
}

#[tokio::test]
async fn a_peer_that_does_not_finish_its_handshake_is_disconnected() {
    let limits = ConnectionLimits {
        handshake: SOON,
        ..generous_limits()
    };
    let gateway = start_with(limits, echo_handler("api")).await;
    let mut silent = TcpStream::connect(gateway.address).await.unwrap();
    let mut partial = TcpStream::connect(gateway.address).await.unwrap();
    partial.write_all(&[22, 3, 1]).await.unwrap();
    wait_for_close(&mut silent).await;
    wait_for_close(&mut partial).await;
}

#[tokio::test]
async fn a_peer_that_sends_no_request_is_disconnected() {
    let limits = ConnectionLimits {
        anonymous_idle: SOON,
        ..generous_limits()
    };
    let gateway = start_with(limits, echo_handler("api")).await;
    gateway.become_ready();
    for start in [
        "",
        "PRI * HTTP/2.0\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET /livez HTTP/1.1\r\nhost:",
    ] {
        let mut stream = gateway.connect("http/1.1").await;
        stream.write_all(start.as_bytes()).await.unwrap();
        wait_for_close(&mut stream).await;
    }
    // The same applies between two requests.
    let mut stream = gateway.connect("http/1.1").await;
    exchange(&mut stream, &gateway.request("/livez", ""), "ok").await;
    wait_for_close(&mut stream).await;
}

/// A handler that reads the whole body and returns its size, or the error.
fn body_handler() -> RequestHandler {
    BoxCloneSyncService::new(tower::service_fn(
        |request: Request<rdd_gateway::RequestBody>| async {
            let content = match request.into_body().collect().await {
                Ok(body) => format!("{} bytes\n", body.to_bytes().len()),
                Err(error) => format!("{error}\n"),
            };
            Ok::<_, Infallible>(rdd_gateway::text_response(http::StatusCode::OK, content))
        },
    ))
}

#[tokio::test]
async fn a_peer_that_does_not_finish_the_body_of_its_request_is_disconnected() {
    let limits = ConnectionLimits {
        body: SOON,
        ..generous_limits()
    };
    let gateway = start_with(limits, body_handler()).await;
    gateway.become_ready();
    let head = gateway.request(
        "/api",
        &format!("{}content-length: 9\r\n", gateway.bearer()),
    );
    let post = head.replacen("GET", "POST", 1);

    let mut whole = gateway.connect("http/1.1").await;
    exchange(&mut whole, &format!("{post}123456789"), "9 bytes\n").await;
    // The same connection can send another one.
    exchange(&mut whole, &format!("{post}123456789"), "9 bytes\n").await;

    let mut partial = gateway.connect("http/1.1").await;
    exchange(
        &mut partial,
        &format!("{post}12345678"),
        &format!("did not arrive within {SOON:?}\n"),
    )
    .await;
    wait_for_close(&mut partial).await;
}

#[tokio::test]
async fn an_idle_http2_connection_is_closed_even_if_it_answers_pings() {
    let limits = ConnectionLimits {
        anonymous_idle: SOON,
        idle: SOON,
        ..generous_limits()
    };
    let gateway = start_with(limits, echo_handler("api")).await;
    gateway.become_ready();
    let (_idle, connection) = http2(&gateway).await;
    timeout(PATIENCE, connection)
        .await
        .unwrap()
        .unwrap()
        .unwrap();

    for with_token in [false, true] {
        let (mut sender, connection) = http2(&gateway).await;
        let request = http2_request(&gateway, "/api", with_token);
        sender.send_request(request).await.unwrap();
        timeout(PATIENCE, connection)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
}

#[tokio::test]
async fn a_watch_outlives_every_idle_timeout() {
    let limits = ConnectionLimits {
        anonymous_idle: SOON,
        idle: SOON,
        ..generous_limits()
    };
    let end = CancellationToken::new();
    // Each pause is longer than the idle timeout.
    let gateway = start_with(limits, streaming_handler(3 * SOON, end.clone())).await;
    gateway.become_ready();
    let mut http1 = gateway.connect("http/1.1").await;
    let request = gateway.request("/api", &gateway.bearer());
    // At once: a connection that has sent nothing is closed soon.
    let over_http1 =
        tokio::spawn(async move { exchange(&mut http1, &request, "piece 2\n\r\n").await });
    let (mut sender, _connection) = http2(&gateway).await;
    let mut body = sender
        .send_request(http2_request(&gateway, "/api", true))
        .await
        .unwrap()
        .into_body();
    for count in 0..3 {
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), format!("piece {count}\n"));
    }
    over_http1.await.unwrap();
}

#[tokio::test]
async fn a_shutdown_ends_a_watch_gracefully_and_does_not_wait_for_idle_connections() {
    let end = CancellationToken::new();
    let gateway = start_with(generous_limits(), streaming_handler(NEVER, end.clone())).await;
    gateway.become_ready();
    let mut no_tls = TcpStream::connect(gateway.address).await.unwrap();
    let mut silent = gateway.connect("http/1.1").await;
    let mut idle = gateway.connect("http/1.1").await;
    exchange(&mut idle, &gateway.request("/livez", ""), "ok").await;
    let mut watch = gateway.connect("http/1.1").await;
    let request = gateway.request("/api", &gateway.bearer());
    exchange(&mut watch, &request, "piece 0\n\r\n").await;
    let (mut sender, h2_connection) = http2(&gateway).await;
    let mut h2_watch = sender
        .send_request(http2_request(&gateway, "/api", true))
        .await
        .unwrap()
        .into_body();
    assert!(h2_watch.frame().await.unwrap().is_ok());

    end.cancel();
    gateway.shutdown.cancel();
    // Less than the grace period, which is for requests in flight.
    timeout(PATIENCE / 2, gateway.served)
        .await
        .unwrap()
        .unwrap();
    let mut rest = String::new();
    watch.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "0\r\n\r\n", "the last chunk, and close_notify");
    let rest = h2_watch.collect().await;
    assert_eq!(rest.unwrap().to_bytes(), "", "END_STREAM, not a reset");
    h2_connection.await.unwrap().unwrap();
    wait_for_close(&mut idle).await;
    wait_for_close(&mut silent).await;
    wait_for_close(&mut no_tls).await;
}

#[tokio::test]
async fn a_shutdown_lets_a_request_in_flight_finish() {
    let end = CancellationToken::new();
    let gateway = start_with(generous_limits(), streaming_handler(NEVER, end.clone())).await;
    gateway.become_ready();
    let mut watch = gateway.connect("http/1.1").await;
    let request = gateway.request("/api", &gateway.bearer());
    exchange(&mut watch, &request, "piece 0\n\r\n").await;
    gateway.shutdown.cancel();
    // New connections are refused, and the watch continues.
    timeout(PATIENCE, async {
        while TcpStream::connect(gateway.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert!(!gateway.served.is_finished());
    end.cancel();
    assert_eq!(read_to_end(&mut watch).await, "0\r\n\r\n");
    timeout(PATIENCE, gateway.served).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_shutdown_waits_for_requests_in_flight_no_longer_than_the_grace_period() {
    let api = streaming_handler(NEVER, CancellationToken::new());
    let prototype = start_with(generous_limits(), api).await;
    prototype.become_ready();
    let options = GatewayOptions {
        shutdown_grace: SOON,
        ..prototype.options.clone()
    };
    let server = Gateway::bind(options).await.unwrap();
    let gateway = TestGateway {
        address: server.address(),
        ..prototype
    };
    let shutdown = CancellationToken::new();
    let served = tokio::spawn(server.serve(shutdown.clone().cancelled_owned()));
    let mut watch = gateway.connect("http/1.1").await;
    let request = gateway.request("/api", &gateway.bearer());
    exchange(&mut watch, &request, "piece 0\n\r\n").await;
    shutdown.cancel();
    timeout(PATIENCE, served).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_response_to_an_anonymous_request_does_not_keep_its_connection_open() {
    let limits = ConnectionLimits {
        anonymous_idle: SOON,
        ..generous_limits()
    };
    let prototype = start_with(limits, echo_handler("api")).await;
    let page = PageRoutes {
        handler: streaming_handler(NEVER, CancellationToken::new()),
        access: |_, _| Some(PageAccess::Anonymous),
    };
    let options = GatewayOptions {
        page: Some(page),
        ..prototype.options.clone()
    };
    let server = Gateway::bind(options).await.unwrap();
    let gateway = TestGateway {
        address: server.address(),
        ..prototype
    };
    tokio::spawn(server.serve(std::future::pending()));
    let mut stream = gateway.connect("http/1.1").await;
    let request = gateway.request("/", "");
    exchange(&mut stream, &request, "piece 0\n\r\n").await;
    wait_for_close(&mut stream).await;
}
