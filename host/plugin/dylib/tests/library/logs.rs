//! Logs as bytes.

use futures::{StreamExt as _, TryStreamExt as _};
use rdd_core::{ContainerEngine as _, ErrorCode, LogOptions, OutputSource};
use rdd_plugin_contract::BackendInstance as _;

use crate::support::{container, eventually, finish, launched, limits, reference};

#[tokio::test]
async fn a_log_has_its_lines_from_their_sources() {
    let (backend, handle) = launched(limits()).await;
    let options = LogOptions {
        tail: Some(3),
        ..LogOptions::default()
    };
    let log = handle
        .get_logs(&container("lines-5"), &options)
        .await
        .unwrap();
    let chunks: Vec<_> = log.try_collect().await.unwrap();
    let chunks: Vec<_> = chunks
        .iter()
        .map(|chunk| (chunk.source, &chunk.bytes[..]))
        .collect();
    assert_eq!(
        chunks,
        [
            (OutputSource::Stdout, &b"line 2\n"[..]),
            (OutputSource::Stderr, b"line 3\n"),
            (OutputSource::Stdout, b"line 4\n"),
        ]
    );
    finish(backend, handle).await;
}

#[tokio::test]
async fn every_byte_arrives_under_backpressure() {
    let (backend, handle) = launched(limits()).await;
    let options = LogOptions::default();
    let log = handle
        .get_logs(&container("flood-32"), &options)
        .await
        .unwrap();
    let bytes = log
        .try_fold(0, |sum, chunk| async move {
            tokio::task::yield_now().await;
            Ok(sum + chunk.bytes.len())
        })
        .await
        .unwrap();
    assert_eq!(bytes, 32 << 20);
    finish(backend, handle).await;
}

#[tokio::test]
async fn the_bytes_of_the_engine_pass_through() {
    let (backend, handle) = launched(limits()).await;
    let options = LogOptions::default();
    let mut log = handle
        .get_logs(&container("relay"), &options)
        .await
        .unwrap();
    let chunk = log.next().await.unwrap().unwrap();
    assert_eq!(chunk.bytes, "hello ");
    assert_eq!(handle.usage().connections, 1);
    drop(log);
    finish(backend, handle).await;
}

#[tokio::test]
async fn errors_of_the_call_and_of_the_stream_are_distinct() {
    let (backend, handle) = launched(limits()).await;
    let options = LogOptions::default();
    let error = handle
        .get_logs(&container("missing"), &options)
        .await
        .err()
        .unwrap();
    assert_eq!(error.code, ErrorCode::NotFound);
    let log = handle
        .get_logs(&container("fails"), &options)
        .await
        .unwrap();
    let items: Vec<_> = log.collect().await;
    assert_eq!(items[0].as_ref().unwrap().bytes, "first\n");
    assert_eq!(items[1].as_ref().unwrap_err().code, ErrorCode::Unavailable);
    assert_eq!(items.len(), 2);
    finish(backend, handle).await;
}

#[tokio::test]
async fn what_was_sent_before_a_fault_arrives_at_a_slow_reader() {
    const LINES: usize = 200;
    let (backend, handle) = launched(limits()).await;
    let id = container("breaks-200");
    let log = handle.get_logs(&id, &LogOptions::default()).await.unwrap();
    // By then, the library has gone on to the fault as far as it is asked to.
    handle.inspect(&reference("slow")).await.unwrap();
    let items: Vec<_> = log.collect().await;
    assert_eq!(items.len(), LINES + 1);
    assert_eq!(items[LINES - 1].as_ref().unwrap().bytes, "line 199\n");
    assert_eq!(
        items[LINES].as_ref().unwrap_err().code,
        ErrorCode::StreamFailed
    );
    finish(backend, handle).await;
}

#[tokio::test]
async fn a_dropped_log_is_closed_in_the_library() {
    let (backend, handle) = launched(limits()).await;
    let options = LogOptions::default();
    for id in ["idle", "ticker", "threads"] {
        let mut log = handle.get_logs(&container(id), &options).await.unwrap();
        assert!(log.next().await.unwrap().is_ok(), "{id}");
        assert_eq!(handle.usage().log_streams, 1, "{id}");
        drop(log);
        eventually("the log was closed", || handle.usage().log_streams == 0).await;
    }
    // The caller leaves before the engine has responded.
    let id = container("never");
    let never = handle.get_logs(&id, &options);
    tokio::time::timeout(std::time::Duration::from_millis(100), never)
        .await
        .err()
        .unwrap();
    finish(backend, handle).await;
}

#[tokio::test]
async fn logs_are_limited_in_number() {
    let (backend, handle) = launched(limits()).await;
    let options = LogOptions::default();
    let mut logs = Vec::new();
    for _ in 0..limits().max_log_streams {
        logs.push(handle.get_logs(&container("idle"), &options).await.unwrap());
    }
    let error = handle
        .get_logs(&container("idle"), &options)
        .await
        .err()
        .unwrap();
    assert_eq!(error.code, ErrorCode::LimitReached);
    assert!(error.message.contains("8 log streams"), "{error}");
    drop(logs);
    finish(backend, handle).await;
}

#[tokio::test]
async fn a_log_outlives_the_handle_it_was_opened_with() {
    let (backend, handle) = launched(limits()).await;
    let options = LogOptions::default();
    let mut log = handle
        .get_logs(&container("ticker"), &options)
        .await
        .unwrap();
    drop(handle);
    for _ in 0..3 {
        assert_eq!(log.next().await.unwrap().unwrap().bytes, "tick\n");
    }
    use rdd_plugin_contract::PluginBackend as _;
    backend.shutdown().await;
    let error = log.try_for_each(async |_| Ok(())).await.unwrap_err();
    assert!(error.message.contains("was shut down"), "{error}");
}
