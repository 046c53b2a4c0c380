//! Tests of followed logs with `until`, on a scripted engine and a paused clock.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use hyper_util::rt::TokioIo;
use rdd_backend_moby::MobyBackend;
use rdd_sdk::native::CallHandle;
use rdd_sdk::types::{ContainerRef, Credentials, Error, LogLevel, LogOptions, Timestamp};
use rdd_sdk::{Backend as _, BoxConnection, Host, HostApi};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::time::Instant;

/// The time at the beginning of each test: 2026-01-01T00:00:00Z.
const BEGIN: i64 = 1_767_225_600;
const LINE: &[u8] = b"a line\n";

/// The pauses of the engine before each line of a log.
type Script = Vec<Duration>;

/// An engine that sends a log line after each pause of `script`. A followed log
/// then remains open.
struct ScriptedEngine {
    started: Instant,
    script: Script,
    log_requests: Rc<RefCell<Vec<String>>>,
}

impl HostApi for ScriptedEngine {
    fn connect(&self) -> LocalBoxFuture<'static, Result<BoxConnection, Error>> {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let connection = serve(
            far,
            self.started,
            self.script.clone(),
            self.log_requests.clone(),
        );
        tokio::task::spawn_local(connection);
        async move { Ok(Box::new(TokioIo::new(near)) as BoxConnection) }.boxed_local()
    }

    fn sleep(&self, duration: Duration) -> LocalBoxFuture<'static, ()> {
        tokio::time::sleep(duration).boxed_local()
    }

    fn now(&self) -> Timestamp {
        panic!("the engine's clock is used")
    }

    fn monotonic_now(&self) -> Duration {
        self.started.elapsed()
    }

    fn random(&self) -> u64 {
        0
    }

    fn credentials(
        &self,
        _: String,
    ) -> LocalBoxFuture<'static, Result<Option<Credentials>, Error>> {
        std::future::ready(Ok(None)).boxed_local()
    }

    fn log(&self, _: LogLevel, _: &str) {}
}

/// Serves the requests of one connection.
async fn serve(
    mut stream: DuplexStream,
    started: Instant,
    script: Script,
    log_requests: Rc<RefCell<Vec<String>>>,
) {
    loop {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => request.push(byte),
                Err(_) => return,
            }
        }
        let request = String::from_utf8(request).unwrap();
        let path = request.split(' ').nth(1).unwrap().to_owned();
        let now = jiff::Timestamp::from_second(BEGIN).unwrap()
            + jiff::SignedDuration::try_from(started.elapsed()).unwrap();
        let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT");
        let head = format!("HTTP/1.1 200 OK\r\nApi-Version: 1.48\r\nDate: {date}\r\n");
        if path == "/_ping" {
            let head = format!("{head}Content-Length: 2\r\n\r\nOK");
            stream.write_all(head.as_bytes()).await.unwrap();
            continue;
        }
        if path.ends_with("/json") {
            let id = path.split('/').rev().nth(1).unwrap();
            let body = format!(r#"{{"Id":"{id}","Name":"/web","Config":{{"Tty":true}}}}"#);
            let head = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
            stream.write_all(head.as_bytes()).await.unwrap();
            continue;
        }
        let follows = path.contains("follow=1");
        log_requests.borrow_mut().push(path);
        let head = format!(
            "{head}Content-Type: application/vnd.docker.raw-stream\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        for pause in script {
            tokio::time::sleep(pause).await;
            if stream.write_all(LINE).await.is_err() {
                return;
            }
        }
        if follows {
            std::future::pending::<()>().await;
        }
        return;
    }
}

/// The outcome of a followed log.
struct Outcome {
    lines: usize,
    took: Duration,
    log_requests: Vec<String>,
}

/// Follows a log until the time `until` after the beginning. The reader pauses
/// for `pace` after each batch.
fn follow(until: Duration, script: Script, pace: Duration) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let log_requests = Rc::default();
        let started = Instant::now();
        let engine = ScriptedEngine {
            started,
            script,
            log_requests: Rc::clone(&log_requests),
        };
        let moby = MobyBackend::new(Host::new(engine));
        let options = LogOptions {
            follow: true,
            tail: None,
            since: None,
            until: Some(Timestamp {
                seconds: BEGIN + i64::try_from(until.as_secs()).unwrap(),
                nanoseconds: until.subsec_nanos(),
            }),
            timestamps: false,
            stdout: true,
            stderr: true,
        };
        let container = ContainerRef {
            namespace: "moby".to_owned(),
            id: "ab".repeat(32),
        };
        let mut log =
            CallHandle::start(|to| async move { moby.get_logs(container, options, to).await })
                .await
                .unwrap();
        let mut bytes = 0;
        while let Some(chunks) = log.next().await {
            bytes += chunks.iter().map(|chunk| chunk.bytes.len()).sum::<usize>();
            tokio::time::sleep(pace).await;
        }
        log.result().await.unwrap();
        Outcome {
            lines: bytes / LINE.len(),
            took: started.elapsed(),
            log_requests: log_requests.take(),
        }
    })
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn a_log_is_not_followed_if_until_is_soon() {
    for until in [Duration::ZERO, Duration::from_millis(700)] {
        // The engine takes ten minutes to send a long history.
        let outcome = follow(until, vec![seconds(30); 20], Duration::ZERO);
        assert_eq!(outcome.lines, 20, "{until:?}");
        assert!(outcome.took >= seconds(600), "{:?}", outcome.took);
        assert!(
            outcome.log_requests[0].contains("follow=0"),
            "{:?}",
            outcome.log_requests
        );
        assert_eq!(outcome.log_requests.len(), 1);
    }
}

#[test]
fn lines_that_the_engine_still_has_to_send_at_until_are_sent() {
    // One line per second for a minute, and a slower reader.
    let outcome = follow(seconds(10), vec![seconds(1); 60], seconds(5));
    assert_eq!(outcome.lines, 60);
    assert!(
        outcome.log_requests[0].contains("follow=1"),
        "{:?}",
        outcome.log_requests
    );
}

#[test]
fn an_idle_log_ends_soon_after_until() {
    for until in [seconds(10), seconds(3 * 3600 + 5)] {
        let outcome = follow(until, vec![seconds(1)], Duration::ZERO);
        assert_eq!(outcome.lines, 1);
        let late = outcome.took - until;
        assert!(late < seconds(6), "{until:?}: {late:?} late");
    }
}
