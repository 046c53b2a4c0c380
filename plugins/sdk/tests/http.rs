//! Tests of the HTTP client against a server that sends scripted bytes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use rdd_sdk::http::{HttpClient, HttpRequest, Method, StatusCode};
use rdd_sdk::testing::UnixHost;
use rdd_sdk::types::ErrorCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::LocalSet;

/// The steps of the server, one list for each connection.
type Script = Vec<Vec<Step>>;

#[derive(Clone)]
enum Step {
    /// Reads the head of a request and records its first line.
    Request,
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Waits until the client closes the connection.
    Hold,
}

struct Server {
    _directory: tempfile::TempDir,
    socket: PathBuf,
    recorded: Rc<RefCell<Vec<String>>>,
}

impl Server {
    /// Must run within a `LocalSet`.
    fn start(script: Script) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let recorded = Rc::new(RefCell::new(Vec::new()));
        let log = Rc::clone(&recorded);
        tokio::task::spawn_local(async move {
            for (number, steps) in script.into_iter().enumerate() {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::task::spawn_local(play(stream, number, steps, Rc::clone(&log)));
            }
        });
        Self {
            _directory: directory,
            socket,
            recorded,
        }
    }

    fn client(&self) -> HttpClient {
        HttpClient::new(UnixHost::new(&self.socket, |_, _| {}).handle())
    }

    fn recorded(&self) -> Vec<String> {
        self.recorded.borrow().clone()
    }
}

async fn play(
    mut stream: UnixStream,
    number: usize,
    steps: Vec<Step>,
    log: Rc<RefCell<Vec<String>>>,
) {
    for step in steps {
        match step {
            Step::Request => {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => return,
                    }
                }
                let head = String::from_utf8(head).unwrap();
                let line = head.lines().next().unwrap();
                log.borrow_mut().push(format!("{number}: {line}"));
            }
            Step::Send(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Step::Hold => {
                let mut byte = [0];
                assert_eq!(
                    stream.read(&mut byte).await.unwrap_or(0),
                    0,
                    "bytes after the request"
                );
                log.borrow_mut().push(format!("{number}: closed"));
                return;
            }
        }
    }
}

fn response(body: &str) -> Step {
    Step::Send(
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes(),
    )
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(LocalSet::new().run_until(test));
}

#[test]
fn a_connection_is_reused_for_the_next_request() {
    run(async {
        let server = Server::start(vec![vec![
            Step::Request,
            response("one"),
            Step::Request,
            response("two"),
            Step::Hold,
        ]]);
        let client = server.client();
        for (path, body) in [("/a?q=1", "one"), ("/b", "two")] {
            let response = client.send(HttpRequest::get(path)).await.unwrap();
            assert_eq!(response.head.status, StatusCode::OK);
            assert_eq!(response.body, body);
        }
        assert_eq!(
            server.recorded(),
            ["0: GET /a?q=1 HTTP/1.1", "0: GET /b HTTP/1.1"]
        );
    });
}

