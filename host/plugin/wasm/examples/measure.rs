//! Measures a backend: `measure <component> <unix socket>` with a Docker
//! engine, or `measure <scripted fixture>` without.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a developer's measurement, not a part of the daemon"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::StreamExt;
use rdd_core::{ContainerEngine, EngineError, EngineObject, LogOptions, WatchEvent};
use rdd_plugin_wasm::{Backend, BackendLimits, ComponentCache, Connection, Runtime, Transport};

struct Socket(String);

#[async_trait]
impl Transport for Socket {
    async fn connect(&self) -> Result<Connection, EngineError> {
        let stream = tokio::net::UnixStream::connect(&self.0).await.unwrap();
        let (reader, writer) = stream.into_split();
        Ok(Connection {
            reader: Box::new(reader),
            writer: Box::new(writer),
        })
    }
}

/// Resident memory in KiB.
fn resident() -> u64 {
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
        let runtime = Runtime::new(Some(ComponentCache::open(&cache).unwrap())).unwrap();
        let began = Instant::now();
        runtime.load(&bytes, "measured").unwrap();
        println!(
            "{turn} load: {:?} of {} KiB",
            began.elapsed(),
            bytes.len() / 1024
        );
    }
    let runtime = Runtime::new(Some(ComponentCache::open(&cache).unwrap())).unwrap();
    let before = resident();
    let program = runtime.load(&bytes, "measured").unwrap();
    println!("the code: {} KiB resident", resident() - before);
    match socket {
        Some(socket) => {
            let backend = Backend::new(
                "moby",
                program,
                BackendLimits::default(),
                Arc::new(Socket(socket)),
            );
            engine(&backend).await;
        }
        None => {
            let backend = Backend::new(
                "scripted",
                program,
                BackendLimits::default(),
                Arc::new(Socket(String::new())),
            );
            fixture(&backend).await;
        }
    }
    std::fs::remove_dir_all(cache).unwrap();
}

async fn engine(backend: &Backend) {
    let began = Instant::now();
    let instance = backend.launch().await.unwrap();
    println!("launch: {:?}; {:?}", began.elapsed(), instance.info());
    let began = Instant::now();
    let mut watch = instance.watch().await.unwrap();
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
        let inspected = instance.inspect(&object).await.unwrap();
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
        let mut log = instance.get_logs(&container.id, &options).await.unwrap();
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
    let before = resident();
    let mut open = Vec::new();
    let quiet = LogOptions {
        tail: Some(0),
        ..LogOptions::default()
    };
    if let Some(running) = containers.iter().find(|container| container.running) {
        for _ in 0..200 {
            open.push(instance.get_logs(&running.id, &quiet).await.unwrap());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        println!("idle follows: {} KiB each", (resident() - before) / 200);
    }
    println!("waiting 5 s for changes");
    let until = tokio::time::Instant::now() + Duration::from_secs(5);
    while let Ok(Some(event)) = tokio::time::timeout_at(until, watch.next()).await {
        println!("{event:?}");
    }
}

async fn fixture(backend: &Backend) {
    const MIB: usize = 2_000;
    let instance = backend.launch().await.unwrap();
    let options = LogOptions::default();
    for _ in 0..3 {
        let began = Instant::now();
        let mut log = instance
            .get_logs(&format!("flood-{MIB}"), &options)
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
    let before = resident();
    let began = Instant::now();
    let mut open = Vec::new();
    for _ in 0..500 {
        open.push(instance.get_logs("idle", &options).await.unwrap());
    }
    println!("opening: {:?} each", began.elapsed() / 500);
    tokio::time::sleep(Duration::from_secs(1)).await;
    println!("idle streams: {} KiB each", (resident() - before) / 500);
}
