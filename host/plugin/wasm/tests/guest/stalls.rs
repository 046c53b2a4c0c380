//! How long a call may take: as long as the engine does, while the guest waits for
//! the engine.

use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use rdd_core::{ContainerAction, ContainerEngine, EngineError, ErrorCode, LogOptions, WatchEvent};
use rdd_plugin_contract::BackendLimits;
use rdd_plugin_wasm::BackendHandle;

use crate::support::*;

/// Limits with which a stall is detected quickly.
fn short() -> BackendLimits {
    BackendLimits {
        stall_timeout: STALL,
        ..limits()
    }
}

/// Long enough for a call that is paused with the whole machine.
const STALL: Duration = Duration::from_secs(2);

/// Waits for longer than a call may stall.
async fn exceed_stall_timeout() {
    tokio::time::sleep(2 * STALL).await;
}

fn assert_stalled(error: &EngineError, call: &str) {
    assert_eq!(error.code, ErrorCode::Timeout, "{error}");
    let expected = format!("stalled: {call} has waited for neither the engine nor a timer");
    assert!(error.message.contains(&expected), "{error}");
}

fn act(
    handle: &Arc<BackendHandle>,
    id: &'static str,
) -> tokio::task::JoinHandle<Result<(), EngineError>> {
    let handle = handle.clone();
    tokio::spawn(async move { handle.act(&container_ref(id), ContainerAction::Stop).await })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_may_take_as_long_as_the_engine() {
    let (engine, mut requests) = scripted_transport();
    let backend = backend_with(short(), engine);
    let handle = Arc::new(launch(&backend).await);
    let stop = act(&handle, "request-stop");
    let mut stop_request = expect_request(&mut requests, "request-stop").await;
    let listing = watch(&handle, "slow").await;
    let mut listing_request = expect_request(&mut requests, "slow").await;
    let log = tokio::spawn({
        let handle = handle.clone();
        async move {
            handle
                .get_logs(&container_ref("request"), &LogOptions::default())
                .await
        }
    });
    let mut log_request = expect_request(&mut requests, "request").await;
    exceed_stall_timeout().await;
    assert!(!stop.is_finished() && !log.is_finished());
    listing_request.respond().await;
    let listed: Vec<_> = listing.take(3).collect().await;
    assert_eq!(*listed[0].as_ref().unwrap(), WatchEvent::InitBegin);
    assert_eq!(*listed[2].as_ref().unwrap(), WatchEvent::InitDone);
    log_request.respond().await;
    let log = in_time(log).await.unwrap().unwrap();
    assert_eq!(drain_logs(log).await.1, None);
    stop_request.respond().await;
    in_time(stop).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_waits_for_a_timer_does_not_stall() {
    let backend = backend_with(short(), UnreachableTransport);
    let handle = launch(&backend).await;
    in_time(handle.act(&container_ref("very-slow"), ContainerAction::Stop))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_stalls_is_distinguished_from_one_that_waits() {
    let (engine, mut requests) = scripted_transport();
    let backend = backend_with(short(), engine);
    let handle = Arc::new(launch(&backend).await);
    let stop = act(&handle, "request-stop");
    let mut stop_request = expect_request(&mut requests, "request-stop").await;
    let stalled = in_time(act(&handle, "never")).await.unwrap().unwrap_err();
    assert_stalled(&stalled, "act");
    let stalled = in_time(handle.inspect(&container("never")))
        .await
        .unwrap_err();
    assert_stalled(&stalled, "inspect");
    // Neither the stop nor a later call is affected.
    exceed_stall_timeout().await;
    in_time(handle.inspect(&container("one"))).await.unwrap();
    stop_request.respond().await;
    in_time(stop).await.unwrap().unwrap();
    // No other call is running, so the store is replaced.
    let exit = in_time(handle.wait_for_exit()).await;
    assert!(
        exit.is_guest_fault && exit.message.starts_with("stalled"),
        "{exit:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_call_ends_a_store_without_other_calls() {
    let backend = backend_with(short(), UnreachableTransport);
    let handle = launch(&backend).await;
    // A watch does not count, since it can be restarted.
    let _watch = watch(&handle, "good").await;
    let stalled = in_time(handle.inspect(&container("never")))
        .await
        .unwrap_err();
    assert_stalled(&stalled, "inspect");
    let exit = in_time(handle.wait_for_exit()).await;
    assert!(
        exit.is_guest_fault && exit.message.starts_with("stalled"),
        "{exit:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_stalled_calls_end_the_store_despite_other_calls() {
    let (engine, mut requests) = scripted_transport();
    let backend = backend_with(short(), engine);
    let handle = Arc::new(launch(&backend).await);
    let stop = act(&handle, "request-stop");
    let _request = expect_request(&mut requests, "request-stop").await;
    let never = container("ignores-stop");
    let all = futures::future::join_all((0..32).map(|_| handle.inspect(&never)));
    in_time(all).await;
    let error = in_time(stop).await.unwrap().unwrap_err();
    assert_failed(&error, "stalled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_another_call_waits_for_does_not_count() {
    let (engine, mut requests) = scripted_transport();
    let backend = backend_with(short(), engine);
    let handle = Arc::new(launch(&backend).await);
    let _watch = watch(&handle, "relay").await;
    let _request = expect_request(&mut requests, "relay").await;
    let stalled = in_time(handle.inspect(&container("never")))
        .await
        .unwrap_err();
    assert_stalled(&stalled, "inspect");
}

/// Single-threaded, so that the store is not polled between a call and its drop.
#[tokio::test]
async fn an_abandoned_change_is_not_started() {
    let (engine, mut requests) = scripted_transport();
    let backend = backend_with(limits(), engine);
    let handle = Arc::new(launch(&backend).await);
    let target = container_ref("request-abandoned");
    for _ in 0..10 {
        let abandoned = handle.act(&target, ContainerAction::Stop);
        assert!(abandoned.now_or_never().is_none());
    }
    let wanted = act(&handle, "request-wanted");
    expect_request(&mut requests, "request-wanted")
        .await
        .respond()
        .await;
    in_time(wanted).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_changes_may_wait_for_the_engine() {
    let (engine, mut requests) = scripted_transport();
    let backend = backend_with(limits(), engine);
    let handle = Arc::new(launch(&backend).await);
    let mut running = Vec::new();
    for _ in 0..256 {
        let stop = act(&handle, "request-stop");
        running.push((stop, expect_request(&mut requests, "request-stop").await));
    }
    in_time(handle.inspect(&container("one"))).await.unwrap();
    let one_more = act(&handle, "request-one-more");
    for (stop, mut request) in running {
        request.respond().await;
        in_time(stop).await.unwrap().unwrap();
    }
    expect_request(&mut requests, "request-one-more")
        .await
        .respond()
        .await;
    in_time(one_more).await.unwrap().unwrap();
}
