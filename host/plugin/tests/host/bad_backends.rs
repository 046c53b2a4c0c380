//! Sixteen bad backends beside a healthy one, all in one host: each fails with a
//! sentence that names its fault, and the healthy one goes on.
//!
//! With `--nocapture`, the latencies of the healthy one are printed. They are only
//! meaningful on an idle machine, so the test asserts no more than that nothing
//! stalls.
#![allow(clippy::print_stdout, reason = "figures for who asks for them")]

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt;
use rdd_core::{ContainerEngine, WatchEvent};
use rdd_plugin::{
    BackendLimits, LockEntry, ManifestLimits, PluginDirs, PluginHost, PluginHostOptions,
    PluginState, PluginStore, RestartPolicy,
};
use rdd_testkit::{BAD_PLUGINS, BadPlugin, FaultEvent};
use tokio::task::JoinHandle;

use crate::support::*;

/// How long the healthy backend may take for a call, whatever the others do, on a
/// machine that does other things, too.
const MAX_LATENCY: Duration = Duration::from_secs(2);
/// How long latencies are measured at least.
const MEASURED: Duration = Duration::from_secs(1);
/// How many latencies are measured at least: so many that the 99th percentile is not
/// the highest one, which is that of a call during which the machine paused.
const MIN_CALLS: usize = 200;

/// A part of the reason that `rdd plugin list` shows of each bad plugin.
const REASONS: [(&str, &str); BAD_PLUGINS.len()] = [
    (
        "bad-trap",
        "it trapped: wasm `unreachable` instruction executed",
    ),
    ("bad-spin", "it ran for 300ms without yielding"),
    ("bad-naps", "it used the processor for"),
    (
        "bad-eats",
        "it ran out of memory: one instance may use 64 MiB",
    ),
    ("bad-hold", "MiB, of which the daemon holds"),
    (
        "bad-leak",
        "it ran out of handles: one instance may hold 20000 streams, futures, and tasks",
    ),
    (
        "bad-lies",
        "it violated the contract: the container ID \"../../etc\"",
    ),
    ("bad-init", "events without an init-done"),
    (
        "bad-stop",
        "a watch continued for 500ms after its stop signal",
    ),
    ("bad-vers", "is built for version 0.9.0 of the contract"),
    (
        "bad-half",
        "the file is not a component that this host can compile",
    ),
    ("bad-size", "is larger than"),
    (
        "bad-late",
        "it trapped: wasm `unreachable` instruction executed",
    ),
    (
        "bad-rush",
        "it flooded the daemon: its watch sent 20001 changes within",
    ),
    (
        "bad-post",
        "it violated the contract: it wrote to a stream or future after",
    ),
    (
        "bad-clib",
        "an rdd_library whose size is 3735928559, which cannot be right",
    ),
];

/// Returns the bad plugins with their reasons.
fn bad_plugins() -> impl Iterator<Item = (BadPlugin, &'static str)> {
    BAD_PLUGINS
        .into_iter()
        .zip(REASONS)
        .map(|(plugin, (name, reason))| {
            assert_eq!(plugin.name, name);
            (plugin, reason)
        })
}

/// Installs all bad backends, and a healthy one, in `dir`; the library in `user`.
fn install_all(dir: &Path, user: &Path) {
    install(dir, "healthy1");
    for plugin in BAD_PLUGINS {
        match plugin.library_flags() {
            Some(flags) => install_library(user, plugin.name, flags),
            None => plugin.write_component(dir, &fixture_bytes()).unwrap(),
        }
    }
}

/// Installs a library with a fault, as a user does who allows it.
fn install_library(user: &Path, name: &str, flags: &[&str]) {
    let library = rdd_testkit::fixture_library("c-library", flags);
    let bytes = fs::read(library).unwrap();
    let manifest = format!(
        "name = {name:?}\nversion = \"1.0.0\"\nkind = \"library\"\ninterface = \"rancher-desktop:engine@0.1.0\"\n[[libraries]]\nplatform = \"{}\"\nfile = \"it.so\"\nsha256 = {:?}\n",
        rdd_plugin::Platform::current(),
        sha256(&bytes),
    );
    let store = PluginStore::new(user.to_owned());
    let staged = store.stage().unwrap();
    staged
        .write_file("plugin.toml", manifest.as_bytes())
        .unwrap();
    staged.write_file("it.so", &bytes).unwrap();
    let entry = LockEntry {
        name: name.to_owned(),
        version: "1.0.0".to_owned(),
        source: "a test".to_owned(),
        digest: sha256(&bytes),
        manifest_digest: sha256(manifest.as_bytes()),
        enabled: true,
        allow_native: true,
        directories: Vec::new(),
        limits: ManifestLimits::default(),
    };
    store.lock().unwrap().install(staged, entry).unwrap();
}

