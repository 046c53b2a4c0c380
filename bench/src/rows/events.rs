//! The latency from an engine event to a Kubernetes client.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bollard::query_parameters::{EventsOptions, RenameContainerOptions};
use futures::TryStreamExt as _;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use rdd_api::Container;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, timeout};

use crate::BenchmarkConfig;
use crate::daemon::BenchmarkDaemon;
use crate::report::{BenchmarkReport, milliseconds, ratio};
use crate::rows::sync::wait_for_sync;
use crate::stats::SampleSet;

/// The number of containers that are renamed.
const RENAMED: usize = 20;
const FEW: EventCase = EventCase {
    containers: RENAMED,
    peer: [0.022, 0.050],
    bars: ["≤ 2 ms", "≤ 4 ms"],
};
const MANY: EventCase = EventCase {
    containers: 1000,
    peer: [0.075, 0.183],
    bars: ["none", "≤ 4 ms"],
};
const EVENTS: usize = 1000;
const RENAME_INTERVAL: Duration = Duration::from_millis(10);
/// The timeout for the next rename.
const RENAME_TIMEOUT: Duration = Duration::from_secs(10);
const NAME: &str = "bench-";

/// The number of containers, and the peer's median and 99th percentile in seconds.
struct EventCase {
    containers: usize,
    peer: [f64; 2],
    bars: [&'static str; 2],
}

/// The new name of a container, and when it was received.
type Seen = (String, Instant);

/// Row 5: renames containers, and waits for each new name in the engine's events
/// and in a watch.
pub(crate) async fn run(bench: &BenchmarkConfig, table: &mut BenchmarkReport) -> Result<()> {
    for case in [FEW, MANY] {
        measure(bench, table, &case).await?;
        // The names are given again.
        bench.docker.clear().await?;
    }
    Ok(())
}

async fn measure(
    bench: &BenchmarkConfig,
    table: &mut BenchmarkReport,
    case: &EventCase,
) -> Result<()> {
    let containers = case.containers;
    bench.docker.fill(containers, false).await?;
    let ids = bench.docker.container_ids().await?;
    let state = tempfile::tempdir_in(&bench.work_dir)?;
    let daemon = BenchmarkDaemon::start(&bench.rdd, state.path(), &bench.docker.host).await?;
    wait_for_sync(&daemon, containers).await?;

    let (to_raw, raw) = mpsc::channel(EVENTS);
    let (to_watched, watched) = mpsc::channel(EVENTS);
    let api = Api::all(daemon.client()?);
    let version = api
        .list(&ListParams::default())
        .await?
        .metadata
        .resource_version
        .context("a list without a version")?;
    let readers = [
        tokio::spawn(read_events(bench.docker.api.clone(), to_raw)),
        tokio::spawn(read_watch(api, version, to_watched)),
    ];
    let (reached, raw, watched) = tokio::try_join!(
        rename(bench, ids.get(..RENAMED).unwrap_or(&ids)),
        collect(raw),
        collect(watched)
    )?;
    for reader in readers {
        reader.abort();
    }

    let mut latency = SampleSet::default();
    for (name, at) in &watched {
        let arrived = raw
            .get(name)
            .context("the engine sent no event with this name")?;
        latency.add(at.saturating_duration_since(*arrived).as_secs_f64());
    }
    // Two quick renames of one container may be merged into one event.
    let received = latency.len();
    let measures = [
        (
            format!(
                "engine event → watch event − the raw event, {reached:.0} events/s, {containers} containers, p50 ({received} of {EVENTS} states seen)"
            ),
            latency.median(),
        ),
        ("the same, p99".to_owned(), latency.percentile(0.99)),
    ];
    for (((measure, seconds), peer), bar) in measures.into_iter().zip(case.peer).zip(case.bars) {
        table.add(
            measure,
            milliseconds(seconds),
            format!("{:.0} ms (the peer)", peer * 1000.0),
            ratio(seconds, peer),
            bar,
        );
    }
    daemon.stop().await
}

/// Renames one container after the other. Returns the rate per second.
async fn rename(bench: &BenchmarkConfig, ids: &[String]) -> Result<f64> {
    let begun = Instant::now();
    let mut pace = tokio::time::interval(RENAME_INTERVAL);
    pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for (number, id) in ids.iter().cycle().take(EVENTS).enumerate() {
        pace.tick().await;
        let options = RenameContainerOptions {
            name: format!("{NAME}{number}"),
        };
        bench.docker.api.rename_container(id, options).await?;
    }
    #[expect(clippy::cast_precision_loss, reason = "a thousand")]
    let events = EVENTS as f64;
    Ok(events / begun.elapsed().as_secs_f64())
}

/// Returns when each name was first received, up to the last one.
async fn collect(mut names: mpsc::Receiver<Seen>) -> Result<HashMap<String, Instant>> {
    let last = format!("{NAME}{}", EVENTS - 1);
    let mut seen = HashMap::new();
    while !seen.contains_key(&last) {
        let (name, at) = timeout(RENAME_TIMEOUT, names.recv())
            .await
            .context("the last rename was not received")?
            .context("the events ended")?;
        if name.starts_with(NAME) {
            seen.entry(name).or_insert(at);
        }
    }
    Ok(seen)
}

async fn read_events(docker: bollard::Docker, names: mpsc::Sender<Seen>) -> Result<()> {
    let mut events = std::pin::pin!(docker.events(None::<EventsOptions>));
    while let Some(event) = events.try_next().await? {
        let at = Instant::now();
        let name = event
            .actor
            .and_then(|actor| actor.attributes)
            .and_then(|mut attributes| attributes.remove("name"));
        if let Some(name) = name {
            names.send((name, at)).await?;
        }
    }
    Ok(())
}

async fn read_watch(api: Api<Container>, version: String, names: mpsc::Sender<Seen>) -> Result<()> {
    let mut events = std::pin::pin!(api.watch(&WatchParams::default(), &version).await?);
    while let Some(event) = events.try_next().await? {
        let at = Instant::now();
        if let WatchEvent::Modified(Container {
            status: Some(status),
            ..
        }) = event
        {
            names.send((status.name, at)).await?;
        }
    }
    Ok(())
}
