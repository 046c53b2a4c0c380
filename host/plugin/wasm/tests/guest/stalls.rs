//! How long a call may take: as long as the engine does, and no longer than
//! the guest waits for it.

use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use rdd_core::{ContainerAction, ContainerEngine, EngineError, ErrorCode, LogOptions, WatchEvent};
use rdd_plugin_wasm::{BackendLimits, Instance};

use crate::support::*;

/// A hang is found soon, and an engine that is silent is left alone.
fn short() -> BackendLimits {
    BackendLimits {
        stall: STALL,
        ..limits()
    }
}

const STALL: Duration = Duration::from_millis(200);

/// Longer than a call may wait for nothing.
async fn long() {
    tokio::time::sleep(4 * STALL).await;
}

fn assert_hangs(error: &EngineError, what: &str) {
    assert_eq!(error.code, ErrorCode::Timeout, "{error}");
    let why = format!("hangs: {what} has waited for neither the engine nor a timer");
    assert!(error.message.contains(&why), "{error}");
}

fn act(
    instance: &Arc<Instance>,
    id: &'static str,
) -> tokio::task::JoinHandle<Result<(), EngineError>> {
    let instance = instance.clone();
    tokio::spawn(async move { instance.act(id, ContainerAction::Stop).await })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_has_all_the_time_it_takes() {
    let (engine, mut questions) = played();
    let backend = backend_with(short(), engine);
    let instance = Arc::new(launch(&backend).await);
    let stop = act(&instance, "asks-stop");
    let mut asked_stop = asked(&mut questions, "asks-stop").await;
    let listing = watch(&instance, "slow").await;
    let mut asked_listing = asked(&mut questions, "slow").await;
    let log = tokio::spawn({
        let instance = instance.clone();
        async move { instance.get_logs("asks", &LogOptions::default()).await }
    });
    let mut asked_log = asked(&mut questions, "asks").await;
    long().await;
    assert!(!stop.is_finished() && !log.is_finished());
    asked_listing.answer().await;
    let listed: Vec<_> = listing.take(3).collect().await;
    assert_eq!(*listed[0].as_ref().unwrap(), WatchEvent::InitBegin);
    assert_eq!(*listed[2].as_ref().unwrap(), WatchEvent::InitDone);
    asked_log.answer().await;
    let log = soon(log).await.unwrap().unwrap();
    assert_eq!(drain_logs(log).await.1, None);
    asked_stop.answer().await;
    soon(stop).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timer_is_something_to_wait_for() {
    let backend = backend_with(short(), Nowhere);
    let instance = launch(&backend).await;
    soon(instance.act("nap", ContainerAction::Stop))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_hangs_is_told_apart_from_one_that_waits() {
    let (engine, mut questions) = played();
    let backend = backend_with(short(), engine);
    let instance = Arc::new(launch(&backend).await);
    let stop = act(&instance, "asks-stop");
    let mut asked_stop = asked(&mut questions, "asks-stop").await;
    let hung = soon(act(&instance, "never")).await.unwrap().unwrap_err();
    assert_hangs(&hung, "act");
    let hung = soon(instance.inspect(&container("never")))
        .await
        .unwrap_err();
    assert_hangs(&hung, "inspect");
    // Neither the stop nor a later call is harmed.
    long().await;
    soon(instance.inspect(&container("one"))).await.unwrap();
    asked_stop.answer().await;
    soon(stop).await.unwrap().unwrap();
    // Now that nothing is lost by it, the store is replaced.
    let death = soon(instance.ended()).await;
    assert!(
        death.blamed && death.reason.starts_with("hangs"),
        "{death:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_hangs_ends_a_store_that_does_nothing_else() {
    let backend = backend_with(short(), Nowhere);
    let instance = launch(&backend).await;
    // A watch can begin anew.
    let _watch = watch(&instance, "good").await;
    let hung = soon(instance.inspect(&container("never")))
        .await
        .unwrap_err();
    assert_hangs(&hung, "inspect");
    let death = soon(instance.ended()).await;
    assert!(
        death.blamed && death.reason.starts_with("hangs"),
        "{death:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_that_hang_end_the_store_whatever_else_it_does() {
    let (engine, mut questions) = played();
    let backend = backend_with(short(), engine);
    let instance = Arc::new(launch(&backend).await);
    let stop = act(&instance, "asks-stop");
    let _asked = asked(&mut questions, "asks-stop").await;
    let never = container("never");
    let all = futures::future::join_all((0..32).map(|_| instance.inspect(&never)));
    soon(all).await;
    let error = soon(stop).await.unwrap().unwrap_err();
    assert_failed(&error, "hangs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_another_call_waits_for_is_no_excuse() {
    let (engine, mut questions) = played();
    let backend = backend_with(short(), engine);
    let instance = Arc::new(launch(&backend).await);
    let _watch = watch(&instance, "feed").await;
    let _feed = asked(&mut questions, "feed").await;
    let hung = soon(instance.inspect(&container("never")))
        .await
        .unwrap_err();
    assert_hangs(&hung, "inspect");
}

/// One thread: the store has no turn between a call and its end.
#[tokio::test]
async fn a_change_that_nobody_waits_for_any_more_is_not_begun() {
    let (engine, mut questions) = played();
    let backend = backend_with(limits(), engine);
    let instance = Arc::new(launch(&backend).await);
    for _ in 0..10 {
        let given_up = instance.act("asks-given-up", ContainerAction::Stop);
        assert!(given_up.now_or_never().is_none());
    }
    let wanted = act(&instance, "asks-wanted");
    asked(&mut questions, "asks-wanted").await.answer().await;
    soon(wanted).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_changes_may_wait_for_the_engine() {
    let (engine, mut questions) = played();
    let backend = backend_with(limits(), engine);
    let instance = Arc::new(launch(&backend).await);
    let mut running = Vec::new();
    for _ in 0..256 {
        let stop = act(&instance, "asks-stop");
        running.push((stop, asked(&mut questions, "asks-stop").await));
    }
    soon(instance.inspect(&container("one"))).await.unwrap();
    let one_more = act(&instance, "asks-one-more");
    for (stop, mut asked) in running {
        asked.answer().await;
        soon(stop).await.unwrap().unwrap();
    }
    asked(&mut questions, "asks-one-more").await.answer().await;
    soon(one_more).await.unwrap().unwrap();
}
