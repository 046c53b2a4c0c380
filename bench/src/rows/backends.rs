//! The backend for Docker as a component and as a library, in this process and
//! without a daemon, against the bare socket.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use futures::{Stream, StreamExt as _};
use procfs::process::Process;
use rdd_core::{ContainerRef, EntryOptions, LogOptions, NoCredentialStore};
use rdd_plugin::{BackendInstance, EngineEndpoint, LoadFileOptions, LoadedPlugin, PluginBackend};

use super::logs::{rate, read_raw};
use crate::BenchmarkConfig;
use crate::fake_log_server::{self, FakeLogServer};
use crate::report::{BenchmarkReport, milliseconds, ratio};
use crate::stats::SampleSet;

const MIB: u64 = 1024 * 1024;
const LOG: u64 = 512 * MIB;

/// A loaded form, and what was measured of it.
struct BackendForm {
    instance: Arc<dyn BackendInstance>,
    backend: Box<dyn PluginBackend>,
    /// The seconds to load it, as at each start but the first.
    load: f64,
    /// The seconds to start its instance.
    launch: f64,
    /// The growth of this process until it was started, in bytes.
    memory: u64,
    raw: SampleSet,
    entries: SampleSet,
}

impl BackendForm {
    async fn load(path: &Path, options: &LoadFileOptions) -> Result<Self> {
        let before = resident_bytes()?;
        let begun = Instant::now();
        let LoadedPlugin { backend, .. } = rdd_plugin::load_plugin(path, options.clone())
            .await
            .with_context(|| format!("cannot load {}", path.display()))?;
        let load = begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        let instance = backend.launch().await?;
        Ok(Self {
            instance,
            backend,
            load,
            launch: begun.elapsed().as_secs_f64(),
            memory: resident_bytes()?.saturating_sub(before),
            raw: SampleSet::default(),
            entries: SampleSet::default(),
        })
    }

    /// Reads the log once in each form of output.
    async fn measure(&mut self) -> Result<()> {
        let namespace = self.instance.info().default_namespace();
        let container = ContainerRef::new(namespace, fake_log_server::ID);
        let options = LogOptions {
            follow: false,
            ..LogOptions::default()
        };
        let begun = Instant::now();
        let log = self.instance.get_logs(&container, &options).await?;
        read(log, |chunk| chunk.bytes.len()).await?;
        self.raw.add_time(begun.elapsed());

        let options = EntryOptions {
            follow: false,
            ..EntryOptions::default()
        };
        let begun = Instant::now();
        let log = self.instance.get_entries(&container, &options).await?;
        read(log, |batch| {
            batch.entries().map(|entry| entry.bytes.len() + 1).sum()
        })
        .await?;
        self.entries.add_time(begun.elapsed());
        Ok(())
    }
}

pub(crate) async fn run(bench: &BenchmarkConfig, table: &mut BenchmarkReport) -> Result<()> {
    let Some(library) = &bench.library else {
        anyhow::bail!("no library to measure; pass --library, as 'make bench' does");
    };
    let dir = tempfile::tempdir_in(&bench.work_dir)?;
    let socket = dir.path().join("engine.sock");
    let _engine = FakeLogServer::start(&socket, LOG)?;
    let options = LoadFileOptions {
        endpoint: EngineEndpoint::parse(&format!("unix://{}", socket.display()))?,
        cache_dir: Some(dir.path().join("cache")),
        allow_native: true,
        credentials: Arc::new(NoCredentialStore),
        stop_grace: None,
    };
    // Fills the cache of compiled components, as the first start does.
    let compiled = BackendForm::load(&bench.component, &options).await?;
    compiled.backend.shutdown().await;
    drop(compiled);

    let mut component = BackendForm::load(&bench.component, &options).await?;
    let mut library = BackendForm::load(library, &options).await?;
    let mut socket_raw = SampleSet::default();
    let mut socket_times = SampleSet::default();
    for _ in 0..bench.rounds {
        component.measure().await?;
        library.measure().await?;
        for (timestamps, samples) in [(false, &mut socket_raw), (true, &mut socket_times)] {
            let begun = Instant::now();
            read_raw(&socket, fake_log_server::ID, timestamps).await?;
            samples.add_time(begun.elapsed());
        }
    }
    let bytes = FakeLogServer::log_bytes(LOG);
    let forms = [
        ("bytes", &component.raw, &library.raw, &socket_raw, "≥ 0.8"),
        (
            "entries",
            &component.entries,
            &library.entries,
            &socket_times,
            "≥ 0.8, and ≥ 250 MiB/s",
        ),
    ];
    for (output, component, library, socket, bar) in forms {
        table.add(
            format!("512 MiB of log as {output}, component ÷ library"),
            rate(bytes, component.median()),
            rate(bytes, library.median()),
            ratio(library.median(), component.median()),
            bar,
        );
        table.add(
            format!("the same, component ÷ the bare socket, nothing decoded ({output})"),
            rate(bytes, component.median()),
            rate(bytes, socket.median()),
            ratio(socket.median(), component.median()),
            "none",
        );
    }
    for (measure, component, library) in [
        (
            "load a backend, component ÷ library",
            component.load,
            library.load,
        ),
        (
            "start an instance, component ÷ library",
            component.launch,
            library.launch,
        ),
    ] {
        table.add(
            measure,
            milliseconds(component),
            milliseconds(library),
            ratio(component, library),
            "none",
        );
    }
    table.add(
        "memory of a started backend, component ÷ library",
        mebibytes(component.memory),
        mebibytes(library.memory),
        "",
        "none",
    );
    component.backend.shutdown().await;
    library.backend.shutdown().await;
    Ok(())
}

/// Reads a stream to its end, which must have the bytes of the whole log.
async fn read<T, E>(
    stream: impl Stream<Item = Result<T, E>>,
    length: impl Fn(&T) -> usize,
) -> Result<()>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let mut received = 0;
    let mut stream = std::pin::pin!(stream);
    while let Some(item) = stream.next().await {
        received += length(&item?) as u64;
    }
    let expected = FakeLogServer::log_bytes(LOG);
    ensure!(
        received == expected,
        "received {received} of {expected} bytes"
    );
    Ok(())
}

fn resident_bytes() -> Result<u64> {
    Ok(Process::myself()?.stat()?.rss * procfs::page_size())
}

fn mebibytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let mib = bytes as f64 / MIB as f64;
    format!("{mib:.1} MiB")
}
