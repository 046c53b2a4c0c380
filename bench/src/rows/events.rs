//! How long an engine's event takes to a Kubernetes client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bollard::query_parameters::{EventsOptions, RenameContainerOptions};
use futures::TryStreamExt as _;
use kube::api::{Api, WatchEvent, WatchParams};
use rdd_api::Container;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::Bench;
use crate::daemon::Daemon;
use crate::rows::sync::synced;
use crate::stats::Sample;
use crate::table::{Table, ms, ratio};

const CONTAINERS: usize = 20;
const EVENTS: usize = 1000;
const PACE: Duration = Duration::from_millis(10);
/// What has not come by then does not come.
const LAST: Duration = Duration::from_secs(10);

/// When each new name was first seen.
type Seen = Arc<Mutex<HashMap<String, Instant>>>;

/// Row 5: containers are renamed; each new name is awaited on the engine's own
/// events and on a watch.
pub(crate) async fn run(bench: &Bench, table: &mut Table) -> Result<()> {
    bench.docker.fill(CONTAINERS, false).await?;
    let ids = bench.docker.ids().await?;
    let state = tempfile::tempdir_in(&bench.work_dir)?;
    let daemon = Daemon::start(&bench.rdd, state.path(), &bench.docker.host).await?;
    synced(&daemon, CONTAINERS).await?;

    let raw = Seen::default();
    let watched = Seen::default();
    let readers = [
        read_events(bench.docker.api.clone(), raw.clone()),
        read_watch(Api::all(daemon.client()?), watched.clone()).await?,
    ];
    let begun = Instant::now();
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for (number, id) in ids.iter().cycle().take(EVENTS).enumerate() {
        pace.tick().await;
        let options = RenameContainerOptions {
            name: format!("bench-{number}"),
        };
        bench.docker.api.rename_container(id, options).await?;
    }
    #[expect(clippy::cast_precision_loss, reason = "a thousand")]
    let reached = EVENTS as f64 / begun.elapsed().as_secs_f64();
    let last = format!("bench-{}", EVENTS - 1);
    let given_up = Instant::now() + LAST;
    while !seen(&watched).contains_key(&last) {
        ensure!(Instant::now() < given_up, "the last rename was never seen");
        tokio::time::sleep(PACE).await;
    }
    for reader in readers {
        reader.abort();
    }

    let mut latency = Sample::default();
    let raw = seen(&raw);
    for (name, at) in seen(&watched).iter() {
        let arrived = raw.get(name).context("the engine told no such name")?;
        latency.add(at.saturating_duration_since(*arrived).as_secs_f64());
    }
    // Two renames of one container in quick succession may come as one.
    let came = latency.len();
    table.add(
        format!("engine event → watch event − the raw event, {reached:.0} events/s, p50 ({came} of {EVENTS} states seen)"),
        ms(latency.median()),
        "22 ms (the peer)",
        ratio(latency.median(), 0.022),
        "≤ 2 ms",
    );
    table.add(
        "the same, p99",
        ms(latency.percentile(0.99)),
        "50 ms (the peer)",
        ratio(latency.percentile(0.99), 0.050),
        "≤ 10 ms",
    );
    daemon.stop().await?;
    bench.docker.clear().await
}

fn read_events(docker: bollard::Docker, raw: Seen) -> JoinHandle<Result<()>> {
    tokio::spawn(async move {
        let mut events = std::pin::pin!(docker.events(None::<EventsOptions>));
        while let Some(event) = events.try_next().await? {
            let at = Instant::now();
            let name = event
                .actor
                .and_then(|actor| actor.attributes)
                .and_then(|mut attributes| attributes.remove("name"));
            if let Some(name) = name {
                seen(&raw).entry(name).or_insert(at);
            }
        }
        Ok(())
    })
}

async fn read_watch(api: Api<Container>, watched: Seen) -> Result<JoinHandle<Result<()>>> {
    let version = api
        .list(&Default::default())
        .await?
        .metadata
        .resource_version
        .context("a list without a version")?;
    Ok(tokio::spawn(async move {
        let mut events = std::pin::pin!(api.watch(&WatchParams::default(), &version).await?);
        while let Some(event) = events.try_next().await? {
            let at = Instant::now();
            let WatchEvent::Modified(container) = event else {
                continue;
            };
            if let Some(status) = container.status {
                seen(&watched).entry(status.name).or_insert(at);
            }
        }
        Ok(())
    }))
}

fn seen(names: &Seen) -> std::sync::MutexGuard<'_, HashMap<String, Instant>> {
    names.lock().unwrap_or_else(PoisonError::into_inner)
}
