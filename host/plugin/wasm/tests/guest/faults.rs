//! What a bad backend does, beside a good stream that must not notice.

use std::time::{Duration, Instant};

use futures::StreamExt;
use rdd_core::{ContainerEngine, ErrorCode, LogOptions};
use rdd_plugin_wasm::{Backend, BackendLimits};

use crate::support::*;

/// A good stream of another backend, watched for its longest silence.
struct Healthy {
    _backend: Backend,
    task: tokio::task::JoinHandle<Duration>,
    stop: tokio_util::sync::CancellationToken,
}

impl Healthy {
    async fn start() -> Self {
        let backend = backend();
        let instance = launch(&backend).await;
        let mut log = logs(&instance, "ticker").await;
        let stop = tokio_util::sync::CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let mut longest = Duration::ZERO;
            let mut last = Instant::now();
            loop {
                tokio::select! {
                    () = stopped.cancelled() => break longest,
                    chunk = log.next() => { chunk.unwrap().unwrap(); }
                }
                longest = longest.max(last.elapsed());
                last = Instant::now();
            }
        });
        Self {
            _backend: backend,
            task,
            stop,
        }
    }

    /// Asserts that it went on all the while.
    async fn assert_well(self) {
        self.stop.cancel();
        let longest = soon(self.task).await.unwrap();
        // Ticks come each 10 ms; the rest is for the machine.
        assert!(
            longest < Duration::from_secs(1),
            "it was silent for {longest:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_break_end_their_store_alone() {
    let healthy = Healthy::start().await;
    for (id, why) in [
        ("trap", "trapped: wasm `unreachable`"),
        ("spin", "without a pause"),
        ("hog", "ran out of memory: it may use 64 MiB"),
        ("sleeps", "calls of host.sleep"),
    ] {
        let backend = backend();
        let instance = launch(&backend).await;
        let (broken, beside) = (container(id), container("never"));
        let (error, cut_short) = soon(futures::future::join(
            instance.inspect(&broken),
            instance.inspect(&beside),
        ))
        .await;
        assert_failed(&error.unwrap_err(), why);
        assert_failed(&cut_short.unwrap_err(), why);
        let death = soon(instance.ended()).await;
        assert!(death.blamed && death.reason.contains(why), "{death:?}");
        // A fresh store of the same backend works.
        let again = launch(&backend).await;
        soon(again.inspect(&container("one"))).await.unwrap();
    }
    healthy.assert_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_that_break_say_why() {
    let healthy = Healthy::start().await;
    for (mode, why) in [
        ("trap", "trapped: wasm `unreachable`"),
        ("spin", "without a pause"),
        ("hog", "ran out of memory"),
        ("endless", "without an init-done"),
        ("bad-id", "the container ID \"../../etc\" is not a letter"),
        ("disorder", "before init-begin"),
        ("huge", "name is 2097152 bytes long"),
    ] {
        let backend = backend();
        let instance = launch(&backend).await;
        let (_, error) = drain(watch(&instance, mode).await).await;
        assert_failed(&error.unwrap_or_else(|| panic!("{mode} ended well")), why);
        let death = soon(instance.ended()).await;
        assert!(
            death.blamed && death.reason.contains(why),
            "{mode}: {death:?}"
        );
    }
    healthy.assert_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_that_break_end_alone() {
    let backend = backend();
    let instance = launch(&backend).await;
    let healthy = Healthy::start().await;
    let mut beside = logs(&instance, "ticker").await;
    for (id, why) in [
        ("trap", "trapped: wasm `unreachable`"),
        ("spin", "without a pause"),
        ("hog", "ran out of memory: it may use 32 MiB"),
    ] {
        let Err(error) = soon(instance.get_logs(id, &LogOptions::default())).await else {
            panic!("{id} opened");
        };
        assert_stream_failed(&error, why);
    }
    for (id, why) in [
        ("late-trap", "trapped: wasm `unreachable`"),
        ("late-spin", "without a pause"),
        ("late-hog", "ran out of memory"),
        ("huge-chunk", "a log chunk holds 1048576 bytes"),
    ] {
        let (_, error) = drain_logs(logs(&instance, id).await).await;
        assert_stream_failed(&error.unwrap_or_else(|| panic!("{id} ended well")), why);
    }
    // The control store, and a stream of the same backend, did not notice.
    soon(instance.inspect(&container("one"))).await.unwrap();
    for _ in 0..10 {
        soon(beside.next()).await.unwrap().unwrap();
    }
    healthy.assert_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_in_an_answer_fails_that_call_alone() {
    let backend = backend();
    let instance = launch(&backend).await;
    for (id, why) in [
        ("other", "answered with \"another\""),
        ("twice", "hold a key twice"),
    ] {
        let error = soon(instance.inspect(&container(id))).await.unwrap_err();
        assert_failed(&error, why);
    }
    soon(instance.inspect(&container("one"))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_stores_of_a_backend_share_a_budget() {
    let limits = BackendLimits {
        total_memory: 8 << 20,
        ..limits()
    };
    let backend = backend_with(limits, Nowhere);
    let instance = launch(&backend).await;
    let (_, error) = drain_logs(logs(&instance, "late-hog").await).await;
    assert_stream_failed(&error.unwrap(), "all its stores together may use 8 MiB");
    // What the dead store held is free again.
    let (chunks, error) = drain_logs(logs(&instance, "lines-10").await).await;
    assert_eq!((chunks.len(), error), (10, None));
}

#[tokio::test]
async fn a_spinning_guest_does_not_keep_a_single_thread_to_itself() {
    let backend = backend();
    let instance = launch(&backend).await;
    let began = Instant::now();
    let spinning = container("spin");
    let mut ticks = 0;
    let mut clock = tokio::time::interval(Duration::from_millis(10));
    let spin = instance.inspect(&spinning);
    tokio::pin!(spin);
    let error = loop {
        tokio::select! {
            ended = &mut spin => break ended.unwrap_err(),
            _ = clock.tick() => ticks += 1,
        }
    };
    assert_failed(&error, "without a pause");
    assert!(
        ticks >= 5,
        "the thread gave way {ticks} times in {:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_store_answers_every_later_call() {
    let backend = backend();
    let instance = launch(&backend).await;
    soon(instance.inspect(&container("trap")))
        .await
        .unwrap_err();
    for _ in 0..200 {
        let error = soon(instance.inspect(&container("one"))).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::PluginFailed);
    }
    let Err(error) = soon(instance.watch()).await else {
        panic!("the dead watch");
    };
    assert_failed(&error, "trapped");
}
