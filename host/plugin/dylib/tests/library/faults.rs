//! Libraries that violate the contract, and functions that do not return.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use rdd_core::{ContainerEngine as _, ErrorCode, LogOptions};
use rdd_plugin_contract::{BackendInstance as _, BackendLimits, ExitKind, PluginBackend as _};

use crate::support::{
    NoEngine, backend, backend_with, container, eventually, impatient, limits, reference,
};

#[tokio::test]
async fn a_fault_ends_the_instance_with_a_message_and_the_next_one_works() {
    let backend = backend(limits());
    for (id, expected) in [
        (
            "another",
            "inspect of the container \"another\" returned \"web\"",
        ),
        ("twice", "labels contains the key \"a\" twice"),
        ("bad-json", "not a valid inspection: EOF"),
        (
            "bad-utf8",
            "poll of inspect returned a result that is not UTF-8",
        ),
        (
            "oversized",
            "raw is 2097152 bytes long; 1048576 are allowed",
        ),
        (
            "null-result",
            "poll of inspect returned a NULL pointer with the length",
        ),
        ("null-call", "inspect returned a NULL pointer for the call"),
        ("no-vtable", "inspect returned no rdd_call_vtable"),
        (
            "small-vtable",
            "an rdd_call_vtable of 8 bytes; this version of the ABI has 24",
        ),
        ("huge-vtable", "an rdd_call_vtable whose size is 3735928559"),
        ("no-poll", "an rdd_call_vtable without poll"),
        ("misaligned", "inspect returned a call that is not aligned"),
        (
            "bad-status",
            "poll of inspect returned the invalid status 77",
        ),
        (
            "null-message",
            "poll of inspect returned a NULL pointer with the length 5 for its error message",
        ),
        ("panic", "panicked: index out of bounds"),
        ("start-panic", "panicked: index out of bounds"),
    ] {
        let handle = backend.launch().await.unwrap();
        let error = handle.inspect(&reference(id)).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::PluginFailed, "{id}: {error}");
        assert!(error.message.contains(expected), "{id}: {error}");
        let exit = handle.wait_for_exit().await;
        assert!(exit.is_guest_fault, "{id}");
        // Calls after the end get the reason, too.
        let error = handle.inspect(&reference("web")).await.unwrap_err();
        assert!(error.message.contains(expected), "{id}: {error}");
    }
    let handle = backend.launch().await.unwrap();
    handle.inspect(&reference("web")).await.unwrap();
}

#[tokio::test]
async fn a_fault_of_a_log_ends_only_that_log() {
    let backend = backend(limits());
    let handle = backend.launch().await.unwrap();
    for (id, expected) in [
        ("late-panic", "panicked: index out of bounds"),
        (
            "huge-chunk",
            "a chunk of output has 65537 bytes; 65536 are allowed",
        ),
        (
            "null-chunk",
            "poll_next of get_logs returned a NULL pointer with the length 8 for its item",
        ),
        (
            "bad-source",
            "poll_next of get_logs returned the invalid source 9",
        ),
    ] {
        let log = handle
            .get_logs(&container(id), &LogOptions::default())
            .await;
        let items: Vec<_> = log.unwrap().collect().await;
        let error = items.last().unwrap().as_ref().unwrap_err();
        assert_eq!(error.code, ErrorCode::StreamFailed, "{id}: {error}");
        assert!(error.message.contains(expected), "{id}: {error}");
        if id == "late-panic" {
            assert_eq!(items[0].as_ref().unwrap().bytes, "first\n");
        }
    }
    let error = handle
        .get_logs(&container("panic"), &LogOptions::default())
        .await
        .err()
        .unwrap();
    assert_eq!(error.code, ErrorCode::StreamFailed);
    handle.inspect(&reference("web")).await.unwrap();
}

