//! The latency of a healthy backend beside bad ones, against the same alone, in a
//! plugin host in this process.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use futures::StreamExt as _;
use rdd_core::{
    BackendRegistry as _, BackendState, ContainerEngine, ContainerRef, ObjectRef, WatchEvent,
};
use rdd_plugin::{
    EngineEndpoint, LockEntry, ManifestLimits, Platform, PluginDirs, PluginHost, PluginHostOptions,
    PluginReport, PluginState, PluginStore, RestartPolicy,
};
use rdd_testkit::{
    BAD_PLUGINS, BadPlugin, FaultEvent, compile_fixture_library, component_manifest,
    renamed_component, sha256_hex, write_plugin,
};
use tokio::task::JoinHandle;

use crate::BenchmarkConfig;
use crate::report::{BenchmarkReport, microseconds, ratio};
use crate::stats::SampleSet;

/// The healthy backend.
const HEALTHY: &str = "healthy1";
/// The time between two calls of it.
const CALL_INTERVAL: Duration = Duration::from_millis(1);
/// How long it is measured alone before each bad one.
const ALONE: Duration = Duration::from_secs(1);
/// How long it is measured beside a bad one at least, and at most if that goes on.
const BESIDE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));
/// How long a plugin may take to be loaded or to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// The time between two looks at the reports.
const REPORT_INTERVAL: Duration = Duration::from_millis(20);

/// The directories of the plugins, and what they are made of.
struct PluginFixture {
    components: PathBuf,
    libraries: PluginStore,
    cache: PathBuf,
    scripted: Vec<u8>,
    library: PathBuf,
}

impl PluginFixture {
    fn create(dir: &Path, fixtures: &Path) -> Result<Self> {
        let scripted = fixtures.join("scripted/scripted.wasm");
        let library = dir.join("library.so");
        for flags in BAD_PLUGINS.iter().filter_map(BadPlugin::library_flags) {
            compile_fixture_library("c-library", flags, &library);
        }
        let fixture = Self {
            components: dir.join("components"),
            libraries: PluginStore::new(dir.join("libraries")),
            cache: dir.join("cache"),
            scripted: fs::read(&scripted)
                .with_context(|| format!("cannot read {}", scripted.display()))?,
            library,
        };
        let component = renamed_component(&fixture.scripted, HEALTHY);
        let manifest = component_manifest(HEALTHY, &sha256_hex(&component));
        write_plugin(&fixture.components, HEALTHY, &manifest, &component)?;
        Ok(fixture)
    }

    fn install(&self, plugin: &BadPlugin) -> Result<()> {
        if plugin.library_flags().is_none() {
            plugin.write_component(&self.components, &self.scripted)?;
            return Ok(());
        }
        let name = plugin.name;
        let library = fs::read(&self.library)?;
        let digest = sha256_hex(&library);
        let manifest = format!(
            "name = {name:?}\nversion = \"1.0.0\"\nkind = \"library\"\ninterface = {:?}\n[[libraries]]\nplatform = \"{}\"\nfile = \"it.so\"\nsha256 = {digest:?}\n",
            rdd_plugin::INTERFACE,
            Platform::current(),
        );
        let staged = self.libraries.stage()?;
        staged.write_file("plugin.toml", manifest.as_bytes())?;
        staged.write_file("it.so", &library)?;
        let entry = LockEntry {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            source: "the benchmark".to_owned(),
            digest,
            manifest_digest: sha256_hex(manifest.as_bytes()),
            enabled: true,
            allow_native: true,
            directories: Vec::new(),
            limits: ManifestLimits::default(),
        };
        self.libraries.lock()?.install(staged, entry)?;
        Ok(())
    }

    fn remove(&self, plugin: &BadPlugin) -> Result<()> {
        if plugin.library_flags().is_none() {
            fs::remove_dir_all(self.components.join(plugin.name))?;
        } else {
            self.libraries.lock()?.remove(plugin.name)?;
        }
        Ok(())
    }

    async fn start(&self) -> Result<PluginHost> {
        let never = Duration::from_secs(3600);
        let dirs = PluginDirs {
            search: vec![self.components.clone(), self.libraries.dir().to_owned()],
            user: Some(self.libraries.dir().to_owned()),
        };
        // The fixtures need no engine for what they do here.
        let endpoint = EngineEndpoint::Unix("/nonexistent/engine.sock".into());
        let host = PluginHost::start(PluginHostOptions {
            poll_interval: Some(Duration::from_millis(100)),
            // A backend that failed does not start again while others are measured.
            restarts: RestartPolicy {
                min_delay: never,
                max_delay: never,
                ..RestartPolicy::default()
            },
            ..PluginHostOptions::new(dirs, self.cache.clone(), endpoint)
        })
        .await?;
        host.wait_until_loaded().await;
        Ok(host)
    }
}

/// Calls of the healthy backend, one after the other, and how long each took.
struct SteadyLoad {
    samples: Arc<Mutex<SampleSet>>,
    task: JoinHandle<Result<()>>,
}

impl SteadyLoad {
    fn start(engine: Arc<dyn ContainerEngine>) -> Self {
        let samples = Arc::new(Mutex::new(SampleSet::default()));
        let measured = samples.clone();
        let task = tokio::spawn(async move {
            let container: ObjectRef = ContainerRef::new("default", "one").into();
            loop {
                let begun = Instant::now();
                engine.inspect(&container).await?;
                measured
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .add_time(begun.elapsed());
                tokio::time::sleep(CALL_INTERVAL).await;
            }
        });
        Self { samples, task }
    }

