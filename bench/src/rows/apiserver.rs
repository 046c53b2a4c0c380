//! The embedded API server against kube-apiserver, over TLS, on the same cores.
//! `scripts/oracle bench` starts the rival.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use futures::{AsyncBufReadExt as _, TryStreamExt as _};
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::daemon::BenchmarkDaemon;
use crate::report::{BenchmarkReport, milliseconds, ratio};
use crate::stats::SampleSet;

const CLIENTS: usize = 64;
/// The objects that are created, read, and listed.
const OBJECTS: usize = 10_000;
/// The creates of a single client, one after the other.
const SINGLE_CREATES: usize = 500;
const GETS: usize = 20_000;
const PAGE: usize = 500;
const WATCHERS: usize = 100;
const EVENTS_PER_SECOND: u64 = 200;
/// A rate at which kube-apiserver falls behind and ends watches: ours alone is measured.
const BUSY_EVENTS_PER_SECOND: u64 = 1000;
const WATCH_SECONDS: u64 = 10;
/// The timeout for anything that takes milliseconds to seconds.
const PATIENCE: Duration = Duration::from_secs(120);
/// The name of the data entry with the microseconds at which an event was sent.
const SENT: &str = "\"sent\":\"";

/// What was measured of one server, a sample per round.
#[derive(Default)]
struct ServerSamples {
    creates_single: SampleSet,
    creates: SampleSet,
    gets: SampleSet,
    list: SampleSet,
    pages: SampleSet,
    definition: SampleSet,
    watch_p50: SampleSet,
    watch_p99: SampleSet,
    busy_p50: SampleSet,
    busy_p99: SampleSet,
}

/// Measures the daemon and the server of a kubeconfig alternately.
pub(crate) async fn run(
    rdd: &Path,
    work_dir: &Path,
    rival: &Path,
    rounds: u32,
    table: &mut BenchmarkReport,
) -> Result<()> {
    let state = tempfile::tempdir_in(work_dir)?;
    let no_engine = format!("unix://{}", state.path().join("no-engine.sock").display());
    let daemon = BenchmarkDaemon::start(rdd, &state.path().join("state"), &no_engine).await?;
    let (ours_config, rival_config) = (load(&daemon.kubeconfig()).await?, load(rival).await?);
    let (mut ours, mut theirs) = (ServerSamples::default(), ServerSamples::default());
    for round in 0..rounds {
        measure(&ours_config, round, &mut ours).await?;
        measure_busy_watchers(&ours_config, round, &mut ours).await?;
        measure(&rival_config, round, &mut theirs).await?;
    }
    report(&ours, &theirs, table);
    daemon.stop().await
}

async fn load(kubeconfig: &Path) -> Result<Config> {
    let options = KubeConfigOptions::default();
    Ok(Config::from_custom_kubeconfig(Kubeconfig::read_from(kubeconfig)?, &options).await?)
}

fn report(ours: &ServerSamples, theirs: &ServerSamples, table: &mut BenchmarkReport) {
    let mut rate = |measure: &str, ours: &SampleSet, theirs: &SampleSet| {
        let (ours, theirs) = (ours.median(), theirs.median());
        let per_second = |value: f64| format!("{value:.0}/s");
        table.add(
            measure,
            per_second(ours),
            per_second(theirs),
            ratio(ours, theirs),
            "none",
        );
    };
    let clients = format!("{CLIENTS} clients");
    rate(
        "API server: creates of 1 KB objects, 1 client",
        &ours.creates_single,
        &theirs.creates_single,
    );
    rate(
        &format!("the same, {clients}"),
        &ours.creates,
        &theirs.creates,
    );
    rate(&format!("gets, {clients}"), &ours.gets, &theirs.gets);
    let mut time = |measure: &str, ours: &SampleSet, theirs: &SampleSet| {
        let (ours, theirs) = (ours.median(), theirs.median());
        table.add(
            measure,
            milliseconds(ours),
            milliseconds(theirs),
            ratio(ours, theirs),
            "none",
        );
    };
    time(
        &format!("list of {OBJECTS} objects"),
        &ours.list,
        &theirs.list,
    );
    time(
        &format!("the same, in pages of {PAGE}"),
        &ours.pages,
        &theirs.pages,
    );
    time(
        "new definition to its first object",
        &ours.definition,
        &theirs.definition,
    );
    let watchers = format!(
        "{WATCHERS} watchers, {EVENTS_PER_SECOND} events/s: create sent → event received, p50"
    );
    time(&watchers, &ours.watch_p50, &theirs.watch_p50);
    time("the same, p99", &ours.watch_p99, &theirs.watch_p99);
    let busy = format!("{WATCHERS} watchers, {BUSY_EVENTS_PER_SECOND} events/s, p50");
    for (measure, ours, bar) in [
        (busy.as_str(), &ours.busy_p50, "none"),
        ("the same, p99", &ours.busy_p99, "≤ 10 ms"),
    ] {
        table.add(measure, milliseconds(ours.median()), "–", "–", bar);
    }
}

