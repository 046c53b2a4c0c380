//! Connections on a real socket with real TLS: silent ones keep nobody out,
//! busy ones are left alone, and all end in order.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::convert::Infallible;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rdd_gateway::{Body, ConnectionLimits, Handler};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;
use tower::util::BoxCloneSyncService;

use common::{Door, PATIENCE, door_with, is_close, read_to_end, room, status};

/// Long enough to never be reached in a test.
const NEVER: Duration = Duration::from_secs(3600);
/// Short enough to be waited for.
const SOON: Duration = Duration::from_millis(300);

fn patient() -> ConnectionLimits {
    ConnectionLimits {
        authenticated: 4,
        anonymous: 4,
        handshake: NEVER,
        anonymous_idle: NEVER,
        idle: NEVER,
    }
}

/// Waits until the other side has closed the connection.
async fn closed(stream: &mut (impl tokio::io::AsyncRead + Unpin)) {
    let mut bytes = Vec::new();
    match timeout(PATIENCE, stream.read_to_end(&mut bytes)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => assert!(is_close(&error), "{error}"),
        Err(_) => panic!("the connection is still open"),
    }
}

/// Sends a request and reads an answer that ends with `end`.
async fn exchange(stream: &mut TlsStream<TcpStream>, request: &str, end: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    while !answer.ends_with(end) {
        let mut bytes = [0; 1024];
        let read = timeout(PATIENCE, stream.read(&mut bytes))
            .await
            .unwrap()
            .unwrap();
        assert!(read > 0, "closed after {answer:?}");
        answer.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
    }
    answer
}

/// A room whose answer goes on, a piece every so often, until `end`.
fn watch_room(every: Duration, end: CancellationToken) -> Handler {
    BoxCloneSyncService::new(tower::service_fn(
        move |_: Request<hyper::body::Incoming>| {
            let end = end.clone();
            async move {
                let pieces = futures::stream::unfold((0, end), move |(count, end)| async move {
                    tokio::select! {
                        () = end.cancelled() => return None,
                        () = tokio::time::sleep(if count == 0 { Duration::ZERO } else { every }) => {}
                    }
                    let piece = http_body::Frame::data(Bytes::from(format!("piece {count}\n")));
                    Some((Ok(piece), (count + 1, end)))
                });
                let body: Body = StreamBody::new(pieces.boxed()).boxed_unsync();
                Ok::<_, Infallible>(Response::new(body))
            }
        },
    ))
}

type H2Sender = hyper::client::conn::http2::SendRequest<Empty<Bytes>>;
type H2Connection = tokio::task::JoinHandle<hyper::Result<()>>;

/// An HTTP/2 connection, which answers pings by itself.
async fn http2(door: &Door) -> (H2Sender, H2Connection) {
    let stream = door.connect("h2").await;
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    (sender, tokio::spawn(connection))
}

fn http2_request(door: &Door, path: &str, with_token: bool) -> Request<Empty<Bytes>> {
    let mut request = Request::get(format!("https://{}{path}", door.address));
    if with_token {
        request = request.header("authorization", format!("Bearer {}", door.token.reveal()));
    }
    request.body(Empty::new()).unwrap()
}

#[tokio::test]
async fn silent_connections_keep_nobody_out() {
    let door = door_with(patient(), room("api")).await;
    door.become_ready();
    let mut silent = Vec::new();
    for _ in 0..12 {
        // Some never speak TLS, some never HTTP.
        silent.push((
            TcpStream::connect(door.address).await.unwrap(),
            door.connect("http/1.1").await,
        ));
        let answer = timeout(PATIENCE, door.ask("/api", &door.bearer())).await;
        assert_eq!(status(&answer.unwrap()), "200");
    }
    // The oldest ones made way.
    let (tcp, tls) = &mut silent[0];
    closed(tcp).await;
    closed(tls).await;
}

