//! Tests of errors, of what is sent again, and of limits.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use h2::Reason;
use rdd_sdk::http::{HttpRequest, Method};
use rdd_sdk::http2::Http2Client;
use rdd_sdk::testing::{ConnectionScript, ScriptedHost};
use rdd_sdk::types::ErrorCode;
use tokio::task::{spawn_local, yield_now};

use crate::server::{ok, read, respond, run, serve, serve_requests};

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
