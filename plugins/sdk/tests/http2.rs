//! Tests of the HTTP/2 client against the server of the h2 crate.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::join_all;
use h2::server::{Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};
use rdd_sdk::http::{HttpRequest, Method, StatusCode};
use rdd_sdk::http2::Http2Client;
use rdd_sdk::testing::{self, ConnectionScript, ScriptedHost};
use rdd_sdk::types::ErrorCode;
use tokio::io::DuplexStream;
use tokio::task::{spawn_local, yield_now};

type ServerConnection = Connection<DuplexStream, Bytes>;
type ServerRequest = (Request<RecvStream>, SendResponse<Bytes>);

/// Runs a test, which must not take longer than ten minutes of virtual time.
fn run(test: impl Future<Output = ()>) {
    testing::run(async {
        tokio::time::timeout(Duration::from_secs(600), test)
            .await
            .unwrap();
    });
}

/// Starts a server that handles each connection, with its number.
fn serve<F>(handle: impl Fn(usize, ServerConnection) -> F + 'static) -> ScriptedHost
where
    F: Future<Output = ()> + 'static,
{
    let host = ScriptedHost::new();
    let handle = Rc::new(handle);
    host.serve(move |connection| {
        let (number, handle) = (connection.number(), Rc::clone(&handle));
        async move {
            let io = connection.into_io().into_inner();
            let connection = h2::server::handshake(io).await.unwrap();
            handle(number, connection).await;
        }
    });
    host
}

/// Starts a server that handles each request in a task of its own.
fn serve_requests<F>(handle: impl Fn(ServerRequest) -> F + 'static) -> ScriptedHost
where
    F: Future<Output = ()> + 'static,
{
    let handle = Rc::new(handle);
    serve(move |_, mut connection| {
        let handle = Rc::clone(&handle);
        async move {
            while let Some(request) = connection.accept().await {
                let Ok(request) = request else { return };
                spawn_local(handle(request));
            }
        }
    })
}

fn ok() -> Response<()> {
    Response::new(())
}

/// Sends a whole response.
fn respond(mut to: SendResponse<Bytes>, body: impl Into<Bytes>) {
    let mut stream = to.send_response(ok(), false).unwrap();
    stream.send_data(body.into(), true).unwrap();
}

/// Reads the body of a request to its end.
async fn read(mut body: RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

#[test]
fn concurrent_requests_share_a_connection() {
    run(async {
        // Responds only when all requests have arrived, the last one first.
        let waiting = Rc::new(RefCell::new(Vec::new()));
        let host = serve_requests(move |(request, to)| {
            let waiting = Rc::clone(&waiting);
            async move {
                waiting.borrow_mut().push((request.uri().clone(), to));
                if waiting.borrow().len() == 10 {
                    while let Some((uri, to)) = { waiting.borrow_mut().pop() } {
                        respond(to, uri.to_string());
                    }
                }
            }
        });
        let client = Http2Client::new(host.handle());
        let responses =
            join_all((0..10).map(|n| client.send(HttpRequest::get(format!("/{n}?a=b"))))).await;
        for (n, response) in responses.into_iter().enumerate() {
            let response = response.unwrap();
            assert_eq!(response.head.status, StatusCode::OK);
            assert_eq!(response.body, format!("http://localhost/{n}?a=b"));
        }
        assert_eq!(host.total_connections(), 1);
        // It is kept for the next requests.
        let more = (0..10).map(|n| client.send(HttpRequest::get(format!("/{n}"))));
        assert!(join_all(more).await.iter().all(Result::is_ok));
        assert_eq!(host.total_connections(), 1);
    });
}

#[test]
fn a_connection_has_at_most_64_streams() {
    run(async {
        let waiting = Rc::new(RefCell::new(Vec::new()));
        let host = serve_requests(move |(_, to)| {
            waiting.borrow_mut().push(to);
            let all = if waiting.borrow().len() == 100 {
                waiting.take()
            } else {
                Vec::new()
            };
            async move { all.into_iter().for_each(|to| respond(to, "ok")) }
        });
        let client = Http2Client::new(host.handle());
        let all = join_all((0..100).map(|_| client.send(HttpRequest::get("/")))).await;
        assert!(all.iter().all(Result::is_ok));
        assert_eq!(host.total_connections(), 2);
    });
}

#[test]
fn a_body_of_a_request_is_written_while_the_response_is_read() {
    run(async {
        // Echoes each piece.
        let host = serve_requests(|(request, mut to)| async move {
            let mut body = request.into_body();
            let mut stream = to.send_response(ok(), false).unwrap();
            while let Some(piece) = body.data().await {
                let piece = piece.unwrap();
                body.flow_control().release_capacity(piece.len()).unwrap();
                stream.send_data(piece, false).unwrap();
            }
            stream.send_data(Bytes::new(), true).unwrap();
        });
        let client = Http2Client::new(host.handle());
        let request = HttpRequest::new(Method::POST, "/echo");
        let (mut writer, response) = client.open(request).await.unwrap();
        let (head, mut body) = response.head().await.unwrap();
        assert_eq!(head.status, StatusCode::OK);
        // The response to one piece is read before the next one is written.
        for piece in ["one", "two"] {
            writer.write(piece).await.unwrap();
            let mut echo = Vec::new();
            assert!(
                body.read_batch(1, |bytes| echo.extend(bytes))
                    .await
                    .unwrap()
            );
            assert_eq!(echo, piece.as_bytes());
        }
        // More than all windows and buffers, so both directions must go on.
        let writing = async {
            for _ in 0..256 {
                writer.write(vec![b'x'; 64 * 1024]).await.unwrap();
            }
            writer.finish();
        };
        let mut count = 0;
        let reading = async {
            while body
                .read_batch(1, |bytes| count += bytes.len())
                .await
                .unwrap()
            {}
        };
        futures::join!(writing, reading);
        assert_eq!(count, 256 * 64 * 1024);
    });
}

#[test]
fn a_body_that_is_not_read_holds_back_the_engine_and_no_other_stream() {
    run(async {
        let sent = Rc::new(Cell::new(0));
        let counted = Rc::clone(&sent);
        let host = serve_requests(move |(request, mut to)| {
            let counted = Rc::clone(&counted);
            async move {
                if request.uri().path() == "/small" {
                    return respond(to, "small");
                }
                let mut stream = to.send_response(ok(), false).unwrap();
                loop {
                    stream.reserve_capacity(1024);
                    let Some(Ok(capacity)) =
                        std::future::poll_fn(|cx| stream.poll_capacity(cx)).await
                    else {
                        return;
                    };
                    stream
                        .send_data(vec![b'x'; capacity].into(), false)
                        .unwrap();
                    counted.set(counted.get() + capacity);
                }
            }
        });
        let client = Http2Client::new(host.handle());
        let mut paused = Vec::new();
        for _ in 0..20 {
            paused.push(client.stream(HttpRequest::get("/endless")).await.unwrap());
        }
        for _ in 0..20 {
            let small = client.send(HttpRequest::get("/small")).await.unwrap();
            assert_eq!(small.body, "small");
        }
        assert_eq!(sent.get(), 20 * 128 * 1024);
        // Reading goes on where it was.
        let (_, mut body) = paused.pop().unwrap();
        let mut count = 0;
        while count < 1 << 20 {
            assert!(
                body.read_batch(1, |bytes| count += bytes.len())
                    .await
                    .unwrap()
            );
        }
        assert_eq!(host.total_connections(), 1);
    });
}

#[test]
fn available_pieces_are_read_as_one_batch_without_delay() {
    run(async {
        let host = serve_requests(|(_, mut to)| async move {
            let mut stream = to.send_response(ok(), false).unwrap();
            for _ in 0..1000 {
                stream
                    .send_data(Bytes::from_static(b"line\n"), false)
                    .unwrap();
            }
            std::future::pending::<()>().await;
        });
        let client = Http2Client::new(host.handle());
        let (_, mut body) = client.stream(HttpRequest::get("/logs")).await.unwrap();
        // Lets the server send everything.
        for _ in 0..100 {
            yield_now().await;
        }
        let (mut batches, mut bytes) = (0, 0);
        while bytes < 5000 {
            assert!(
                body.read_batch(64 * 1024, |piece| bytes += piece.len())
                    .await
                    .unwrap()
            );
            batches += 1;
        }
        assert_eq!(bytes, 5000);
        assert!(batches <= 20, "{batches} batches");
        let more = body.read_batch(1, |_| panic!("there are no more bytes"));
        assert!(
            tokio::time::timeout(Duration::from_secs(1), more)
                .await
                .is_err()
        );
    });
}

#[test]
fn trailers_follow_the_body() {
    run(async {
        let host = serve_requests(|(_, mut to)| async move {
            let mut stream = to.send_response(ok(), false).unwrap();
            stream
                .send_data(Bytes::from_static(b"body"), false)
                .unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            stream.send_trailers(trailers).unwrap();
        });
        let client = Http2Client::new(host.handle());
        let (_, mut body) = client.stream(HttpRequest::get("/")).await.unwrap();
        assert!(body.trailers().is_none());
        assert_eq!(body.read_to_end(100).await.unwrap(), "body");
        assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
    });
}

#[test]
fn a_dropped_future_resets_its_stream_and_no_other() {
    run(async {
        let reasons = Rc::new(RefCell::new(Vec::new()));
        let recorded = Rc::clone(&reasons);
        let host = serve_requests(move |(request, mut to)| {
            let recorded = Rc::clone(&recorded);
            async move {
                let path = request.uri().path().to_owned();
                if path == "/other" {
                    let mut stream = to.send_response(ok(), false).unwrap();
                    tokio::time::sleep(Duration::from_secs(60)).await;
                    stream.send_data("late".into(), true).unwrap();
                    return;
                }
                let mut stream = None;
                if path == "/body" {
                    stream = Some(to.send_response(ok(), false).unwrap());
                }
                let reason = match &mut stream {
                    Some(stream) => std::future::poll_fn(|cx| stream.poll_reset(cx)).await,
                    None => std::future::poll_fn(|cx| to.poll_reset(cx)).await,
                };
                recorded.borrow_mut().push((path, reason.unwrap()));
            }
        });
        let client = Http2Client::new(host.handle());
        let (_, mut other) = client.stream(HttpRequest::get("/other")).await.unwrap();
        // Nobody reads the other stream meanwhile.
        let second = Duration::from_secs(1);
        let response = client.send(HttpRequest::get("/response"));
        assert!(tokio::time::timeout(second, response).await.is_err());
        let (_, body) = client.stream(HttpRequest::get("/body")).await.unwrap();
        drop(body);
        let post = HttpRequest::new(Method::POST, "/writer");
        let (mut writer, response) = client.open(post.clone()).await.unwrap();
        writer.write("some").await.unwrap();
        drop(writer);
        let error = response.head().await.err().unwrap();
        assert_eq!(error.code, ErrorCode::Cancelled, "{}", error.message);
        tokio::time::sleep(second).await;
        let expected: Vec<_> = ["/response", "/body", "/writer"]
            .map(|path| (path.to_owned(), Reason::CANCEL))
            .into();
        assert_eq!(*reasons.borrow(), expected);
        assert_eq!(other.read_to_end(100).await.unwrap(), "late");
        assert_eq!(host.total_connections(), 1);
    });
}

#[test]
fn the_last_dropped_stream_closes_the_connection() {
    run(async {
        let host = serve_requests(|(_, to)| async move {
            let _open = to;
            std::future::pending::<()>().await;
        });
        let client = Http2Client::new(host.handle());
        let mut response = Box::pin(client.send(HttpRequest::get("/")));
        assert!((&mut response).now_or_never().is_none());
        yield_now().await;
        assert!((&mut response).now_or_never().is_none());
        assert_eq!(host.open_connections(), 1);
        drop(response);
        assert_eq!(host.open_connections(), 0);
    });
}

#[test]
fn a_thousand_dropped_streams_fail_no_other_request() {
    run(async {
        let host = serve_requests(|(request, mut to)| async move {
            if request.uri().path() == "/echo" {
                return respond(to, "ok");
            }
            // Still sends when the stream was reset.
            let mut stream = to.send_response(ok(), false).unwrap();
            loop {
                stream.reserve_capacity(1024);
                let Some(Ok(capacity)) = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await
                else {
                    return;
                };
                if stream
                    .send_data(vec![b'x'; capacity].into(), false)
                    .is_err()
                {
                    return;
                }
            }
        });
        let client = Http2Client::new(host.handle());
        let (_, _kept) = client.stream(HttpRequest::get("/endless")).await.unwrap();
        for _ in 0..1000 {
            drop(client.stream(HttpRequest::get("/endless")).await.unwrap());
            client.send(HttpRequest::get("/echo")).await.unwrap();
        }
        // A connection with 64 dropped streams takes no new ones, and the one
        // after it is closed with its only stream.
        assert_eq!(host.open_connections(), 2);
    });
}

#[test]
fn a_stream_goes_on_when_the_future_that_drove_the_connection_is_dropped() {
    run(async {
        let host = serve_requests(|(request, to)| async move {
            if request.uri().path() == "/first" {
                tokio::time::sleep(Duration::from_secs(60)).await;
                respond(to, "first");
            } else {
                let _open = to;
                std::future::pending::<()>().await;
            }
        });
        let client = Rc::new(Http2Client::new(host.handle()));
        let other = Rc::clone(&client);
        let first = spawn_local(async move { other.send(HttpRequest::get("/first")).await });
        yield_now().await;
        let second = client.send(HttpRequest::get("/second"));
        assert!(
            tokio::time::timeout(Duration::from_secs(1), second)
                .await
                .is_err()
        );
        assert_eq!(first.await.unwrap().unwrap().body, "first");
        assert_eq!(host.total_connections(), 1);
    });
}

#[test]
fn a_request_that_the_engine_has_not_processed_is_sent_again() {
    run(async {
        // The first connection refuses the first stream, and then goes away.
        let seen = Rc::new(RefCell::new(Vec::new()));
        let recorded = Rc::clone(&seen);
        let host = serve(move |number, mut connection| {
            let recorded = Rc::clone(&recorded);
            async move {
                let mut count = 0;
                while let Some(Ok((request, mut to))) = connection.accept().await {
                    count += 1;
                    recorded.borrow_mut().push((number, count));
                    match (number, count) {
                        (0, 1) => to.send_reset(Reason::REFUSED_STREAM),
                        (0, 2) => {
                            assert_eq!(read(request.into_body()).await.unwrap(), b"{}");
                            respond(to, "two");
                            connection.graceful_shutdown();
                        }
                        _ => respond(to, "three"),
                    }
                }
            }
        });
        let client = Http2Client::new(host.handle());
        let post = || HttpRequest::new(Method::POST, "/start").json("{}");
        assert_eq!(client.send(post()).await.unwrap().body, "two");
        // Lets the server send GOAWAY.
        yield_now().await;
        assert_eq!(client.send(post()).await.unwrap().body, "three");
        assert_eq!(*seen.borrow(), [(0, 1), (0, 2), (1, 1)]);
    });
}

#[test]
fn a_request_with_side_effects_is_not_sent_again_if_it_may_have_been_processed() {
    run(async {
        let requests = Rc::new(Cell::new(0));
        let counted = Rc::clone(&requests);
        let host = serve(move |number, mut connection| {
            let counted = Rc::clone(&counted);
            async move {
                let (_, to) = connection.accept().await.unwrap().unwrap();
                counted.set(counted.get() + 1);
                if number > 1 {
                    respond(to, "ok");
                    while connection.accept().await.is_some() {}
                }
                // Closes the connection.
            }
        });
        let client = Http2Client::new(host.handle());
        let post = HttpRequest::new(Method::POST, "/start").json("{}");
        let error = client.send(post).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Unavailable, "{}", error.message);
        assert_eq!(requests.get(), 1);
        // One without side effects is.
        assert_eq!(client.send(HttpRequest::get("/")).await.unwrap().body, "ok");
        assert_eq!(requests.get(), 3);
    });
}

#[test]
fn an_error_of_the_engine_names_the_request_and_the_reason() {
    run(async {
        let host = serve(|_, mut connection| async move {
            while let Some(Ok((request, mut to))) = connection.accept().await {
                match request.uri().path() {
                    "/reset" => to.send_reset(Reason::INTERNAL_ERROR),
                    "/body" => {
                        let mut stream = to.send_response(ok(), false).unwrap();
                        stream.send_data("some".into(), false).unwrap();
                        spawn_local(async move {
                            tokio::time::sleep(Duration::from_secs(1)).await;
                            stream.send_reset(Reason::CANCEL);
                        });
                    }
                    // Closes the connection.
                    _ => return,
                }
            }
        });
        let client = Http2Client::new(host.handle());
        let post = |path| HttpRequest::new(Method::POST, path);
        let error = client.send(post("/reset?secret=1")).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Internal);
        assert_eq!(
            error.message,
            "the engine ended the request POST /reset with the HTTP/2 error 2: unexpected internal error encountered"
        );
        let error = client.send(post("/body")).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Unavailable);
        assert!(
            error.message.contains("POST /body with the HTTP/2 error 8"),
            "{}",
            error.message
        );
        let error = client.send(post("/close")).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Unavailable);
        assert_eq!(
            error.message,
            "the engine closed the connection during the request POST /close"
        );
    });
}

