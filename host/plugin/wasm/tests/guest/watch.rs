use std::time::{Duration, Instant};

use futures::StreamExt;
use rdd_core::{ContainerEngine, ErrorCode, WatchEvent};
use rdd_plugin_wasm::BackendLimits;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_then_its_changes() {
    let backend = backend();
    let instance = launch(&backend).await;
    let events: Vec<_> = soon(watch(&instance, "good").await.take(7).collect::<Vec<_>>())
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
async fn ten_thousand_objects() {
    let backend = backend();
    let instance = launch(&backend).await;
    let mut watch = watch(&instance, "many").await;
    let mut applied = 0;
    loop {
        match soon(watch.next()).await.unwrap().unwrap() {
            WatchEvent::Applied(_) => applied += 1,
            WatchEvent::InitDone => break,
            WatchEvent::InitBegin | WatchEvent::Removed(_) => {}
        }
    }
    assert_eq!(applied, 10_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_are_told_apart() {
    let backend = backend();
    let instance = launch(&backend).await;
    let (events, error) = drain(watch(&instance, "ends").await).await;
    assert_eq!(events, [WatchEvent::InitBegin, WatchEvent::InitDone]);
    assert_eq!(error, None);
    let (events, error) = drain(watch(&instance, "lost").await).await;
    assert_eq!(events.len(), 2);
    assert_eq!(error.unwrap().code, ErrorCode::Unavailable);
    choose(&instance, "refused").await;
    let Err(refused) = soon(instance.watch()).await else {
        panic!("it was not refused");
    };
    assert_eq!(refused.code, ErrorCode::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_watch_makes_room_for_the_next_within_a_second() {
    let backend = backend();
    let instance = launch(&backend).await;
    for mode in ["good", "stalled", "many"] {
        let mut first = watch(&instance, mode).await;
        soon(first.next()).await.unwrap().unwrap();
        let began = Instant::now();
        drop(first);
        drop(soon(instance.watch()).await.unwrap());
        assert!(
            began.elapsed() < Duration::from_secs(1),
            "{mode}: {:?}",
            began.elapsed()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_watch_waits_for_the_first_and_not_for_ever() {
    let backend = backend();
    let instance = launch(&backend).await;
    let _first = watch(&instance, "good").await;
    let Err(refused) = soon(instance.watch()).await else {
        panic!("there are two watches");
    };
    assert_eq!(refused.code, ErrorCode::Timeout);
    assert!(refused.message.contains("one at a time"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_that_does_not_stop_ends_the_store() {
    let backend = backend();
    let instance = launch(&backend).await;
    let mut deaf = watch(&instance, "deaf").await;
    for _ in [WatchEvent::InitBegin, WatchEvent::InitDone] {
        soon(deaf.next()).await.unwrap().unwrap();
    }
    drop(deaf);
    let death = soon(instance.ended()).await;
    assert!(death.blamed);
    assert!(
        death.reason.contains("after it was told to stop"),
        "{death:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_must_be_explained() {
    let backend = backend();
    let instance = launch(&backend).await;
    let (_, error) = drain(watch(&instance, "unresolved").await).await;
    assert_failed(&error.unwrap(), "its future did not");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_listing_is_given_up() {
    let limits = BackendLimits {
        stall: Duration::from_millis(300),
        ..limits()
    };
    let backend = backend_with(limits, Nowhere);
    let instance = launch(&backend).await;
    let (events, error) = drain(watch(&instance, "stalled").await).await;
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
async fn large_objects_may_come_in_one_write() {
    let backend = backend();
    let instance = launch(&backend).await;
    let watch = watch(&instance, "heavy").await;
    let events: Vec<_> = soon(watch.take(66).collect()).await;
    for event in &events {
        assert!(event.is_ok(), "{event:?}");
    }
    assert_eq!(*events[65].as_ref().unwrap(), WatchEvent::InitDone);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_loses_nothing() {
    let backend = backend();
    let instance = launch(&backend).await;
    let mut watch = watch(&instance, "many").await;
    soon(watch.next()).await.unwrap().unwrap();
    // The guest goes on until the channel is full, and then waits.
    soon(instance.inspect(&container("slow"))).await.unwrap();
    let mut ids = Vec::new();
    while let WatchEvent::Applied(object) = soon(watch.next()).await.unwrap().unwrap() {
        ids.push(object.reference().id);
    }
    let all: Vec<_> = (0..10_000).map(|n| format!("c{n}")).collect();
    assert_eq!(ids, all);
}
