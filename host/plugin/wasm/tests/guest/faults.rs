//! Faults of a backend, next to a healthy stream that must not be disturbed.

use std::time::{Duration, Instant};

use futures::StreamExt;
use rdd_core::{ContainerEngine, ErrorCode, LogOptions};
use rdd_plugin_contract::BackendLimits;
use rdd_plugin_wasm::ComponentBackend;

use crate::support::*;

/// A stream of another backend whose lines are counted.
struct HealthyStream {
    _backend: ComponentBackend,
    lines: tokio::sync::watch::Receiver<usize>,
}

impl HealthyStream {
    async fn start() -> Self {
        let backend = backend();
        let handle = launch(&backend).await;
        let mut log = logs(&handle, "ticker").await;
        let (counter, lines) = tokio::sync::watch::channel(0);
        tokio::spawn(async move {
            // Until the test ends. If the stream does, so does the channel.
            while let Some(Ok(_)) = log.next().await {
                counter.send_modify(|lines| *lines += 1);
            }
        });
        Self {
            _backend: backend,
            lines,
        }
    }

    /// Asserts that the stream goes on. How long it paused says nothing on a machine
    /// that pauses it, too.
    async fn assert_undisturbed(mut self) {
        // More lines than the host holds of a stream.
        let later = *self.lines.borrow() + 20;
        in_time(self.lines.wait_for(|lines| *lines >= later))
            .await
            .expect("the healthy stream ended");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_faulty_call_ends_only_its_store() {
    let healthy = HealthyStream::start().await;
    for (id, expected) in [
        ("trap", "trapped: wasm `unreachable`"),
        ("spin", "without yielding"),
        ("allocate", "ran out of memory: one instance may use 64 MiB"),
        ("sleeps", "calls of host.sleep"),
    ] {
        let backend = backend();
        let handle = launch(&backend).await;
        let (faulty, other) = (container(id), container("never"));
        let (error, interrupted) = in_time(futures::future::join(
            handle.inspect(&faulty),
            handle.inspect(&other),
        ))
        .await;
        assert_failed(&error.unwrap_err(), expected);
        assert_failed(&interrupted.unwrap_err(), expected);
        let exit = in_time(handle.wait_for_exit()).await;
        assert!(
            exit.is_guest_fault && exit.message.contains(expected),
            "{exit:?}"
        );
        // A new store of the same backend works.
        let relaunched = launch(&backend).await;
        in_time(relaunched.inspect(&container("one")))
            .await
            .unwrap();
    }
    healthy.assert_undisturbed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_faulty_watch_fails_with_the_cause() {
    let healthy = HealthyStream::start().await;
    for (mode, expected) in [
        ("trap", "trapped: wasm `unreachable`"),
        ("spin", "without yielding"),
        ("allocate", "ran out of memory"),
        ("endless", "without an init-done"),
        ("bad-id", "the container ID \"../../etc\" is not a letter"),
        ("disorder", "before init-begin"),
        ("huge", "name is 2097152 bytes long"),
    ] {
        let backend = backend();
        let handle = launch(&backend).await;
        let (_, error) = drain(watch(&handle, mode).await).await;
        let error = error.unwrap_or_else(|| panic!("{mode} ended without an error"));
        assert_failed(&error, expected);
        let exit = in_time(handle.wait_for_exit()).await;
        assert!(
            exit.is_guest_fault && exit.message.contains(expected),
            "{mode}: {exit:?}"
        );
    }
    healthy.assert_undisturbed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_faulty_log_ends_only_its_stream() {
    let backend = backend();
    let handle = launch(&backend).await;
    let healthy = HealthyStream::start().await;
    let mut other = logs(&handle, "ticker").await;
    for (id, expected) in [
        ("trap", "trapped: wasm `unreachable`"),
        ("spin", "without yielding"),
        ("allocate", "ran out of memory: one instance may use 32 MiB"),
    ] {
        let Err(error) = in_time(handle.get_logs(&container_ref(id), &LogOptions::default())).await
        else {
            panic!("{id} was opened");
        };
        assert_stream_failed(&error, expected);
    }
    for (id, expected) in [
        ("late-trap", "trapped: wasm `unreachable`"),
        ("late-spin", "without yielding"),
        ("late-allocate", "ran out of memory"),
        ("huge-chunk", "a chunk of output has 1048576 bytes"),
    ] {
        let (_, error) = drain_logs(logs(&handle, id).await).await;
        let error = error.unwrap_or_else(|| panic!("{id} ended without an error"));
        assert_stream_failed(&error, expected);
    }
    // Neither the control store nor another stream of the same backend is affected.
    in_time(handle.inspect(&container("one"))).await.unwrap();
    for _ in 0..10 {
        in_time(other.next()).await.unwrap().unwrap();
    }
    healthy.assert_undisturbed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_result_fails_only_that_call() {
    let backend = backend();
    let handle = launch(&backend).await;
    for (id, expected) in [
        ("other", "returned \"another\""),
        ("twice", "contains a key twice"),
    ] {
        let error = in_time(handle.inspect(&container(id))).await.unwrap_err();
        assert_failed(&error, expected);
    }
    in_time(handle.inspect(&container("one"))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_streams_of_a_backend_share_a_budget() {
    let limits = BackendLimits {
        total_memory_bytes: 8 << 20,
        ..limits()
    };
    let backend = backend_with(limits, UnreachableTransport);
    let handle = launch(&backend).await;
    let (_, error) = drain_logs(logs(&handle, "late-allocate").await).await;
    assert_stream_failed(&error.unwrap(), "all its streams together may use 8 MiB");
    // The memory of the ended store is free again.
    let (chunks, error) = drain_logs(logs(&handle, "lines-10").await).await;
    assert_eq!((chunks.len(), error), (10, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_use_all_memory_make_others_unavailable_but_not_the_backend() {
    let limits = BackendLimits {
        total_memory_bytes: 8 << 20,
        ..limits()
    };
    let backend = backend_with(limits, UnreachableTransport);
    let handle = launch(&backend).await;
    let mut open = Vec::new();
    let error = loop {
        assert!(open.len() < 100, "the budget is not used up");
        let (idle, options) = (container_ref("idle"), LogOptions::default());
        match in_time(handle.get_logs(&idle, &options)).await {
            Ok(log) => open.push(log),
            Err(error) => break error,
        }
    };
    assert_eq!(error.code, ErrorCode::Unavailable, "{error}");
    assert!(
        error.message.contains("close some and try again"),
        "{error}"
    );
    // Another control store does not need the memory of the streams.
    let restarted = launch(&backend).await;
    in_time(restarted.inspect(&container("one"))).await.unwrap();
    open.clear();
    rdd_testkit::eventually("another log can be opened", || async {
        match handle
            .get_logs(&container_ref("idle"), &LogOptions::default())
            .await
        {
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    })
    .await;
}

#[tokio::test]
async fn a_spinning_guest_does_not_block_a_single_thread() {
    let backend = backend();
    let handle = launch(&backend).await;
    let began = Instant::now();
    let spinning = container("spin");
    let mut ticks = 0;
    let mut clock = tokio::time::interval(Duration::from_millis(10));
    let spin = handle.inspect(&spinning);
    tokio::pin!(spin);
    let error = loop {
        tokio::select! {
            ended = &mut spin => break ended.unwrap_err(),
            _ = clock.tick() => ticks += 1,
        }
    };
    assert_failed(&error, "without yielding");
    assert!(
        ticks >= 5,
        "the thread yielded {ticks} times in {:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn later_calls_of_an_ended_store_fail() {
    let backend = backend();
    let handle = launch(&backend).await;
    in_time(handle.inspect(&container("trap")))
        .await
        .unwrap_err();
    for _ in 0..200 {
        let error = in_time(handle.inspect(&container("one")))
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::PluginFailed);
    }
    let Err(error) = in_time(handle.watch()).await else {
        panic!("the watch started");
    };
    assert_failed(&error, "trapped");
}