/// Calls of the healthy backend, one after the other, and how long each took.
struct SteadyLoad {
    latencies: Arc<Mutex<Vec<Duration>>>,
    task: JoinHandle<()>,
}

impl SteadyLoad {
    fn start(engine: Arc<dyn ContainerEngine>) -> Self {
        let latencies = Arc::new(Mutex::new(Vec::new()));
        let measured = latencies.clone();
        let task = tokio::spawn(async move {
            loop {
                let started_at = Instant::now();
                engine.inspect(&container("one")).await.unwrap();
                measured.lock().unwrap().push(started_at.elapsed());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        Self { latencies, task }
    }

    /// Returns the 99th percentile of what was measured since the last call.
    async fn take_p99(&self) -> Duration {
        rdd_testkit::eventually("the healthy backend goes on", || async {
            assert!(!self.task.is_finished(), "the healthy backend failed");
            match self.latencies.lock().unwrap().len() {
                MIN_CALLS.. => Ok(()),
                calls => Err(format!("{calls} calls")),
            }
        })
        .await;
        let mut latencies = std::mem::take(&mut *self.latencies.lock().unwrap());
        latencies.sort();
        latencies[latencies.len() * 99 / 100]
    }
}

/// Lets a backend show its fault.
async fn provoke(host: &PluginHost, name: &str, trigger: FaultEvent) {
    if trigger == FaultEvent::Load {
        return;
    }
    let engine = loaded(host, name).await.engine;
    let mut watch = in_time(engine.watch()).await.unwrap();
    loop {
        match in_time(watch.next()).await {
            Some(Ok(WatchEvent::InitDone)) if trigger == FaultEvent::CloseWatch => return,
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_bad_backends_fail_with_their_reasons_and_a_healthy_one_goes_on() {
    let (dir, user) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    install_all(dir.path(), user.path());
    let defaults = options(&[dir.path(), user.path()]);
    let host = start(PluginHostOptions {
        dirs: PluginDirs {
            user: Some(user.path().to_owned()),
            ..defaults.dirs
        },
        limits: BackendLimits {
            control_memory_bytes: 64 << 20,
            busy_window: Duration::from_secs(1),
            stop_grace: Duration::from_millis(500),
            max_changes_per_minute: 20_000,
            ..defaults.limits
        },
        // A failed backend stays in the state in which it failed.
        restarts: RestartPolicy {
            min_delay: Duration::from_secs(3600),
            max_delay: Duration::from_secs(3600),
            ..defaults.restarts
        },
        ..defaults
    })
    .await;
    let healthy = loaded(&host, "healthy1").await;
    let load = SteadyLoad::start(healthy.engine.clone());
    // The first calls are slower.
    tokio::time::sleep(MEASURED).await;
    load.take_p99().await;
    tokio::time::sleep(3 * MEASURED).await;
    let alone = load.take_p99().await;
    println!("healthy alone: p99 {alone:?}");

    for (BadPlugin { name, trigger }, expected) in bad_plugins() {
        let started_at = Instant::now();
        provoke(&host, name, trigger).await;
        let report = wait_for_report(&host, name, |report| {
            !matches!(report.state, PluginState::Ready | PluginState::Loading)
        })
        .await;
        // What is left of the time is measured, too: threads and memory are freed.
        tokio::time::sleep(MEASURED.saturating_sub(started_at.elapsed())).await;
        let beside = load.take_p99().await;
        println!(
            "beside {name}: p99 {beside:?} ({:.2} times); {}: {}",
            beside.as_secs_f64() / alone.as_secs_f64(),
            report.state,
            report.reason
        );
        let state = match trigger {
            FaultEvent::Load => PluginState::Refused,
            FaultEvent::Watch | FaultEvent::CloseWatch => PluginState::Restarting,
        };
        assert_eq!(report.state, state, "{report:?}");
        assert!(report.reason.contains(expected), "{report:?}");
        assert!(beside < MAX_LATENCY, "{name}: {beside:?}");
    }

    // The reasons are still there, and nothing else has changed.
    for (plugin, expected) in bad_plugins() {
        let report = report(&host, plugin.name);
        assert!(report.reason.contains(expected), "{report:?}");
    }
    let samples = host.samples();
    assert_eq!(samples.len(), BAD_PLUGINS.len() + 1);
    for sample in samples {
        let exits: u64 = sample.metrics.exits().map(|(_, count)| count).sum();
        let is_expected = BAD_PLUGINS
            .iter()
            .any(|bad| bad.name == sample.name && bad.trigger != FaultEvent::Load);
        assert_eq!(exits, u64::from(is_expected), "{}", sample.name);
    }
    assert_eq!(report(&host, "healthy1").generation, healthy.generation);
    assert!(!load.task.is_finished(), "the healthy backend failed");
    load.task.abort();
    in_time(host.shutdown()).await;
}