#[test]
fn a_reused_connection_that_was_closed_is_replaced() {
    run(async {
        let server = Server::start(vec![
            vec![Step::Request, response("one")],
            // Closes the connection without a response to the last request.
            vec![Step::Request, response("two"), Step::Request],
            vec![Step::Request, response("three"), Step::Hold],
        ]);
        let client = server.client();
        for body in ["one", "two", "three"] {
            let response = client.send(HttpRequest::get("/")).await.unwrap();
            assert_eq!(response.body, body);
            // Lets the server close the connection after its last step.
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn a_request_with_side_effects_is_never_sent_twice() {
    run(async {
        let server = Server::start(vec![
            vec![Step::Request, response("one"), Step::Request],
            vec![Step::Request],
            vec![Step::Request, response("never")],
        ]);
        let client = server.client();
        client.send(HttpRequest::get("/")).await.unwrap();
        let error = client
            .send(HttpRequest::new(Method::POST, "/start"))
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Unavailable);
        let posts = server
            .recorded()
            .iter()
            .filter(|line| line.contains("POST"))
            .count();
        assert_eq!(posts, 1);
    });
}

#[test]
fn available_chunks_are_read_as_one_batch_without_delay() {
    run(async {
        let mut burst = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for _ in 0..1000 {
            burst.extend_from_slice(b"5\r\nline\n\r\n");
        }
        let server = Server::start(vec![vec![Step::Request, Step::Send(burst), Step::Hold]]);
        let (_, mut body) = server
            .client()
            .stream(HttpRequest::get("/logs"))
            .await
            .unwrap();
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
        // The open stream is idle: there are neither more bytes nor an end.
        let more = tokio::time::timeout(
            Duration::from_millis(50),
            body.read_batch(1, |_| panic!("there are no more bytes")),
        );
        assert!(more.await.is_err());
        drop(body);
        let closed = async {
            while !server.recorded().contains(&"0: closed".to_owned()) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), closed)
            .await
            .unwrap();
    });
}

#[test]
fn a_truncated_body_is_an_error() {
    run(async {
        for cut in [
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive.",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfive.\r\n",
            "HTTP/1.1 200 OK\r\nContent-Le",
        ] {
            let step = Step::Send(cut.as_bytes().to_vec());
            let script = vec![vec![Step::Request, step]; 2];
            let server = Server::start(script);
            let error = server
                .client()
                .send(HttpRequest::get("/"))
                .await
                .unwrap_err();
            assert_eq!(
                error.code,
                ErrorCode::Unavailable,
                "{cut:?}: {}",
                error.message
            );
        }
    });
}

#[test]
fn a_response_that_is_not_http_is_an_error_that_names_the_cause() {
    run(async {
        let server = Server::start(vec![vec![
            Step::Request,
            Step::Send(b"SSH-2.0-OpenSSH\r\n".to_vec()),
        ]]);
        let error = server
            .client()
            .send(HttpRequest::get("/"))
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Internal);
        assert!(
            error.message.contains("response is not HTTP"),
            "{}",
            error.message
        );
    });
}

#[test]
fn a_body_beyond_the_limit_is_rejected() {
    run(async {
        let mut flood = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for _ in 0..100 {
            flood.extend_from_slice(b"2710\r\n");
            flood.extend(std::iter::repeat_n(b'x', 10_000));
            flood.extend_from_slice(b"\r\n");
        }
        let server = Server::start(vec![vec![Step::Request, Step::Send(flood), Step::Hold]]);
        let error = server
            .client()
            .send(HttpRequest::get("/").max_body_bytes(20_000))
            .await
            .unwrap_err();
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
        let server = Server::start(vec![vec![Step::Request, Step::Hold]]);
        let request = HttpRequest::get("/slow?secret=1").timeout(Duration::from_millis(20));
        let error = server.client().send(request).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Timeout);
        assert!(
            error.message.contains("GET /slow within"),
            "{}",
            error.message
        );
        assert!(!error.message.contains("secret"));
    });
}

#[test]
fn a_missing_engine_is_unavailable() {
    run(async {
        let client = HttpClient::new(UnixHost::new("/nowhere/engine.sock", |_, _| {}).handle());
        let error = client.send(HttpRequest::get("/")).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Unavailable);
    });
}

#[test]
fn a_path_cannot_contain_another_request() {
    run(async {
        for path in ["/a b", "/a\r\nX: y", "/\u{7f}"] {
            let server = Server::start(vec![vec![Step::Hold]; 2]);
            let error = server
                .client()
                .send(HttpRequest::get(path))
                .await
                .unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidArgument, "{path:?}");
        }
        // Nor can a body.
        let server = Server::start(vec![vec![Step::Request, response("ok")]]);
        let request = HttpRequest::new(Method::POST, "/x").json(Bytes::from_static(b"{}"));
        assert_eq!(server.client().send(request).await.unwrap().body, "ok");
    });
}
