//! Tests of streams that share a connection, of bodies, and of flow control.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use http::HeaderMap;
use rdd_sdk::http::{HttpRequest, Method, StatusCode};
use rdd_sdk::http2::Http2Client;
use tokio::task::yield_now;

use crate::server::{ok, respond, run, serve_requests};

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