    /// Returns what was measured since the last call.
    fn take(&self) -> Result<SampleSet> {
        ensure!(!self.task.is_finished(), "the healthy backend failed");
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = std::mem::take(&mut *samples);
        ensure!(taken.len() > 0, "the healthy backend returned nothing");
        Ok(taken)
    }
}

impl Drop for SteadyLoad {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) async fn run(bench: &BenchmarkConfig, table: &mut BenchmarkReport) -> Result<()> {
    let Some(fixtures) = &bench.fixtures else {
        bail!("no bad backends to measure; pass --fixtures, as 'make bench' does");
    };
    let dir = tempfile::tempdir_in(&bench.work_dir)?;
    let fixture = PluginFixture::create(dir.path(), fixtures)?;
    fill_cache(&fixture).await?;

    let mut alone = SampleSet::default();
    let mut beside: Vec<_> = BAD_PLUGINS.iter().map(|_| SampleSet::default()).collect();
    for _ in 0..bench.rounds {
        let host = fixture.start().await?;
        let load = SteadyLoad::start(engine(&host, HEALTHY)?);
        for (plugin, beside) in BAD_PLUGINS.iter().zip(&mut beside) {
            // What the one before left is gone, and the first calls are slower.
            tokio::time::sleep(ALONE).await;
            load.take()?;
            tokio::time::sleep(ALONE).await;
            alone.extend(load.take()?);
            fixture.install(plugin)?;
            show_fault(&host, plugin)
                .await
                .with_context(|| format!("{} did not show its fault", plugin.name))?;
            beside.extend(load.take()?);
            fixture.remove(plugin)?;
            wait_for(&host, plugin.name, |report| report.is_none()).await?;
        }
        drop(load);
        host.shutdown().await;
    }

    let alone = alone.percentile(0.99);
    let mut worst = ("", 0.0);
    for (plugin, samples) in BAD_PLUGINS.iter().zip(&beside) {
        let beside = samples.percentile(0.99);
        let words = [
            plugin.name.to_owned(),
            microseconds(beside),
            ratio(beside, alone),
        ];
        table.show(&words);
        if beside > worst.1 {
            worst = (plugin.name, beside);
        }
    }
    let (name, beside) = worst;
    table.add(
        format!(
            "calls of a backend beside {name}, the worst of {} bad ones ÷ alone, p99",
            BAD_PLUGINS.len()
        ),
        microseconds(beside),
        microseconds(alone),
        ratio(beside, alone),
        "≤ 1.2",
    );
    Ok(())
}

/// Compiles all components once, as their installation does.
async fn fill_cache(fixture: &PluginFixture) -> Result<()> {
    for plugin in &BAD_PLUGINS {
        fixture.install(plugin)?;
    }
    let host = fixture.start().await?;
    for plugin in &BAD_PLUGINS {
        wait_for(&host, plugin.name, is_settled).await?;
        fixture.remove(plugin)?;
    }
    host.shutdown().await;
    Ok(())
}

/// Lets a bad backend show its fault, until it has failed.
async fn show_fault(host: &PluginHost, plugin: &BadPlugin) -> Result<()> {
    let begun = Instant::now();
    let state = wait_for(host, plugin.name, is_settled).await?;
    let mut watch = None;
    if plugin.trigger == FaultEvent::Load {
        ensure!(state == Some(PluginState::Refused), "it was loaded");
    } else {
        let engine = engine(host, plugin.name)?;
        let only_listing = plugin.trigger == FaultEvent::CloseWatch;
        watch = Some(tokio::spawn(read_watch(engine, only_listing)));
    }
    loop {
        tokio::time::sleep(REPORT_INTERVAL).await;
        let is_over = state_of(host, plugin.name) != Some(PluginState::Ready);
        if (is_over && begun.elapsed() >= BESIDE.0) || begun.elapsed() >= BESIDE.1 {
            break;
        }
    }
    if let Some(watch) = watch {
        watch.abort();
    }
    Ok(())
}

/// Reads a watch until it fails, or until its listing is complete.
async fn read_watch(engine: Arc<dyn ContainerEngine>, only_listing: bool) {
    let Ok(mut watch) = engine.watch().await else {
        return;
    };
    while let Some(Ok(event)) = watch.next().await {
        if only_listing && event == WatchEvent::InitDone {
            return;
        }
    }
}

fn engine(host: &PluginHost, name: &str) -> Result<Arc<dyn ContainerEngine>> {
    match host.state(name) {
        BackendState::Loaded(loaded) => Ok(loaded.engine),
        BackendState::Restarting { reason } | BackendState::NotInstalled { reason } => {
            bail!("the backend {name} is not loaded: {reason}")
        }
    }
}

fn state_of(host: &PluginHost, name: &str) -> Option<PluginState> {
    report(&host.reports(), name).map(|report| report.state)
}

fn report<'a>(reports: &'a [PluginReport], name: &str) -> Option<&'a PluginReport> {
    reports.iter().find(|report| report.name == name)
}

/// Whether a plugin was loaded, or refused.
fn is_settled(report: Option<&PluginReport>) -> bool {
    report.is_some_and(|report| report.state != PluginState::Loading)
}

/// Waits until the report of a plugin is as expected, and returns its state.
async fn wait_for(
    host: &PluginHost,
    name: &str,
    is_expected: impl Fn(Option<&PluginReport>) -> bool,
) -> Result<Option<PluginState>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let reports = host.reports();
        let report = report(&reports, name);
        if is_expected(report) {
            return Ok(report.map(|report| report.state));
        }
        if Instant::now() > deadline {
            bail!("{name} did not change within {PATIENCE:?}: {report:?}");
        }
        tokio::time::sleep(REPORT_INTERVAL).await;
    }
}
