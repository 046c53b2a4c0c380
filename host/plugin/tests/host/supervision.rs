//! Restarts, failures, and shutdown of backends.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use rdd_core::{BackendRegistry, BackendState, ContainerAction, ErrorCode, LogOptions, WatchEvent};
use rdd_plugin::{CompilerError, ComponentCompiler, PluginHost, PluginState};
use rdd_testkit::PATIENCE;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trap_increments_the_generation_and_does_not_affect_another_backend() {
    let dir = tempfile::tempdir().unwrap();
    install(dir.path(), "healthy1");
    install(dir.path(), "trapping");
    let host = start(options(&[dir.path()])).await;
    let healthy = loaded(&host, "healthy1").await;
    let mut other_watch = in_time(healthy.engine.watch()).await.unwrap();

    let first = loaded(&host, "trapping").await;
    let mut watch = in_time(first.engine.watch()).await.unwrap();
    in_time(watch.next()).await.unwrap().unwrap();
    trap(&first.engine).await;
    let error = loop {
        match in_time(watch.next()).await.unwrap() {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.code, ErrorCode::PluginFailed, "{error}");

    let later = wait_for_state(
        &host,
        "trapping",
        |state| matches!(state, BackendState::Loaded(loaded) if loaded.generation == 2),
    )
    .await;
    let BackendState::Loaded(second) = later else {
        panic!("{later:?}");
    };
    in_time(second.engine.inspect(&container("one")))
        .await
        .unwrap();
    assert_eq!(report(&host, "trapping").generation, 2);
    // Calls through the old handle fail with the cause.
    let error = in_time(first.engine.inspect(&container("one")))
        .await
        .unwrap_err();
    assert!(error.message.contains("trapped"), "{error}");

    assert_eq!(report(&host, "healthy1").generation, 1);
    for _ in 0..20 {
        in_time(other_watch.next()).await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_keeps_failing_is_not_restarted() {
    let dir = tempfile::tempdir().unwrap();
    install(dir.path(), "failing1");
    let host = start(options(&[dir.path()])).await;
    for generation in 1..=3 {
        let state = wait_for_state(&host, "failing1", |state| {
            matches!(state, BackendState::Loaded(loaded) if loaded.generation == generation)
        })
        .await;
        let BackendState::Loaded(loaded) = state else {
            panic!("{state:?}");
        };
        trap(&loaded.engine).await;
    }
    let state = wait_for_state(&host, "failing1", |state| {
        matches!(state, BackendState::NotInstalled { .. })
    })
    .await;
    let BackendState::NotInstalled { reason } = state else {
        panic!("{state:?}");
    };
    assert!(reason.contains("failed 3 times in a row"), "{reason}");
    assert!(reason.contains("trapped"), "{reason}");
    assert_eq!(report(&host, "failing1").state, PluginState::Failed);
    assert!(host.names().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarting_backend_is_reported_with_the_cause() {
    let dir = tempfile::tempdir().unwrap();
    install(dir.path(), "backoff1");
    let mut options = options(&[dir.path()]);
    options.restarts.min_delay = Duration::from_secs(600);
    options.restarts.max_delay = Duration::from_secs(600);
    let host = start(options).await;
    trap(&loaded(&host, "backoff1").await.engine).await;
    let state = wait_for_state(&host, "backoff1", |state| {
        matches!(state, BackendState::Restarting { .. })
    })
    .await;
    let BackendState::Restarting { reason } = state else {
        panic!("{state:?}");
    };
    assert!(
        reason.contains("trapped") && reason.contains("it restarts in"),
        "{reason}"
    );
    assert_eq!(host.names(), ["backoff1"]);
    // A back-off delay does not delay the shutdown.
    tokio::time::timeout(PATIENCE, host.shutdown())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trap_in_a_log_stream_restarts_nothing() {
    let dir = tempfile::tempdir().unwrap();
    install(dir.path(), "log-trap");
    let host = start(options(&[dir.path()])).await;
    let engine = loaded(&host, "log-trap").await.engine;
    for _ in 0..5 {
        let mut log = in_time(engine.get_logs(&container_ref("late-trap"), &LogOptions::default()))
            .await
            .unwrap();
        while in_time(log.next()).await.is_some_and(|chunk| chunk.is_ok()) {}
    }
    assert_eq!(loaded(&host, "log-trap").await.generation, 1);
    in_time(engine.act(&container_ref("one"), ContainerAction::Stop))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_ends_every_stream() {
    let dir = tempfile::tempdir().unwrap();
    install(dir.path(), "shutting");
    let host = start(options(&[dir.path()])).await;
    let engine = loaded(&host, "shutting").await.engine;
    let mut watch = in_time(engine.watch()).await.unwrap();
    assert_eq!(
        in_time(watch.next()).await.unwrap().unwrap(),
        WatchEvent::InitBegin
    );
    let mut log = in_time(engine.get_logs(&container_ref("idle"), &LogOptions::default()))
        .await
        .unwrap();
    in_time(host.shutdown()).await;
    while in_time(watch.next())
        .await
        .is_some_and(|event| event.is_ok())
    {}
    while in_time(log.next()).await.is_some_and(|chunk| chunk.is_ok()) {}
}

/// A compiler that runs until the sender of the channel is dropped.
#[derive(Debug)]
struct SlowCompiler(Mutex<Receiver<()>>);

impl ComponentCompiler for SlowCompiler {
    fn compile(&self, _: &[u8], _: &str) -> Result<(), CompilerError> {
        self.0.lock().unwrap().recv().unwrap_err();
        Err("interrupted".to_owned().into())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_start_does_not_wait_for_the_compiler() {
    let (dir, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    install(dir.path(), "compiled");
    let mut options = options(&[dir.path()]);
    options.cache_dir = Some(cache.path().join("new"));
    let (running, stopped) = channel();
    options.compiler = Some(Arc::new(SlowCompiler(Mutex::new(stopped))));
    let host = PluginHost::start(options).await.unwrap();
    let state = host.state("compiled");
    let BackendState::Restarting { reason } = &state else {
        panic!("{state:?}");
    };
    assert!(reason.contains("being loaded"), "{reason}");
    assert_eq!(host.names(), ["compiled"]);
    // The daemon compiles what the compiler does not.
    drop(running);
    wait_until_loaded(&host).await;
    loaded(&host, "compiled").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_does_not_wait_for_the_compiler() {
    let (dir, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // Not a component, so that the daemon does not compile it afterward.
    let bytes = b"not a component";
    install_as(
        dir.path(),
        "compiled",
        &manifest("compiled", &sha256(bytes)),
        bytes,
    );
    let mut options = options(&[dir.path()]);
    options.cache_dir = Some(cache.path().join("new"));
    let (running, stopped) = channel();
    options.compiler = Some(Arc::new(SlowCompiler(Mutex::new(stopped))));
    let host = PluginHost::start(options).await.unwrap();
    let shutdown = tokio::time::timeout(PATIENCE, host.shutdown()).await;
    drop(running);
    shutdown.expect("the compiler delayed the shutdown");
}
