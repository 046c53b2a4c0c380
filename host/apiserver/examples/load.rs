//! Measures the server in process, with a temporary database:
//! `cargo run --release -p rdd-apiserver --example load`. The figures include
//! neither sockets nor TLS and depend on the machine.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use rdd_apiserver::{ApiServer, ApiServerOptions, UserInfo};
use serde_json::json;
use tower::ServiceExt as _;

const OBJECTS: usize = 10_000;
const CLIENTS: usize = 64;
const WATCHERS: usize = 100;
const CMS: &str = "/api/v1/namespaces/default/configmaps";

async fn send(server: &ApiServer, method: &str, path: &str, body: String) -> anyhow::Result<Bytes> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .extension(UserInfo::default())
        .body(Full::new(Bytes::from(body)))?;
    let response = server.clone().oneshot(request).await?;
    anyhow::ensure!(
        response.status().is_success(),
        "{method} {path}: {}",
        response.status()
    );
    Ok(response.into_body().collect().await?.to_bytes())
}

/// Returns a config map of about one kilobyte.
fn object(index: usize) -> String {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("o{index:05}")}, "data": {"text": "x".repeat(800)}}).to_string()
}

/// Sends `total` requests from concurrent clients. Returns the rate per second.
async fn rate(server: &ApiServer, total: usize, method: &'static str) -> anyhow::Result<f64> {
    let start = Instant::now();
    let mut tasks = Vec::new();
    for client in 0..CLIENTS {
        let server = server.clone();
        tasks.push(tokio::spawn(async move {
            for index in (client..total).step_by(CLIENTS) {
                match method {
                    "POST" => send(&server, method, CMS, object(index)).await?,
                    _ => {
                        send(
                            &server,
                            method,
                            &format!("{CMS}/o{:05}", index % OBJECTS),
                            String::new(),
                        )
                        .await?
                    }
                };
            }
            anyhow::Ok(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(total as f64 / start.elapsed().as_secs_f64())
}

/// Measures how long all watchers take to receive a thousand creates.
async fn watchers(server: &ApiServer) -> anyhow::Result<Duration> {
    let mut tasks = Vec::new();
    let revision: serde_json::Value = serde_json::from_slice(
        &send(server, "GET", &format!("{CMS}?limit=1"), String::new()).await?,
    )?;
    let revision = revision["metadata"]["resourceVersion"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    const EVENTS: usize = 1_000;
    for _ in 0..WATCHERS {
        let (server, path) = (
            server.clone(),
            format!("{CMS}?watch=1&resourceVersion={revision}"),
        );
        tasks.push(tokio::spawn(async move {
            let request = Request::get(path)
                .extension(UserInfo::default())
                .body(Full::new(Bytes::new()))?;
            let mut body = server.oneshot(request).await?.into_body();
            let mut seen = 0;
            while seen < EVENTS {
                let frame = body
                    .frame()
                    .await
                    .ok_or_else(|| anyhow::anyhow!("the watch ended"))??;
                seen += frame
                    .data_ref()
                    .map_or(0, |data| data.iter().filter(|b| **b == b'\n').count());
            }
            anyhow::Ok(())
        }));
    }
    let start = Instant::now();
    for index in 0..EVENTS {
        send(server, "POST", CMS, object(OBJECTS + index)).await?;
    }
    for task in tasks {
        task.await??;
    }
    Ok(start.elapsed())
}

/// Measures the time from a new definition to its first object.
async fn definition(server: &ApiServer) -> anyhow::Result<Duration> {
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object"}}}],
        },
    });
    let widget =
        json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}});
    let start = Instant::now();
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    send(server, "POST", path, definition.to_string()).await?;
    let path = "/apis/example.com/v1/namespaces/default/widgets";
    send(server, "POST", path, widget.to_string()).await?;
    Ok(start.elapsed())
}

#[tokio::main]
#[allow(clippy::print_stdout, reason = "a tool whose output is a table")]
async fn main() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("db");
    let server = ApiServer::open(ApiServerOptions::file(&path)).await?;
    println!(
        "creates/s, {CLIENTS} clients      {:>10.0}",
        rate(&server, OBJECTS, "POST").await?
    );
    println!(
        "gets/s, {CLIENTS} clients         {:>10.0}",
        rate(&server, 10 * OBJECTS, "GET").await?
    );
    let start = Instant::now();
    let size = send(&server, "GET", CMS, String::new()).await?.len();
    println!("list of {OBJECTS}, {size} bytes  {:>7.1?}", start.elapsed());
    println!(
        "1000 creates to {WATCHERS} watchers {:>10.1?}",
        watchers(&server).await?
    );
    println!(
        "definition to first object     {:>10.1?}",
        definition(&server).await?
    );
    server.close().await;
    drop(server);
    let start = Instant::now();
    let server = ApiServer::open(ApiServerOptions::file(&path)).await?;
    println!("open with {OBJECTS} objects   {:>10.1?}", start.elapsed());
    server.close().await;
    Ok(())
}
