//! Log streams: their content, ends, and limits.

use std::time::{Duration, Instant};

use futures::StreamExt;
use rdd_core::{ContainerEngine, ErrorCode, LogOptions, LogStream, OutputChunk, OutputSource};
use rdd_plugin_contract::BackendLimits;
use rdd_plugin_wasm::BackendHandle;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sources_arrive_complete_and_separate() {
    let backend = backend();
    let handle = launch(&backend).await;
    let (chunks, error) = drain_logs(logs(&handle, "lines-1000").await).await;
    assert_eq!(error, None);
    let of = |source| {
        let bytes: Vec<u8> = chunks
            .iter()
            .filter(|chunk| chunk.source == source)
            .flat_map(|chunk| chunk.bytes.to_vec())
            .collect();
        String::from_utf8(bytes).unwrap()
    };
    let lines = |rest| -> String {
        (0..1_000)
            .filter(|n| n % 2 == rest)
            .map(|n| format!("line {n}\n"))
            .collect()
    };
    assert_eq!(of(OutputSource::Stdout), lines(0));
    assert_eq!(of(OutputSource::Stderr), lines(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_reach_the_guest() {
    let backend = backend();
    let handle = launch(&backend).await;
    let options = LogOptions {
        tail: Some(3),
        ..LogOptions::default()
    };
    let log = in_time(handle.get_logs(&container_ref("lines-100"), &options))
        .await
        .unwrap();
    assert_eq!(drain_logs(log).await.0.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_and_small_chunks_arrive_complete() {
    let backend = backend();
    let handle = launch(&backend).await;
    for (id, bytes) in [("flood-8", 8 << 20), ("small-10000", 1_000_000)] {
        let (chunks, error) = drain_logs(logs(&handle, id).await).await;
        assert_eq!(error, None, "{id}");
        assert!(
            chunks
                .iter()
                .all(|chunk| chunk.bytes.len() <= OutputChunk::MAX_LEN)
        );
        let sum: usize = chunks.iter().map(|chunk| chunk.bytes.len()).sum();
        assert_eq!(sum, bytes, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_are_returned_before_and_after_the_first_byte() {
    let backend = backend();
    let handle = launch(&backend).await;
    let Err(missing) =
        in_time(handle.get_logs(&container_ref("missing"), &LogOptions::default())).await
    else {
        panic!("the log was opened");
    };
    assert_eq!(missing.code, ErrorCode::NotFound);
    let (chunks, error) = drain_logs(logs(&handle, "fails").await).await;
    assert_eq!(chunks.len(), 1);
    let error = error.unwrap();
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert_eq!(error.message, "the engine closed the connection");
}

/// Limits with which a stream opens only after the store of the previous one has
/// ended.
fn one_stream() -> BackendLimits {
    BackendLimits {
        max_log_streams: 1,
        ..limits()
    }
}

/// Opens a log as soon as a permit is free.
async fn when_free(handle: &BackendHandle, id: &str) -> LogStream {
    let waiting = async {
        loop {
            match handle
                .get_logs(&container_ref(id), &LogOptions::default())
                .await
            {
                Ok(log) => break log,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    in_time(waiting).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_stream_ends_before_the_grace_period_does() {
    let backend = backend_with(one_stream(), UnreachableTransport);
    let handle = launch(&backend).await;
    for id in ["idle", "ticker", "flood-1000"] {
        let mut log = when_free(&handle, id).await;
        in_time(log.next()).await.unwrap().unwrap();
    }
    drop(when_free(&handle, "idle").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_of_a_stream_that_does_not_stop_is_ended() {
    let limits = BackendLimits {
        stop_grace: SHORT_GRACE,
        ..one_stream()
    };
    let backend = backend_with(limits, UnreachableTransport);
    let handle = launch(&backend).await;
    let mut ignoring = logs(&handle, "ignores-stop").await;
    in_time(ignoring.next()).await.unwrap().unwrap();
    // Before the drop: the permit may be free before this test goes on.
    let began = Instant::now();
    drop(ignoring);
    drop(when_free(&handle, "idle").await);
    assert!(began.elapsed() >= SHORT_GRACE, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_never_returns_releases_its_permit() {
    let limits = BackendLimits {
        stall_timeout: Duration::from_millis(200),
        ..one_stream()
    };
    let backend = backend_with(limits, UnreachableTransport);
    let handle = launch(&backend).await;
    let Err(refused) =
        in_time(handle.get_logs(&container_ref("never"), &LogOptions::default())).await
    else {
        panic!("the call returned");
    };
    assert_stream_failed(&refused, "get-logs has waited for neither the engine nor");
    drop(when_free(&handle, "idle").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_number_of_streams_is_bounded() {
    let limits = BackendLimits {
        max_log_streams: 3,
        ..limits()
    };
    let backend = backend_with(limits, UnreachableTransport);
    let handle = launch(&backend).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(logs(&handle, "idle").await);
    }
    let Err(refused) =
        in_time(handle.get_logs(&container_ref("idle"), &LogOptions::default())).await
    else {
        panic!("four streams are open");
    };
    assert_eq!(refused.code, ErrorCode::LimitReached);
    assert!(refused.message.starts_with("3 log streams"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_ends_without_a_result_fails() {
    let backend = backend_with(short_grace(), UnreachableTransport);
    let handle = launch(&backend).await;
    let (chunks, error) = drain_logs(logs(&handle, "unresolved").await).await;
    assert_eq!(chunks.len(), 1);
    assert_stream_failed(&error.unwrap(), "without a result");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_loses_nothing() {
    let backend = backend();
    let handle = launch(&backend).await;
    let mut log = logs(&handle, "flood-4").await;
    let first = in_time(log.next()).await.unwrap().unwrap().bytes.len();
    // Long enough for the guest to fill the buffer.
    in_time(handle.inspect(&container("slow"))).await.unwrap();
    let (chunks, error) = drain_logs(log).await;
    assert_eq!(error, None);
    let rest: usize = chunks.iter().map(|chunk| chunk.bytes.len()).sum();
    assert_eq!(first + rest, 4 << 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_outlive_the_control_store_that_opened_them() {
    let backend = backend();
    let handle = launch(&backend).await;
    let mut log = logs(&handle, "ticker").await;
    in_time(handle.inspect(&container("trap")))
        .await
        .unwrap_err();
    in_time(handle.wait_for_exit()).await;
    for _ in 0..10 {
        in_time(log.next()).await.unwrap().unwrap();
    }
}