#[tokio::test]
async fn a_crowd_without_credentials_does_not_touch_those_who_have_some() {
    let door = door_with(patient(), room("api")).await;
    door.become_ready();
    let mut known = door.connect("http/1.1").await;
    let request = door.request("/api", &door.bearer());
    exchange(&mut known, &request, "secret=false").await;
    let (mut known_h2, _connection) = http2(&door).await;
    let ask = http2_request(&door, "/api", true);
    assert_eq!(known_h2.send_request(ask).await.unwrap().status(), 200);

    let mut crowd = Vec::new();
    for _ in 0..12 {
        let mut stranger = door.connect("http/1.1").await;
        exchange(&mut stranger, &door.request("/api", ""), "kubeconfig\n").await;
        crowd.push(stranger);
    }
    exchange(&mut known, &request, "secret=false").await;
    let ask = http2_request(&door, "/api", true);
    assert_eq!(known_h2.send_request(ask).await.unwrap().status(), 200);
}

#[tokio::test]
async fn more_connections_with_credentials_than_there_may_be_get_429() {
    let door = door_with(patient(), room("api")).await;
    door.become_ready();
    let request = door.request("/api", &door.bearer());
    let mut known = Vec::new();
    for _ in 0..patient().authenticated {
        let mut stream = door.connect("http/1.1").await;
        exchange(&mut stream, &request, "secret=false").await;
        known.push(stream);
    }
    let answer = door.ask("/api", &door.bearer()).await;
    assert_eq!(status(&answer), "429", "{answer}");
    assert!(answer.contains("retry-after: "), "{answer}");
    known.pop();
    let freed = async {
        while status(&door.ask("/api", &door.bearer()).await) != "200" {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, freed).await.unwrap();
}

#[tokio::test]
async fn a_peer_that_never_finishes_its_handshake_is_closed() {
    let limits = ConnectionLimits {
        handshake: SOON,
        ..patient()
    };
    let door = door_with(limits, room("api")).await;
    let mut silent = TcpStream::connect(door.address).await.unwrap();
    let mut partial = TcpStream::connect(door.address).await.unwrap();
    partial.write_all(&[22, 3, 1]).await.unwrap();
    closed(&mut silent).await;
    closed(&mut partial).await;
}

#[tokio::test]
async fn a_peer_without_a_request_is_closed() {
    let limits = ConnectionLimits {
        anonymous_idle: SOON,
        ..patient()
    };
    let door = door_with(limits, room("api")).await;
    door.become_ready();
    for start in [
        "",
        "PRI * HTTP/2.0\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET /livez HTTP/1.1\r\nhost:",
    ] {
        let mut stream = door.connect("http/1.1").await;
        stream.write_all(start.as_bytes()).await.unwrap();
        closed(&mut stream).await;
    }
    // Between two requests, too.
    let mut stream = door.connect("http/1.1").await;
    exchange(&mut stream, &door.request("/livez", ""), "ok").await;
    closed(&mut stream).await;
}

#[tokio::test]
async fn an_idle_http2_connection_is_closed_though_it_answers_pings() {
    let limits = ConnectionLimits {
        anonymous_idle: SOON,
        idle: SOON,
        ..patient()
    };
    let door = door_with(limits, room("api")).await;
    door.become_ready();
    let (_idle, connection) = http2(&door).await;
    timeout(PATIENCE, connection)
        .await
        .unwrap()
        .unwrap()
        .unwrap();

    for with_token in [false, true] {
        let (mut sender, connection) = http2(&door).await;
        let request = http2_request(&door, "/api", with_token);
        sender.send_request(request).await.unwrap();
        timeout(PATIENCE, connection)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
}

#[tokio::test]
async fn a_watch_outlives_every_idle_limit() {
    let limits = ConnectionLimits {
        handshake: SOON,
        anonymous_idle: SOON,
        idle: SOON,
        ..patient()
    };
    let end = CancellationToken::new();
    // Each pause alone is longer than a connection may be idle.
    let door = door_with(limits, watch_room(3 * SOON, end.clone())).await;
    door.become_ready();
    let mut http1 = door.connect("http/1.1").await;
    let request = door.request("/api", &door.bearer());
    let (mut sender, _connection) = http2(&door).await;
    let mut body = sender
        .send_request(http2_request(&door, "/api", true))
        .await
        .unwrap()
        .into_body();
    let over_http2 = async {
        for count in 0..3 {
            let frame = body.frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), format!("piece {count}\n"));
        }
    };
    tokio::join!(exchange(&mut http1, &request, "piece 2\n\r\n"), over_http2);
}

