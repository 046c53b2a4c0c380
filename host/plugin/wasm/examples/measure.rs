//! Measures the speed and memory of a backend: `measure COMPONENT SOCKET` with a
//! Docker engine, or `measure FIXTURE` with the scripted fixture and no engine.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a tool for developers, not part of the daemon"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::StreamExt;
use rdd_core::{ContainerEngine, ContainerRef, EngineError, EngineObject, LogOptions, WatchEvent};
use rdd_plugin_contract::{BackendLimits, BackendServices, EngineConnection, EngineTransport};
use rdd_plugin_wasm::{ComponentBackend, ComponentCache, ComponentRuntime};

struct UnixTransport(String);

#[async_trait]
impl EngineTransport for UnixTransport {
    async fn connect(&self) -> Result<EngineConnection, EngineError> {
        let stream = tokio::net::UnixStream::connect(&self.0).await.unwrap();
        let (reader, writer) = stream.into_split();
        Ok(EngineConnection {
            reader: Box::new(reader),
            writer: Box::new(writer),
        })
    }
}

/// Returns the resident memory in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().unwrap();
    let socket = arguments.next();
    let bytes = std::fs::read(&file).unwrap();
    let cache = std::env::temp_dir().join(format!("rdd-measure-{}", std::process::id()));
    for turn in ["cold", "warm"] {
        let runtime = ComponentRuntime::new(Some(ComponentCache::open(&cache).unwrap())).unwrap();
        let began = Instant::now();
        runtime.load(&bytes, "measured").unwrap();
        println!(
            "{turn} load: {:?} of {} KiB",
            began.elapsed(),
            bytes.len() / 1024
        );
    }
    let runtime = ComponentRuntime::new(Some(ComponentCache::open(&cache).unwrap())).unwrap();
    let before = resident_kib();
    let component = runtime.load(&bytes, "measured").unwrap();
    println!("code: {} KiB resident", resident_kib() - before);
    match socket {
        Some(socket) => {
            let backend = ComponentBackend::new(
                "moby",
                component,
                BackendLimits::default(),
                BackendServices::new(Arc::new(UnixTransport(socket))),
            );
            measure_engine(&backend).await;
        }
        None => {
            let backend = ComponentBackend::new(
                "scripted",
                component,
                BackendLimits::default(),
                BackendServices::new(Arc::new(UnixTransport(String::new()))),
            );
            measure_fixture(&backend).await;
        }
    }
    std::fs::remove_dir_all(cache).unwrap();
}

async fn measure_engine(backend: &ComponentBackend) {
    let began = Instant::now();
    let handle = backend.launch().await.unwrap();
    println!("launch: {:?}; {:?}", began.elapsed(), handle.info());
    let began = Instant::now();
    let mut watch = handle.watch().await.unwrap();
    let mut containers = Vec::new();
    let mut objects = 0;
    loop {
        match watch.next().await.unwrap().unwrap() {
            WatchEvent::Applied(object) => {
                objects += 1;
                if let EngineObject::Container(container) = *object {
                    containers.push(container);
                }
            }
            WatchEvent::InitDone => break,
            WatchEvent::InitBegin | WatchEvent::Removed(_) => {}
        }
    }
    println!("listing of {objects} objects: {:?}", began.elapsed());
    for container in containers.iter().take(3) {
        let object = EngineObject::Container(container.clone()).reference();
        let began = Instant::now();
        let inspected = handle.inspect(&object).await.unwrap();
        println!(
            "inspect {}: {:?}, {} bytes",
            container.name,
            began.elapsed(),
            inspected.raw.len()
        );
        let options = LogOptions {
            follow: false,
            ..LogOptions::default()
        };
        let began = Instant::now();
        let mut log = handle
            .get_logs(&container.container_ref(), &options)
            .await
            .unwrap();
        let mut bytes = 0;
        while let Some(chunk) = log.next().await {
            bytes += chunk.unwrap().bytes.len();
        }
        let took = began.elapsed();
        println!(
            "log: {bytes} bytes in {took:?}, {:.0} MB/s",
            bytes as f64 / took.as_secs_f64() / 1e6
        );
    }
    let before = resident_kib();
    let mut open = Vec::new();
    let quiet = LogOptions {
        tail: Some(0),
        ..LogOptions::default()
    };
    if let Some(running) = containers.iter().find(|container| container.running) {
        for _ in 0..200 {
            open.push(
                handle
                    .get_logs(&running.container_ref(), &quiet)
                    .await
                    .unwrap(),
            );
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        println!("idle follows: {} KiB each", (resident_kib() - before) / 200);
    }
    println!("watching for 5 s");
    let until = tokio::time::Instant::now() + Duration::from_secs(5);
    while let Ok(Some(event)) = tokio::time::timeout_at(until, watch.next()).await {
        println!("{event:?}");
    }
}

/// Returns the reference to a container of the fixture.
fn fixture_container(id: &str) -> ContainerRef {
    ContainerRef::new("default", id)
}

async fn measure_fixture(backend: &ComponentBackend) {
    const MIB: usize = 2_000;
    let handle = backend.launch().await.unwrap();
    let options = LogOptions::default();
    for _ in 0..3 {
        let began = Instant::now();
        let mut log = handle
            .get_logs(&fixture_container(&format!("flood-{MIB}")), &options)
            .await
            .unwrap();
        let mut bytes = 0;
        while let Some(chunk) = log.next().await {
            bytes += chunk.unwrap().bytes.len();
        }
        let took = began.elapsed().as_secs_f64();
        let native = Instant::now();
        let (to, mut from) = tokio::sync::mpsc::channel(4);
        tokio::spawn(async move {
            for _ in 0..MIB * 16 {
                let made = std::hint::black_box(vec![b'x'; 64 * 1024]);
                to.send(bytes::Bytes::copy_from_slice(&made)).await.unwrap();
            }
        });
        let mut same = 0;
        while let Some(chunk) = from.recv().await {
            same += chunk.len();
        }
        assert_eq!(bytes, same);
        let native = native.elapsed().as_secs_f64();
        println!(
            "component {:.0} MB/s, native {:.0} MB/s, ratio {:.2}",
            bytes as f64 / took / 1e6,
            bytes as f64 / native / 1e6,
            native / took
        );
    }
    let before = resident_kib();
    let began = Instant::now();
    let mut open = Vec::new();
    let idle = fixture_container("idle");
    for _ in 0..500 {
        open.push(handle.get_logs(&idle, &options).await.unwrap());
    }
    println!("opening a log: {:?}", began.elapsed() / 500);
    tokio::time::sleep(Duration::from_secs(1)).await;
    println!("idle streams: {} KiB each", (resident_kib() - before) / 500);
}
