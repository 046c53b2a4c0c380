use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use rdd_core::{BackendRegistry, BackendState, ContainerAction, ErrorCode, LogOptions, WatchEvent};
use rdd_plugin::{ComponentCompiler, PluginState};

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trap_moves_the_generation_and_the_neighbour_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    install(dir.path(), "healthy1");
    install(dir.path(), "trapping");
    let host = start(options(&[dir.path()])).await;
    let healthy = loaded(&host, "healthy1").await;
    let mut beside = soon(healthy.engine.watch()).await.unwrap();

    let first = loaded(&host, "trapping").await;
    let mut watch = soon(first.engine.watch()).await.unwrap();
    soon(watch.next()).await.unwrap().unwrap();
    trap(&first.engine).await;
    let error = loop {
        match soon(watch.next()).await.unwrap() {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.code, ErrorCode::PluginFailed, "{error}");

    let later = state_is(
        &host,
        "trapping",
        |state| matches!(state, BackendState::Loaded(loaded) if loaded.generation == 2),
    )
    .await;
    let BackendState::Loaded(second) = later else {
        panic!("{later:?}");
    };
    soon(second.engine.inspect(&container("one")))
        .await
        .unwrap();
    assert_eq!(report(&host, "trapping").generation, 2);
    // Whoever holds the old one is told what became of it.
    let error = soon(first.engine.inspect(&container("one")))
        .await
        .unwrap_err();
    assert!(error.message.contains("trapped"), "{error}");

    assert_eq!(report(&host, "healthy1").generation, 1);
    for _ in 0..20 {
        soon(beside.next()).await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_fails_again_and_again_is_parked() {
    let dir = tempfile::tempdir().unwrap();
    install(dir.path(), "parking1");
    let host = start(options(&[dir.path()])).await;
    for generation in 1..=3 {
        let state = state_is(&host, "parking1", |state| {
            matches!(state, BackendState::Loaded(loaded) if loaded.generation == generation)
        })
        .await;
        let BackendState::Loaded(loaded) = state else {
            panic!("{state:?}");
        };
        trap(&loaded.engine).await;
    }
    let state = state_is(&host, "parking1", |state| {
        matches!(state, BackendState::NotInstalled { .. })
    })
    .await;
    let BackendState::NotInstalled { reason } = state else {
        panic!("{state:?}");
    };
    assert!(reason.contains("failed 3 times in a row"), "{reason}");
    assert!(reason.contains("trapped"), "{reason}");
    assert_eq!(report(&host, "parking1").state, PluginState::Parked);
    assert!(host.names().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_restarts_it_says_why() {
    let dir = tempfile::tempdir().unwrap();
    install(dir.path(), "resting1");
    let mut options = options(&[dir.path()]);
    options.restarts.first = Duration::from_secs(600);
    options.restarts.longest = Duration::from_secs(600);
    let host = start(options).await;
    trap(&loaded(&host, "resting1").await.engine).await;
    let state = state_is(&host, "resting1", |state| {
        matches!(state, BackendState::Restarting { .. })
    })
    .await;
    let BackendState::Restarting { reason } = state else {
        panic!("{state:?}");
    };
    assert!(
        reason.contains("trapped") && reason.contains("starts again in"),
        "{reason}"
    );
    assert_eq!(host.names(), ["resting1"]);
    // A pause does not hold up the end of the daemon.
    tokio::time::timeout(Duration::from_secs(5), host.shutdown())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trap_of_a_log_restarts_nothing() {
    let dir = tempfile::tempdir().unwrap();
    install(dir.path(), "log-trap");
    let host = start(options(&[dir.path()])).await;
    let engine = loaded(&host, "log-trap").await.engine;
    for _ in 0..5 {
        let mut log = soon(engine.get_logs("late-trap", &LogOptions::default()))
            .await
            .unwrap();
        while soon(log.next()).await.is_some_and(|chunk| chunk.is_ok()) {}
    }
    assert_eq!(loaded(&host, "log-trap").await.generation, 1);
    soon(engine.act("one", ContainerAction::Stop))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutting_down_ends_every_stream() {
    let dir = tempfile::tempdir().unwrap();
    install(dir.path(), "shutting");
    let host = start(options(&[dir.path()])).await;
    let engine = loaded(&host, "shutting").await.engine;
    let mut watch = soon(engine.watch()).await.unwrap();
    assert_eq!(
        soon(watch.next()).await.unwrap().unwrap(),
        WatchEvent::InitBegin
    );
    let mut log = soon(engine.get_logs("idle", &LogOptions::default()))
        .await
        .unwrap();
    soon(host.shutdown()).await;
    while soon(watch.next()).await.is_some_and(|event| event.is_ok()) {}
    while soon(log.next()).await.is_some_and(|chunk| chunk.is_ok()) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn starting_does_not_wait_for_the_compiler() {
    let (dir, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    install(dir.path(), "compiled");
    let mut options = options(&[dir.path()]);
    options.cache_dir = Some(cache.path().join("new"));
    let host = rdd_plugin::PluginHost::start(options).await.unwrap();
    let state = host.state("compiled");
    let BackendState::Restarting { reason } = &state else {
        panic!("{state:?}");
    };
    assert!(reason.contains("being loaded"), "{reason}");
    assert_eq!(host.names(), ["compiled"]);
    loaded(&host, "compiled").await;
}

/// Works until the other end of the channel is dropped.
#[derive(Debug)]
struct SlowCompiler(Mutex<Receiver<()>>);

impl ComponentCompiler for SlowCompiler {
    fn compile(&self, _: &[u8], _: &str) -> Result<(), String> {
        self.0.lock().unwrap().recv().unwrap_err();
        Err("cut short".to_owned())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutting_down_does_not_wait_for_the_compiler() {
    let (dir, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // None that the daemon itself would then be busy with.
    let bytes = b"no component";
    install_as(
        dir.path(),
        "compiled",
        &manifest("compiled", &sha256(bytes)),
        bytes,
    );
    let mut options = options(&[dir.path()]);
    options.cache_dir = Some(cache.path().join("new"));
    let (at_work, ends) = channel();
    options.compiler = Some(Arc::new(SlowCompiler(Mutex::new(ends))));
    let host = rdd_plugin::PluginHost::start(options).await.unwrap();
    let shutdown = tokio::time::timeout(Duration::from_secs(5), host.shutdown()).await;
    drop(at_work);
    shutdown.expect("the compiler held up the end");
}