#[test]
fn an_engine_that_goes_away_is_an_error_that_names_the_reason() {
    run(async {
        let host = ScriptedHost::new();
        host.serve(|mut connection| async move {
            // Settings, and GOAWAY: the last stream is 0, the code is 11.
            let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
            let goaway = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11];
            connection.send(&settings).await;
            // The preface, and the request.
            while connection.read(&mut [0; 256]).await == 256 {}
            connection.send(&goaway).await;
            while connection.read(&mut [0; 256]).await > 0 {}
        });
        let client = Http2Client::new(host.handle());
        let error = client.send(HttpRequest::new(Method::POST, "/")).await;
        let error = error.unwrap_err();
        assert_eq!(error.code, ErrorCode::Unavailable);
        assert_eq!(
            error.message,
            "the engine ended the connection with the HTTP/2 error 11: detected excessive load generating behavior"
        );
        // It was sent twice, since it was certainly not processed.
        assert_eq!(host.total_connections(), 2);
    });
}

#[test]
fn a_response_that_is_not_http2_is_an_error_that_names_the_cause() {
    run(async {
        let host = ScriptedHost::new();
        host.serve(|mut connection| async move {
            connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            while connection.read(&mut [0; 256]).await > 0 {}
        });
        let client = Http2Client::new(host.handle());
        let error = client.send(HttpRequest::get("/")).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Internal, "{}", error.message);
        assert!(
            error.message.contains("violated HTTP/2"),
            "{}",
            error.message
        );
    });
}

