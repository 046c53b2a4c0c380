//! The metrics of a daemon with two plugins, and their documentation.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use http_body_util::BodyExt as _;
use rdd_apiserver::{ApiServer, ApiServerOptions};
use rdd_core::{ContainerIndex, EngineError, ErrorCode, ServingSnapshot};
use rdd_mirror::{MirrorMetrics, MirrorProgress};
use rdd_passthrough::{Passthrough, PassthroughOptions};
use rdd_plugin::{CallMethod, PluginState, UsageSnapshot};
use tokio::sync::watch;

use super::*;

fn sample(name: &str, state: PluginState) -> PluginSample {
    PluginSample {
        name: name.to_owned(),
        state,
        usage: UsageSnapshot {
            log_streams: 3,
            memory_bytes: 1024,
            ..UsageSnapshot::default()
        },
        metrics: Arc::default(),
    }
}

/// Creates the registry of a daemon with an embedded API server.
async fn registry(
    plugins: impl Fn() -> Vec<PluginSample> + Send + Sync + 'static,
) -> MetricsRegistry {
    let (_, serving) = ServingSnapshot::channel();
    let passthrough = Passthrough::new(PassthroughOptions {
        serving: serving.clone(),
        containers: ContainerIndex::channel().1,
        max_streams: 1,
        read_only: false,
        parse_selector: |text| Err(rdd_core::SelectorTextError(text.to_owned())),
    });
    let (_, progress) = watch::channel(MirrorProgress::default());
    let daemon = DaemonCollector {
        start_time: "2026-01-01T00:00:00Z".parse().unwrap(),
        passthrough,
        serving,
        progress,
        mirror: MirrorMetrics::default(),
        api_server: Some(
            ApiServer::open(ApiServerOptions::in_memory())
                .await
                .unwrap(),
        ),
    };
    MetricsRegistry::new(daemon, plugins)
}

fn rendered(registry: &MetricsRegistry) -> String {
    registry.render(MetricsFormat::OpenMetrics).unwrap()
}

/// Returns the rows of the table in the documentation: names and types.
fn documented() -> BTreeMap<String, String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, section) = text.split_once("\n## Metrics\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    section
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split('|');
            let name = cells.next()?.trim().trim_end_matches('`').to_owned();
            Some((name, cells.next()?.trim().to_owned()))
        })
        .collect()
}

#[tokio::test]
async fn the_documentation_has_the_same_families_as_the_registry() {
    let text = rendered(&registry(Vec::new).await);
    let mut served = BTreeMap::new();
    for line in text.lines() {
        let Some(family) = line.strip_prefix("# TYPE ") else {
            continue;
        };
        let (name, kind) = family.split_once(' ').unwrap();
        let suffix = if kind == "counter" { "_total" } else { "" };
        let before = served.insert(format!("{name}{suffix}"), kind.to_owned());
        assert_eq!(before, None, "{name} is there twice");
    }
    assert!(served.len() > 30, "{served:?}");
    assert_eq!(served, documented());
}

#[tokio::test]
async fn each_family_has_the_unit_that_its_name_has() {
    let text = rendered(&registry(Vec::new).await);
    for line in text.lines().filter(|line| line.starts_with("# TYPE ")) {
        let name = line.split(' ').nth(2).unwrap();
        for unit in ["seconds", "bytes"] {
            assert_eq!(
                name.ends_with(unit),
                text.contains(&format!("# UNIT {name} {unit}\n")),
                "{name} {unit}"
            );
        }
    }
}

#[tokio::test]
async fn the_metrics_of_plugins_are_by_name_and_end_with_the_plugin() {
    let toy = sample("toy", PluginState::Ready);
    let inspect = toy.metrics.method(CallMethod::Inspect);
    inspect.record(&Ok(()), Duration::from_millis(5));
    let missing = EngineError::new(ErrorCode::NotFound, "no such container");
    inspect.record::<()>(&Err(missing), Duration::from_millis(5));
    toy.metrics.log_bytes.inc_by(77);
    let plugins = Arc::new(Mutex::new(vec![
        toy,
        sample("odd\"one", PluginState::Failed),
    ]));
    let source = plugins.clone();
    let registry = registry(move || source.lock().unwrap().clone()).await;
    let text = rendered(&registry);
    for line in [
        "rdd_plugin_state{plugin=\"toy\",state=\"ready\"} 1",
        "rdd_plugin_state{plugin=\"toy\",state=\"failed\"} 0",
        "rdd_plugin_state{plugin=\"odd\\\"one\",state=\"failed\"} 1",
        "rdd_plugin_calls_total{plugin=\"toy\",method=\"inspect\",result=\"ok\"} 1",
        "rdd_plugin_calls_total{plugin=\"toy\",method=\"inspect\",result=\"not-found\"} 1",
        "rdd_plugin_call_duration_seconds_count{plugin=\"toy\",method=\"inspect\"} 2",
        "rdd_plugin_call_duration_seconds_bucket{le=\"0.01\",plugin=\"toy\",method=\"inspect\"} 2",
        "rdd_plugin_delivered_bytes_total{plugin=\"toy\",kind=\"log\"} 77",
        "rdd_plugin_streams{plugin=\"toy\",kind=\"log\"} 3",
        "rdd_plugin_memory_bytes{plugin=\"toy\",holder=\"guest\"} 1024",
    ] {
        assert!(
            text.contains(&format!("\n{line}\n")),
            "{line} is not in {text}"
        );
    }
    assert!(
        !text.contains("method=\"act\""),
        "it was never called: {text}"
    );
    assert!(text.ends_with("\n# EOF\n"));

    plugins
        .lock()
        .unwrap()
        .retain(|sample| sample.name != "toy");
    let text = rendered(&registry);
    assert!(!text.contains("\"toy\""), "{text}");
    assert!(text.contains("odd"), "{text}");
}

#[tokio::test]
async fn a_client_gets_the_format_that_it_accepts() {
    let registry = registry(Vec::new).await;
    for (accept, expected) in [
        (
            None,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
        (
            Some("*/*"),
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
        (
            Some(
                "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1",
            ),
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
        (
            Some("text/plain;version=0.0.4"),
            "text/plain; version=0.0.4; charset=utf-8",
        ),
    ] {
        let mut headers = HeaderMap::new();
        headers.extend(accept.map(|accept| (ACCEPT, HeaderValue::from_static(accept))));
        let response = registry.respond(&headers);
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[CONTENT_TYPE], expected, "{accept:?}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let is_open_metrics = expected.starts_with("application");
        assert_eq!(body.ends_with(b"# EOF\n"), is_open_metrics, "{accept:?}");
    }
}
