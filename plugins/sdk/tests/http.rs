//! The HTTP client against a server that is scripted byte by byte.
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
use rdd_sdk::http::{Call, Client, Method, StatusCode};
use rdd_sdk::native::UnixHost;
use rdd_sdk::types::ErrorCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::LocalSet;

/// What the server does on its connections, one script for each.
type Script = Vec<Vec<Step>>;

#[derive(Clone)]
enum Step {
    /// Reads a request's head and notes its first line.
    Request,
    Send(Vec<u8>),
    /// Waits until the client closes.
    Hold,
}

struct Server {
    _directory: tempfile::TempDir,
    socket: PathBuf,
    seen: Rc<RefCell<Vec<String>>>,
}

impl Server {
    /// Must run within a `LocalSet`.
    fn start(script: Script) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let seen = Rc::new(RefCell::new(Vec::new()));
        let log = Rc::clone(&seen);
        tokio::task::spawn_local(async move {
            for (number, steps) in script.into_iter().enumerate() {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::task::spawn_local(play(stream, number, steps, Rc::clone(&log)));
            }
        });
        Self {
            _directory: directory,
            socket,
            seen,
        }
    }

    fn client(&self) -> Client {
        Client::new(UnixHost::new(&self.socket, |_, _| {}).handle())
    }

    fn seen(&self) -> Vec<String> {
        self.seen.borrow().clone()
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

fn answer(body: &str) -> Step {
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
fn a_connection_carries_one_request_after_another() {
    run(async {
        let server = Server::start(vec![vec![
            Step::Request,
            answer("one"),
            Step::Request,
            answer("two"),
            Step::Hold,
        ]]);
        let client = server.client();
        for (path, body) in [("/a?q=1", "one"), ("/b", "two")] {
            let response = client.send(Call::get(path)).await.unwrap();
            assert_eq!(response.head.status, StatusCode::OK);
            assert_eq!(response.body, body);
        }
        assert_eq!(
            server.seen(),
            ["0: GET /a?q=1 HTTP/1.1", "0: GET /b HTTP/1.1"]
        );
    });
}

#[test]
fn a_kept_connection_that_closed_is_replaced() {
    run(async {
        let server = Server::start(vec![
            vec![Step::Request, answer("one")],
            // Takes the request and closes without an answer.
            vec![Step::Request, answer("two"), Step::Request],
            vec![Step::Request, answer("three"), Step::Hold],
        ]);
        let client = server.client();
        for body in ["one", "two", "three"] {
            let response = client.send(Call::get("/")).await.unwrap();
            assert_eq!(response.body, body);
            // Lets the server close what it has played to the end.
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn a_change_is_never_sent_twice() {
    run(async {
        let server = Server::start(vec![
            vec![Step::Request, answer("one"), Step::Request],
            vec![Step::Request],
            vec![Step::Request, answer("never")],
        ]);
        let client = server.client();
        client.send(Call::get("/")).await.unwrap();
        let error = client
            .send(Call::new(Method::POST, "/start"))
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Unavailable);
        let posts = server
            .seen()
            .iter()
            .filter(|line| line.contains("POST"))
            .count();
        assert_eq!(posts, 1);
    });
}

#[test]
fn chunks_at_hand_come_as_one_batch_and_none_is_held_back() {
    run(async {
        let mut burst = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for _ in 0..1000 {
            burst.extend_from_slice(b"5\r\nline\n\r\n");
        }
        let server = Server::start(vec![vec![Step::Request, Step::Send(burst), Step::Hold]]);
        let (_, mut body) = server.client().open(Call::get("/logs")).await.unwrap();
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
        // The stream is open and idle: nothing more comes, and nothing ends.
        let more = tokio::time::timeout(
            Duration::from_millis(50),
            body.read_batch(1, |_| panic!("there are no more bytes")),
        );
        assert!(more.await.is_err());
        drop(body);
        let closed = async {
            while !server.seen().contains(&"0: closed".to_owned()) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), closed)
            .await
            .unwrap();
    });
}

#[test]
fn a_body_cut_short_is_no_whole_body() {
    run(async {
        for cut in [
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive.",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfive.\r\n",
            "HTTP/1.1 200 OK\r\nContent-Le",
        ] {
            let step = Step::Send(cut.as_bytes().to_vec());
            let script = vec![vec![Step::Request, step]; 2];
            let server = Server::start(script);
            let error = server.client().send(Call::get("/")).await.unwrap_err();
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
fn what_is_no_http_is_an_error_that_says_so() {
    run(async {
        let server = Server::start(vec![vec![
            Step::Request,
            Step::Send(b"SSH-2.0-OpenSSH\r\n".to_vec()),
        ]]);
        let error = server.client().send(Call::get("/")).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Internal);
        assert!(
            error.message.contains("does not speak HTTP"),
            "{}",
            error.message
        );
    });
}

#[test]
fn an_endless_body_is_refused_at_its_limit() {
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
            .send(Call::get("/").max_body(20_000))
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
fn silence_is_a_timeout_that_names_the_request() {
    run(async {
        let server = Server::start(vec![vec![Step::Request, Step::Hold]]);
        let call = Call::get("/slow?secret=1").timeout(Duration::from_millis(20));
        let error = server.client().send(call).await.unwrap_err();
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
fn no_engine_is_unavailable() {
    run(async {
        let client = Client::new(UnixHost::new("/nowhere/engine.sock", |_, _| {}).handle());
        let error = client.send(Call::get("/")).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Unavailable);
    });
}

#[test]
fn a_path_cannot_smuggle_a_request() {
    run(async {
        for path in ["/a b", "/a\r\nX: y", "/\u{7f}"] {
            let server = Server::start(vec![vec![Step::Hold]; 2]);
            let error = server.client().send(Call::get(path)).await.unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidArgument, "{path:?}");
        }
        // What is sent as a body is no request.
        let server = Server::start(vec![vec![Step::Request, answer("ok")]]);
        let call = Call::new(Method::POST, "/x").json(Bytes::from_static(b"{}"));
        assert_eq!(server.client().send(call).await.unwrap().body, "ok");
    });
}
