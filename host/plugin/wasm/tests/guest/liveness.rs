//! An engine that stops sending in the middle of a stream, over real sockets.

use std::time::{Duration, Instant};

use futures::StreamExt;
use rdd_core::{ContainerEngine, ErrorCode, ExecOptions, LogOptions, PullSpec, WatchEvent};
use rdd_plugin_contract::BackendLimits;
use rdd_testkit::PATIENCE;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::support::*;

const IDLE_BEFORE_PING: Duration = Duration::from_millis(200);
/// Long enough for a test that is paused with the whole machine to answer a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

fn short() -> BackendLimits {
    BackendLimits {
        idle_before_ping: IDLE_BEFORE_PING,
        ping_timeout: PING_TIMEOUT,
        ..limits()
    }
}

/// Responds to pings at once until `silence`, and returns the other requests, and
/// later all of them.
fn answer_pings(
    mut requests: mpsc::UnboundedReceiver<ScriptedRequest>,
    silence: CancellationToken,
) -> mpsc::UnboundedReceiver<ScriptedRequest> {
    let (sender, rest) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(mut request) = requests.recv().await {
            if request.line == "ping" && !silence.is_cancelled() {
                request.respond().await;
            } else if sender.send(request).is_err() {
                return;
            }
        }
    });
    rest
}

/// Asserts that the engine gets no request during `attempt`. A pause of the machine
/// for as long as the engine may be idle makes a ping, so this counts only if it
/// happens each time.
async fn assert_not_pinged(
    requests: &mut mpsc::UnboundedReceiver<ScriptedRequest>,
    mut attempt: impl AsyncFnMut(),
) {
    const ATTEMPTS: usize = 20;
    for _ in 0..ATTEMPTS {
        attempt().await;
        let mut is_pinged = false;
        while let Ok(mut request) = requests.try_recv() {
            assert_eq!(request.line, "ping");
            // Fails if the host no longer waits.
            request.connection.get_mut().write_all(b"!").await.ok();
            is_pinged = true;
        }
        if !is_pinged {
            return;
        }
    }
    panic!("the engine was pinged each time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_waits_for_a_lost_engine_fails() {
    let (engine, requests) = scripted_transport();
    let silence = CancellationToken::new();
    let mut requests = answer_pings(requests, silence.clone());
    let backend = backend_with(short(), engine);
    let handle = launch(&backend).await;
    let listing = watch(&handle, "relay").await;
    let mut watch_request = expect_request(&mut requests, "relay").await;
    let mut log = in_time(handle.get_logs(&container_ref("relay"), &LogOptions::default()))
        .await
        .unwrap();
    let mut log_request = expect_request(&mut requests, "relay").await;
    log_request.respond().await;
    assert_eq!(&in_time(log.next()).await.unwrap().unwrap().bytes[..], b"!");
    // From the response on, the engine reads pings and sends nothing.
    silence.cancel();
    let began = Instant::now();
    watch_request.respond().await;
    let target = container_ref("request-stop");
    let stop = handle.act(&target, rdd_core::ContainerAction::Stop);
    let (events, stop, log_end) =
        futures::future::join3(drain(listing), in_time(stop), in_time(log.next())).await;
    assert_eq!(events.0, [WatchEvent::InitBegin, WatchEvent::InitDone]);
    for error in [
        events.1.unwrap(),
        stop.unwrap_err(),
        log_end.unwrap().unwrap_err(),
    ] {
        assert_eq!(error.code, ErrorCode::Unavailable, "{error}");
        assert!(error.message.contains("not even to a ping"), "{error}");
    }
    assert!(began.elapsed() >= PING_TIMEOUT, "{:?}", began.elapsed());
    // The backend and its next connection still work.
    let next_watch = watch(&handle, "relay").await;
    loop {
        let mut request = in_time(requests.recv()).await.unwrap();
        // Fails on connections that were closed when the engine was lost.
        request.connection.get_mut().write_all(b"!").await.ok();
        if request.line == "relay" {
            break;
        }
    }
    drop(next_watch);
}

/// Without a call or a log, nothing but these would ask for pings.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_and_a_pull_alone_notice_a_lost_engine() {
    let (engine, mut requests) = scripted_transport();
    let backend = backend_with(short(), engine);
    let handle = launch(&backend).await;
    let options = ExecOptions {
        command: vec!["relay".to_owned()],
        ..ExecOptions::default()
    };
    let session = in_time(handle.exec(&container_ref("one"), &options))
        .await
        .unwrap();
    let _request = expect_request(&mut requests, "relay").await;
    let error = in_time(session.exit).await.unwrap_err();
    assert!(error.message.contains("not even to a ping"), "{error}");
    let spec = PullSpec {
        namespace: "default".to_owned(),
        image: "relay".to_owned(),
        platform: None,
    };
    let mut pull = in_time(handle.pull(&spec)).await.unwrap();
    let error = in_time(pull.next()).await.unwrap().unwrap_err();
    assert!(error.message.contains("not even to a ping"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_engine_that_answers_pings_is_not_lost() {
    let (engine, mut requests) = scripted_transport();
    // The watch uses the only connection; a probe has an additional one.
    let limits = BackendLimits {
        max_connections: 1,
        ping_timeout: PATIENCE,
        ..short()
    };
    let backend = backend_with(limits, engine);
    let handle = launch(&backend).await;
    let mut listing = watch(&handle, "relay").await;
    let mut watch_request = None;
    let mut pings = 0;
    let reading = async {
        let mut events = 0;
        while listing.next().await.unwrap().is_ok() {
            events += 1;
        }
        events
    };
    tokio::pin!(reading);
    while pings < 5 {
        tokio::select! {
            events = &mut reading => panic!("the watch ended after {events} events and {pings} pings"),
            request = in_time(requests.recv()) => {
                let mut request = request.unwrap();
                if request.line == "relay" {
                    watch_request = Some(request);
                    continue;
                }
                assert_eq!(request.line, "ping");
                // As slow as a busy engine.
                tokio::time::sleep(IDLE_BEFORE_PING).await;
                request.respond().await;
                pings += 1;
            }
        }
    }
    assert!(watch_request.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_sends_something_is_not_pinged() {
    let (engine, mut requests) = scripted_transport();
    let backend = backend_with(short(), engine);
    let handle = launch(&backend).await;
    let _listing = watch(&handle, "relay").await;
    let mut watch_request = expect_request(&mut requests, "relay").await;
    assert_not_pinged(&mut requests, async || {
        // So long that one ping is not the reason why the next attempt has none.
        let began = Instant::now();
        while began.elapsed() < 4 * IDLE_BEFORE_PING + PING_TIMEOUT {
            watch_request.respond().await;
            tokio::time::sleep(IDLE_BEFORE_PING / 10).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_without_pending_calls_is_not_pinged() {
    let (engine, mut requests) = scripted_transport();
    let backend = backend_with(short(), engine);
    let handle = launch(&backend).await;
    assert_not_pinged(&mut requests, async || {
        // Seldom, a ping is due while the call runs.
        in_time(handle.inspect(&container("one"))).await.unwrap();
        tokio::time::sleep(4 * IDLE_BEFORE_PING).await;
    })
    .await;
}
