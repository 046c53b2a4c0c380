//! The duration of the first sync of many containers.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::TryStreamExt as _;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use rdd_api::Container;
use tokio::process::Command;
use tokio::time::timeout;

use crate::BenchmarkConfig;
use crate::daemon::BenchmarkDaemon;
use crate::docker;
use crate::report::{BenchmarkReport, milliseconds, ratio};
use crate::stats::SampleSet;

const CONTAINERS: usize = 1000;
/// The database with all mirrors, within the state directory.
const DATABASE: &str = "apiserver.db";
/// The timeout for the next event of a sync.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(30);

/// Row 8: starts the daemon with a new database until all containers are mirrored.
pub(crate) async fn run(bench: &BenchmarkConfig, table: &mut BenchmarkReport) -> Result<()> {
    let host = &bench.docker.host;
    bench.docker.fill(CONTAINERS, false).await?;
    let ids = bench.docker.container_ids().await?;
    let mut ours = SampleSet::default();
    let mut rival = SampleSet::default();
    let mut listed = SampleSet::default();
    let mut memory = SampleSet::default();
    // Compile the backend first, as on every start but the very first.
    let state = tempfile::tempdir_in(&bench.work_dir)?;
    BenchmarkDaemon::start(&bench.rdd, state.path(), host)
        .await?
        .stop()
        .await?;
    for _ in 0..bench.rounds {
        tokio::fs::remove_file(state.path().join(DATABASE)).await?;
        let begun = Instant::now();
        let daemon = BenchmarkDaemon::start(&bench.rdd, state.path(), host).await?;
        wait_for_sync(&daemon, CONTAINERS).await?;
        ours.add_time(begun.elapsed());

        let inspect: Vec<&str> = ["inspect"]
            .into_iter()
            .chain(ids.iter().map(String::as_str))
            .collect();
        let ps = docker::time_command(docker::command(host, &["ps", "-a", "--no-trunc"])).await?;
        let inspect = docker::time_command(docker::command(host, &inspect)).await?;
        rival.add_time(ps.wall + inspect.wall);

        let mut kubectl = Command::new(&bench.kubectl);
        kubectl
            .env("KUBECONFIG", daemon.kubeconfig())
            .args(["get", "containers"])
            .stdout(std::process::Stdio::null());
        listed.add_time(docker::time_command(kubectl).await?.wall);
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        memory.add(daemon.memory()?.resident as f64 / 1024.0 / 1024.0);
        daemon.stop().await?;
    }
    table.add(
        "1,000 containers, new database: process start to all mirrored ÷ `docker ps -a --no-trunc` + `docker inspect` of all",
        milliseconds(ours.median()),
        milliseconds(rival.median()),
        ratio(ours.median(), rival.median()),
        "≤ 1.5; ≤ 3 s",
    );
    table.add(
        "the same ÷ the peer",
        milliseconds(ours.median()),
        "54 s (the peer)",
        ratio(ours.median(), 54.0),
        "none",
    );
    table.add(
        "`kubectl get containers` of 1,000",
        milliseconds(listed.median()),
        "–",
        "–",
        "≤ 1 s",
    );
    table.add(
        "RSS just after the first sync of 1,000 containers",
        format!("{:.1} MiB", memory.median()),
        "507–679 MiB (the peer)",
        ratio(memory.median(), 507.0),
        "≤ 90 MiB",
    );
    bench.docker.clear().await
}

/// Waits until `count` containers are mirrored with their status. Uses a watch,
/// which costs the daemon no more than that of any client.
pub(crate) async fn wait_for_sync(daemon: &BenchmarkDaemon, count: usize) -> Result<()> {
    let api = Api::<Container>::all(daemon.client()?);
    let list = api.list(&ListParams::default()).await?;
    let version = list
        .metadata
        .resource_version
        .context("a list without a version")?;
    let mut mirrored = HashSet::new();
    let mut note = |container: Container| {
        if container.status.is_some() {
            mirrored.extend(container.metadata.name);
        }
        mirrored.len()
    };
    let mut done = list.items.into_iter().map(&mut note).last().unwrap_or(0);
    let mut events = std::pin::pin!(api.watch(&WatchParams::default(), &version).await?);
    while done < count {
        let event = timeout(PROGRESS_TIMEOUT, events.try_next())
            .await
            .with_context(|| format!("only {done} of {count} containers were mirrored"))??;
        match event.context("the watch ended")? {
            WatchEvent::Added(container) | WatchEvent::Modified(container) => {
                done = note(container);
            }
            _ => {}
        }
    }
    Ok(())
}