/// Creates a namespace, and returns clients with a connection each.
async fn connect(config: &Config, namespace: &str) -> Result<Vec<kube::Client>> {
    let clients = (0..CLIENTS)
        .map(|_| kube::Client::try_from(config.clone()))
        .collect::<Result<Vec<_>, _>>()?;
    let client = clients.first().context("no client")?;
    let body = json!({"metadata": {"name": namespace}});
    send(client, "POST", "/api/v1/namespaces", Some(&body)).await?;
    Ok(clients)
}

/// Measures one round of one server, in a namespace of its own.
async fn measure(config: &Config, round: u32, samples: &mut ServerSamples) -> Result<()> {
    let namespace = format!("bench-{round}");
    let clients = connect(config, &namespace).await?;
    let client = clients.first().context("no client")?;
    let objects = format!("/api/v1/namespaces/{namespace}/configmaps");

    let single = requests(&clients[..1], "POST", SINGLE_CREATES, |index| {
        (objects.clone(), Some(object(&format!("single-{index}"))))
    });
    samples.creates_single.add(single.await?);
    // The list has the objects of the concurrent clients only.
    let listed = format!("{namespace}-list");
    let body = json!({"metadata": {"name": listed}});
    send(client, "POST", "/api/v1/namespaces", Some(&body)).await?;
    let path = format!("/api/v1/namespaces/{listed}/configmaps");
    let creates = requests(&clients, "POST", OBJECTS, |index| {
        (path.clone(), Some(object(&format!("o{index}"))))
    });
    samples.creates.add(creates.await?);
    let gets = requests(&clients, "GET", GETS, |index| {
        (format!("{path}/o{}", index % OBJECTS), None)
    });
    samples.gets.add(gets.await?);

    let begun = Instant::now();
    send(client, "GET", &path, None).await?;
    samples.list.add_time(begun.elapsed());
    samples.pages.add_time(pages(client, &path).await?);
    samples
        .definition
        .add_time(definition(client, &namespace, round).await?);
    let latencies = watchers(&clients, config, &objects, EVENTS_PER_SECOND).await?;
    samples.watch_p50.add(latencies.median());
    samples.watch_p99.add(latencies.percentile(0.99));
    Ok(())
}

/// Measures watchers at the high rate, in a namespace of its own.
async fn measure_busy_watchers(
    config: &Config,
    round: u32,
    samples: &mut ServerSamples,
) -> Result<()> {
    let namespace = format!("busy-{round}");
    let clients = connect(config, &namespace).await?;
    let path = format!("/api/v1/namespaces/{namespace}/configmaps");
    let latencies = watchers(&clients, config, &path, BUSY_EVENTS_PER_SECOND).await?;
    samples.busy_p50.add(latencies.median());
    samples.busy_p99.add(latencies.percentile(0.99));
    Ok(())
}

/// Returns a config map of about one kilobyte.
fn object(name: &str) -> Value {
    json!({"metadata": {"name": name}, "data": {"text": "x".repeat(800)}})
}

/// Sends a request; returns the body of its response. Another status than that of a
/// success is an error.
async fn send(
    client: &kube::Client,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<String> {
    let content = body.map_or_else(|| Ok(Vec::new()), serde_json::to_vec)?;
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::ACCEPT, "application/json")
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(content)?;
    let response = timeout(PATIENCE, client.request_text(request)).await;
    response
        .with_context(|| format!("{method} {path} took longer than {} s", PATIENCE.as_secs()))?
        .with_context(|| format!("{method} {path}"))
}

