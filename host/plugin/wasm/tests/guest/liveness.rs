//! An engine that stops sending in the middle of a stream, over real sockets.

use std::time::{Duration, Instant};

use futures::StreamExt;
use rdd_core::{ContainerEngine, ErrorCode, ExecOptions, LogOptions, PullSpec, WatchEvent};
use rdd_plugin_contract::BackendLimits;
use tokio::io::AsyncWriteExt;

use crate::support::*;

const IDLE_BEFORE_PING: Duration = Duration::from_millis(200);
const PING_TIMEOUT: Duration = Duration::from_millis(400);

fn short() -> BackendLimits {
    BackendLimits {
        idle_before_ping: IDLE_BEFORE_PING,
        ping_timeout: PING_TIMEOUT,
        ..limits()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_waits_for_a_lost_engine_fails() {
    let (engine, mut requests) = scripted_transport();
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
    watch_request.respond().await;
    // From now on, the engine reads pings and sends nothing.
    let began = Instant::now();
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
                tokio::time::sleep(PING_TIMEOUT / 2).await;
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
    for _ in 0..40 {
        watch_request.respond().await;
        tokio::time::sleep(IDLE_BEFORE_PING / 10).await;
    }
    assert!(requests.try_recv().is_err(), "a request was sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_without_pending_calls_is_not_pinged() {
    let (engine, mut requests) = scripted_transport();
    let backend = backend_with(short(), engine);
    let handle = launch(&backend).await;
    in_time(handle.inspect(&container("one"))).await.unwrap();
    tokio::time::sleep(4 * IDLE_BEFORE_PING).await;
    assert!(requests.try_recv().is_err(), "a request was sent");
}
