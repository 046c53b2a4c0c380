//! Watches: their events, ends, and limits.

use std::time::Duration;

use futures::StreamExt;
use rdd_core::{ContainerEngine, ErrorCode, WatchEvent};
use rdd_plugin_contract::BackendLimits;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_is_a_listing_followed_by_changes() {
    let backend = backend();
    let handle = launch(&backend).await;
    let events: Vec<_> = in_time(watch(&handle, "good").await.take(7).collect::<Vec<_>>())
        .await
        .into_iter()
        .map(|event| match event.unwrap() {
            WatchEvent::InitBegin => "begin".to_owned(),
            WatchEvent::Applied(object) => format!("+{}", object.reference().id),
            WatchEvent::InitDone => "done".to_owned(),
            WatchEvent::Removed(reference) => format!("-{}", reference.id),
        })
        .collect();
    assert_eq!(
        events,
        ["begin", "+one", "+two", "done", "+one", "-two", "+two"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_may_have_ten_thousand_objects() {
    let backend = backend();
    let handle = launch(&backend).await;
    let mut watch = watch(&handle, "many").await;
    let mut applied = 0;
    loop {
        match in_time(watch.next()).await.unwrap().unwrap() {
            WatchEvent::Applied(_) => applied += 1,
            WatchEvent::InitDone => break,
            WatchEvent::InitBegin | WatchEvent::Removed(_) => {}
        }
    }
    assert_eq!(applied, 10_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orderly_ends_and_errors_are_distinguished() {
    let backend = backend();
    let handle = launch(&backend).await;
    let (events, error) = drain(watch(&handle, "ends").await).await;
    assert_eq!(events, [WatchEvent::InitBegin, WatchEvent::InitDone]);
    assert_eq!(error, None);
    let (events, error) = drain(watch(&handle, "lost").await).await;
    assert_eq!(events.len(), 2);
    assert_eq!(error.unwrap().code, ErrorCode::Unavailable);
    choose_watch(&handle, "refused").await;
    let Err(refused) = in_time(handle.watch()).await else {
        panic!("the watch was not refused");
    };
    assert_eq!(refused.code, ErrorCode::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_watch_can_start_before_the_grace_period_of_a_dropped_one_ends() {
    let backend = backend();
    let handle = launch(&backend).await;
    for mode in ["good", "stalled", "many"] {
        let mut first = watch(&handle, mode).await;
        in_time(first.next()).await.unwrap().unwrap();
        drop(first);
        drop(in_time(handle.watch()).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_watch_waits_for_the_first_with_a_time_limit() {
    let backend = backend_with(short_grace(), UnreachableTransport);
    let handle = launch(&backend).await;
    let _first = watch(&handle, "good").await;
    let Err(refused) = in_time(handle.watch()).await else {
        panic!("two watches are running");
    };
    assert_eq!(refused.code, ErrorCode::Timeout);
    assert!(refused.message.contains("only one watch"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_that_does_not_stop_ends_the_store() {
    let backend = backend_with(short_grace(), UnreachableTransport);
    let handle = launch(&backend).await;
    let mut ignoring = watch(&handle, "ignores-stop").await;
    for _ in [WatchEvent::InitBegin, WatchEvent::InitDone] {
        in_time(ignoring.next()).await.unwrap().unwrap();
    }
    drop(ignoring);
    let exit = in_time(handle.wait_for_exit()).await;
    assert!(exit.is_guest_fault);
    assert!(exit.message.contains("after its stop signal"), "{exit:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_that_ends_without_a_result_fails() {
    let backend = backend_with(short_grace(), UnreachableTransport);
    let handle = launch(&backend).await;
    let (_, error) = drain(watch(&handle, "unresolved").await).await;
    assert_failed(&error.unwrap(), "without a result");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_listing_fails() {
    let limits = BackendLimits {
        stall_timeout: Duration::from_secs(2),
        ..limits()
    };
    let backend = backend_with(limits, UnreachableTransport);
    let handle = launch(&backend).await;
    let (events, error) = drain(watch(&handle, "stalled").await).await;
    assert_eq!(events, [WatchEvent::InitBegin]);
    let error = error.unwrap();
    assert_eq!(error.code, ErrorCode::Timeout);
    assert!(
        error
            .message
            .contains("a listing has waited for neither the engine nor a timer"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_objects_may_arrive_in_one_write() {
    let backend = backend();
    let handle = launch(&backend).await;
    let watch = watch(&handle, "heavy").await;
    let events: Vec<_> = in_time(watch.take(66).collect()).await;
    for event in &events {
        assert!(event.is_ok(), "{event:?}");
    }
    assert_eq!(*events[65].as_ref().unwrap(), WatchEvent::InitDone);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_loses_nothing() {
    let backend = backend();
    let handle = launch(&backend).await;
    let mut watch = watch(&handle, "many").await;
    in_time(watch.next()).await.unwrap().unwrap();
    // The guest writes until the channel is full, and then waits.
    in_time(handle.inspect(&container("slow"))).await.unwrap();
    let mut ids = Vec::new();
    while let WatchEvent::Applied(object) = in_time(watch.next()).await.unwrap().unwrap() {
        ids.push(object.reference().id);
    }
    let all: Vec<_> = (0..10_000).map(|n| format!("c{n}")).collect();
    assert_eq!(ids, all);
}