#[tokio::test]
async fn an_instance_that_is_busy_without_progress_is_ended() {
    let backend = backend(BackendLimits {
        busy_window: Duration::from_millis(500),
        ..limits()
    });
    let handle = backend.launch().await.unwrap();
    let error = handle.inspect(&reference("busy")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::PluginFailed);
    let expected = "used the processor for";
    assert!(error.message.contains(expected), "{error}");
    assert_eq!(handle.wait_for_exit().await.kind, ExitKind::Busy);
    // Its thread has ended, unlike that of a function that does not return.
    assert_eq!(backend.abandoned_threads(), 0);
    let handle = backend.launch().await.unwrap();
    handle.inspect(&reference("web")).await.unwrap();
    drop(handle);
    backend.shutdown().await;
}

#[tokio::test]
async fn an_instance_that_copies_a_log_is_not_ended() {
    // A machine that pauses this process for a whole window stops the progress, too.
    const WINDOW: Duration = Duration::from_secs(4);
    let backend = backend(BackendLimits {
        busy_window: WINDOW,
        ..limits()
    });
    let handle = backend.launch().await.unwrap();
    // More than can be copied in the time.
    let log = handle
        .get_logs(&container("flood-1000000"), &LogOptions::default())
        .await;
    let mut items = log.unwrap();
    let began = Instant::now();
    while began.elapsed() < WINDOW + WINDOW / 2 {
        items.next().await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_function_that_does_not_return_fails_its_instance_and_nothing_else() {
    let backend = backend(impatient());
    let handle = backend.launch().await.unwrap();
    // A log has an instance of its own.
    let mut log = handle
        .get_logs(&container("late-blocks"), &LogOptions::default())
        .await
        .unwrap();
    let (id, options) = (container("blocks"), LogOptions::default());
    let open = handle.get_logs(&id, &options);
    let (first, error) = tokio::join!(log.next(), open);
    assert_eq!(first.unwrap().unwrap().bytes, "first\n");
    // While both block, calls are answered.
    handle.inspect(&reference("web")).await.unwrap();
    let error = error.err().unwrap();
    assert_eq!(error.code, ErrorCode::StreamFailed);
    let expected = "has not returned from poll_open of get_logs for 3s";
    assert!(error.message.contains(expected), "{error}");
    let error = log.next().await.unwrap().unwrap_err();
    let expected = "has not returned from poll_next of get_logs for 3s";
    assert!(error.message.contains(expected), "{error}");
    assert!(log.next().await.is_none());
    assert_eq!(backend.abandoned_threads(), 2);

    // The control instance is replaced by the next launch.
    let (blocked, other) = (reference("blocks"), reference("never"));
    let (blocked, other) = tokio::join!(handle.inspect(&blocked), handle.inspect(&other));
    for error in [blocked.unwrap_err(), other.unwrap_err()] {
        assert_eq!(error.code, ErrorCode::PluginFailed);
        let expected = "has not returned from poll of inspect for 3s";
        assert!(error.message.contains(expected), "{error}");
    }
    assert!(handle.wait_for_exit().await.is_guest_fault);
    let handle = backend.launch().await.unwrap();
    handle.inspect(&reference("web")).await.unwrap();
    assert_eq!(backend.abandoned_threads(), 3);
    drop(handle);
    let shutdown = tokio::time::timeout(Duration::from_secs(10), backend.shutdown());
    shutdown.await.unwrap();
}

#[tokio::test]
async fn a_thread_that_returns_after_all_is_no_longer_counted() {
    let dir = tempfile::tempdir().unwrap();
    let release = dir.path().join("release");
    let flag = format!("-DRELEASE_FILE=\"{}\"", release.display());
    let backend = backend_with(&[&flag], impatient(), NoEngine);
    let handle = backend.launch().await.unwrap();
    let error = handle.inspect(&reference("held")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::PluginFailed);
    assert_eq!(backend.abandoned_threads(), 1);
    std::fs::write(&release, "").unwrap();
    eventually("the thread has returned", || {
        backend.abandoned_threads() == 0
    })
    .await;
}