#[test]
fn a_body_beyond_the_limit_is_rejected() {
    run(async {
        let host = serve_requests(|(_, to)| async move { respond(to, vec![b'x'; 30_000]) });
        let client = Http2Client::new(host.handle());
        let request = HttpRequest::get("/").max_body_bytes(20_000);
        let error = client.send(request).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Internal);
        assert!(
            error.message.contains("larger than 20000 bytes"),
            "{}",
            error.message
        );
    });
}

#[test]
fn a_missing_response_is_a_timeout_that_names_the_request() {
    run(async {
        let host = serve_requests(|(_, to)| async move {
            let _open = to;
            std::future::pending::<()>().await;
        });
        let client = Http2Client::new(host.handle());
        let request = HttpRequest::get("/slow?secret=1").timeout(Duration::from_secs(5));
        let error = client.send(request).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Timeout);
        assert!(
            error.message.contains("GET /slow within 5 s"),
            "{}",
            error.message
        );
    });
}

#[test]
fn a_missing_engine_is_unavailable() {
    run(async {
        let host = ScriptedHost::new();
        let refusal = rdd_sdk::types::Error::unavailable("no engine is listening");
        host.script(ConnectionScript::refuse(refusal.clone()));
        let client = Http2Client::new(host.handle());
        assert_eq!(
            client.send(HttpRequest::get("/")).await.unwrap_err(),
            refusal
        );
    });
}

#[test]
fn a_path_cannot_contain_another_request() {
    run(async {
        let host = ScriptedHost::new();
        let client = Http2Client::new(host.handle());
        for path in ["/a b", "/a\r\nX: y", "/\u{7f}"] {
            let error = client.send(HttpRequest::get(path)).await.unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidArgument, "{path:?}");
        }
    });
}

#[test]
fn a_closed_client_fails_its_requests_and_opens_a_new_connection_for_the_next() {
    run(async {
        let host = serve_requests(|(_, mut to)| async move {
            let mut stream = to.send_response(ok(), false).unwrap();
            stream.send_data("some".into(), false).unwrap();
            std::future::pending::<()>().await;
        });
        let client = Http2Client::new(host.handle());
        let (_, mut body) = client.stream(HttpRequest::get("/")).await.unwrap();
        client.close();
        assert_eq!(host.open_connections(), 0);
        let error = body.read_to_end(100).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Unavailable, "{}", error.message);
        client.stream(HttpRequest::get("/")).await.unwrap();
        assert_eq!(host.total_connections(), 2);
    });
}