/// Sends `total` requests from concurrent clients. Returns the rate per second.
async fn requests(
    clients: &[kube::Client],
    method: &'static str,
    total: usize,
    make: impl Fn(usize) -> (String, Option<Value>),
) -> Result<f64> {
    // Made before the clock starts.
    let mut shares = vec![Vec::new(); clients.len()];
    for index in 0..total {
        let share = index % clients.len();
        shares[share].push(make(index));
    }
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for (client, share) in clients.iter().cloned().zip(shares) {
        tasks.spawn(async move {
            for (path, body) in share {
                send(&client, method, &path, body.as_ref()).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    #[expect(clippy::cast_precision_loss, reason = "thousands of requests")]
    Ok(total as f64 / begun.elapsed().as_secs_f64())
}

/// Measures a list in pages.
async fn pages(client: &kube::Client, path: &str) -> Result<Duration> {
    let begun = Instant::now();
    let mut token = String::new();
    loop {
        let page = format!("{path}?limit={PAGE}&continue={token}");
        let list: Value = serde_json::from_str(&send(client, "GET", &page, None).await?)?;
        token = list["metadata"]["continue"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if token.is_empty() {
            return Ok(begun.elapsed());
        }
    }
}

/// Measures the time from a new definition to its first object.
async fn definition(client: &kube::Client, namespace: &str, round: u32) -> Result<Duration> {
    let group = format!("round{round}.example.com");
    let body = json!({
        "metadata": {"name": format!("widgets.{group}")},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object"}}}],
        },
    });
    let widget =
        json!({"apiVersion": format!("{group}/v1"), "kind": "Widget", "metadata": {"name": "w"}});
    let begun = Instant::now();
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    send(client, "POST", path, Some(&body)).await?;
    let path = format!("/apis/{group}/v1/namespaces/{namespace}/widgets");
    // It is served when its controller is done with it.
    while let Err(error) = send(client, "POST", &path, Some(&widget)).await {
        ensure!(begun.elapsed() < PATIENCE, error);
    }
    Ok(begun.elapsed())
}

/// Measures how long after its creation is sent an event reaches the watchers.
async fn watchers(
    clients: &[kube::Client],
    config: &Config,
    path: &str,
    events_per_second: u64,
) -> Result<SampleSet> {
    let writer = clients.first().context("no client")?;
    let list: Value =
        serde_json::from_str(&send(writer, "GET", &format!("{path}?limit=1"), None).await?)?;
    let version = list["metadata"]["resourceVersion"]
        .as_str()
        .context("a list without a version")?;
    let total = events_per_second * WATCH_SECONDS;
    let begun = Instant::now();
    let mut watches = JoinSet::new();
    for _ in 0..WATCHERS {
        let client = kube::Client::try_from(config.clone())?;
        let uri = format!("{path}?watch=true&resourceVersion={version}");
        let request = http::Request::get(uri).body(Vec::new())?;
        let mut lines = timeout(PATIENCE, client.request_stream(request))
            .await??
            .lines();
        watches.spawn(async move {
            let mut latencies = Vec::new();
            for _ in 0..total {
                let line = timeout(PATIENCE, lines.try_next()).await??;
                let line = line.context("a watch ended")?;
                latencies.push(begun.elapsed().saturating_sub(sent(&line)?));
            }
            anyhow::Ok(latencies)
        });
    }
    let mut creates = JoinSet::new();
    let mut ticks =
        tokio::time::interval(Duration::from_secs(1) / u32::try_from(events_per_second)?);
    for (index, client) in (0..total).zip(clients.iter().cycle()) {
        ticks.tick().await;
        let (client, path) = (client.clone(), path.to_owned());
        creates.spawn(async move {
            let micros = begun.elapsed().as_micros().to_string();
            let body =
                json!({"metadata": {"name": format!("event-{index}")}, "data": {"sent": micros}});
            send(&client, "POST", &path, Some(&body)).await
        });
    }
    while let Some(done) = creates.join_next().await {
        done??;
    }
    let mut samples = SampleSet::default();
    while let Some(latencies) = watches.join_next().await {
        for latency in latencies?? {
            samples.add_time(latency);
        }
    }
    Ok(samples)
}

/// Returns when an event was sent, after the start of the measurement.
fn sent(line: &str) -> Result<Duration> {
    let Some((_, rest)) = line.split_once(SENT) else {
        bail!("an unexpected event: {line:.200}");
    };
    let micros = rest.split('"').next().unwrap_or_default().parse()?;
    Ok(Duration::from_micros(micros))
}