#[tokio::test]
async fn a_stop_ends_a_watch_in_order_and_waits_for_no_idle_connection() {
    let end = CancellationToken::new();
    let door = door_with(patient(), watch_room(NEVER, end.clone())).await;
    door.become_ready();
    let mut no_tls = TcpStream::connect(door.address).await.unwrap();
    let mut silent = door.connect("http/1.1").await;
    let mut idle = door.connect("http/1.1").await;
    exchange(&mut idle, &door.request("/livez", ""), "ok").await;
    let mut watch = door.connect("http/1.1").await;
    let request = door.request("/api", &door.bearer());
    exchange(&mut watch, &request, "piece 0\n\r\n").await;
    let (mut sender, h2_connection) = http2(&door).await;
    let mut h2_watch = sender
        .send_request(http2_request(&door, "/api", true))
        .await
        .unwrap()
        .into_body();
    assert!(h2_watch.frame().await.unwrap().is_ok());

    end.cancel();
    door.stop.cancel();
    // Less than the grace period, which is for requests that go on.
    timeout(PATIENCE / 2, door.served).await.unwrap().unwrap();
    let mut rest = String::new();
    watch.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "0\r\n\r\n", "the last chunk, and a TLS goodbye");
    let rest = h2_watch.collect().await;
    assert_eq!(rest.unwrap().to_bytes(), "", "END_STREAM, not a reset");
    h2_connection.await.unwrap().unwrap();
    closed(&mut idle).await;
    closed(&mut silent).await;
    closed(&mut no_tls).await;
}

#[tokio::test]
async fn a_stop_lets_a_request_under_way_finish() {
    let end = CancellationToken::new();
    let door = door_with(patient(), watch_room(NEVER, end.clone())).await;
    door.become_ready();
    let mut watch = door.connect("http/1.1").await;
    let request = door.request("/api", &door.bearer());
    exchange(&mut watch, &request, "piece 0\n\r\n").await;
    door.stop.cancel();
    // Nobody is let in any more, and the watch goes on.
    timeout(PATIENCE, async {
        while TcpStream::connect(door.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert!(!door.served.is_finished());
    end.cancel();
    assert_eq!(read_to_end(&mut watch).await, "0\r\n\r\n");
    timeout(PATIENCE, door.served).await.unwrap().unwrap();
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_panic_is_logged_with_its_peer_and_without_the_token() {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // The test and the door are on one thread.
    let _default = tracing::subscriber::set_default(subscriber);
    let broken: Handler = BoxCloneSyncService::new(tower::service_fn(
        |_: Request<hyper::body::Incoming>| async { panic!("injected") },
    ));
    let door = door_with(patient(), broken).await;
    door.become_ready();

    let mut http1 = door.connect("http/1.1").await;
    let peer = http1.get_ref().0.local_addr().unwrap();
    let request = door.request("/api", &door.bearer());
    http1.write_all(request.as_bytes()).await.unwrap();
    closed(&mut http1).await;
    let log = || String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert!(log().contains(&format!("peer={peer}")), "{}", log());
    assert!(log().contains("injected"), "{}", log());

    let before = log().matches("injected").count();
    let (mut sender, _connection) = http2(&door).await;
    let request = http2_request(&door, "/api", true);
    assert!(sender.send_request(request).await.is_err());
    assert_eq!(log().matches("injected").count(), before + 1);
    // The others go on.
    assert_eq!(status(&door.ask("/livez", "").await), "200");
    assert!(!log().contains(door.token.reveal()));
}
