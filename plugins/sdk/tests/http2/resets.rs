//! Tests of streams that are dropped.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use futures::FutureExt;
use h2::Reason;
use rdd_sdk::http::{HttpRequest, Method};
use rdd_sdk::http2::Http2Client;
use rdd_sdk::types::ErrorCode;
use tokio::task::{spawn_local, yield_now};

use crate::server::{ok, respond, run, serve_requests};

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
