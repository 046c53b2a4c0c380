//! Tests of followed logs with `until`, on a scripted engine and a paused clock.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use rdd_backend_moby::MobyBackend;
use rdd_sdk::Backend as _;
use rdd_sdk::http::Method;
use rdd_sdk::testing::{
    self, CallHandle, EngineRequest, EngineResponse, ScriptedEngine, ScriptedHost,
};
use rdd_sdk::types::{ContainerRef, LogOptions, Timestamp};
use tokio::time::Instant;

/// The time at the beginning of each test: 2026-01-01T00:00:00Z.
const BEGIN: i64 = 1_767_225_600;
const LINE: &[u8] = b"a line\n";

/// The pauses of the engine before each line of a log.
type Script = Vec<Duration>;

/// Starts an engine that sends a log line after each pause of `script`. A
/// followed log then remains open.
fn start_engine(script: Script) -> ScriptedEngine {
    // The clock of the host is far behind that of the engine, which counts.
    let engine = ScriptedEngine::on(ScriptedHost::starting_at(Timestamp {
        seconds: 0,
        nanoseconds: 0,
    }));
    let started = Instant::now();
    let dated = move |response: EngineResponse| {
        let now = jiff::Timestamp::from_second(BEGIN).unwrap()
            + jiff::SignedDuration::try_from(started.elapsed()).unwrap();
        let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        response.header("api-version", "1.48").header("date", &date)
    };
    engine.route(Method::GET, "/_ping", move |_| {
        dated(EngineResponse::text("OK"))
    });
    engine.route(Method::GET, "/{}/containers/{}/json", move |request| {
        let id = request.path().split('/').nth(3).unwrap();
        let container = format!(r#"{{"Id":"{id}","Name":"/web","Config":{{"Tty":true}}}}"#);
        dated(EngineResponse::json(container))
    });
    engine.route(Method::GET, "/{}/containers/{}/logs", move |request| {
        let follows = request.query().contains("follow=1");
        let (mut sender, response) = EngineResponse::stream();
        let script = script.clone();
        tokio::task::spawn_local(async move {
            for pause in script {
                tokio::time::sleep(pause).await;
                if sender.send(LINE).await.is_err() {
                    return;
                }
            }
            if follows {
                std::future::pending::<()>().await;
            }
        });
        dated(response.header("content-type", "application/vnd.docker.raw-stream"))
    });
    engine
}

/// The outcome of a followed log.
struct Outcome {
    lines: usize,
    took: Duration,
    log_requests: Vec<EngineRequest>,
}

/// Follows a log until the time `until` after the beginning. The reader pauses
/// for `pace` after each batch.
fn follow(until: Duration, script: Script, pace: Duration) -> Outcome {
    testing::run(async {
        let started = Instant::now();
        let engine = start_engine(script);
        let moby = MobyBackend::new(engine.host());
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
            log_requests: engine
                .requests()
                .into_iter()
                .filter(|request| request.path().ends_with("/logs"))
                .collect(),
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
            outcome.log_requests[0].query().contains("follow=0"),
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
        outcome.log_requests[0].query().contains("follow=1"),
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
