//! Canceled operations, more than any limit, leave no resources behind.

use async_trait::async_trait;
use futures::{FutureExt, StreamExt};
use rdd_core::{ContainerAction, ContainerEngine, EngineError, LogOptions};
use rdd_plugin_contract::{BackendLimits, EngineConnection, EngineTransport, UsageSnapshot};
use rdd_plugin_wasm::BackendHandle;
use rdd_testkit::eventually;

use crate::support::*;

/// More than 4,096, the value of several limits.
const MANY: usize = 5_000;

/// The transport to an engine that neither reads nor writes.
struct SilentTransport;

#[async_trait]
impl EngineTransport for SilentTransport {
    async fn connect(&self) -> Result<EngineConnection, EngineError> {
        let (host, engine) = tokio::io::duplex(64);
        tokio::spawn(async move {
            let _open = engine;
            std::future::pending::<()>().await;
        });
        let (reader, writer) = tokio::io::split(host);
        Ok(EngineConnection {
            reader: Box::new(reader),
            writer: Box::new(writer),
        })
    }
}

/// The transport to an engine that never accepts a connection.
struct PendingTransport;

#[async_trait]
impl EngineTransport for PendingTransport {
    async fn connect(&self) -> Result<EngineConnection, EngineError> {
        std::future::pending().await
    }
}

/// Waits until no resources except memory are in use.
async fn assert_idle(handle: &BackendHandle) {
    eventually("no resources are in use", || async {
        let usage = handle.usage();
        let idle = UsageSnapshot {
            memory_bytes: usage.memory_bytes,
            ..UsageSnapshot::default()
        };
        if usage == idle {
            Ok(())
        } else {
            Err(format!("{usage:?}"))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn canceled_sleeps_are_released() {
    let backend = backend();
    let handle = launch(&backend).await;
    in_time(handle.inspect(&container("cancelled-sleeps")))
        .await
        .unwrap();
    assert_idle(&handle).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn canceled_connects_are_released() {
    let backend = backend_with(limits(), PendingTransport);
    let handle = launch(&backend).await;
    in_time(handle.inspect(&container("cancelled-connects")))
        .await
        .unwrap();
    assert_idle(&handle).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_of_canceled_reads_and_writes_are_released() {
    let backend = backend_with(limits(), SilentTransport);
    let handle = launch(&backend).await;
    for id in ["cancelled-reads", "cancelled-writes"] {
        in_time(handle.inspect(&container(id))).await.unwrap();
        assert_idle(&handle).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_calls_are_released() {
    let backend = backend();
    let handle = launch(&backend).await;
    let slow = container("slow");
    let slow_ref = container_ref("slow");
    for round in 0..MANY / 100 {
        let reads = (0..100).map(|_| handle.inspect(&slow));
        let changes = (0..100).map(|_| handle.act(&slow_ref, ContainerAction::Stop));
        // All were sent, and some have reached the guest.
        let all = (
            futures::future::join_all(reads),
            futures::future::join_all(changes),
        );
        assert!(futures::future::join(all.0, all.1).now_or_never().is_none());
        if round % 10 == 0 {
            in_time(handle.inspect(&container("one"))).await.unwrap();
        }
    }
    assert_idle(&handle).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_watches_are_released() {
    let backend = backend();
    let handle = launch(&backend).await;
    for round in 0..MANY {
        let mut watch = in_time(handle.watch()).await.unwrap();
        if round % 2 == 0 {
            in_time(watch.next()).await.unwrap().unwrap();
        }
    }
    assert_idle(&handle).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_logs_are_released() {
    let limits = BackendLimits {
        max_log_streams: 50,
        ..limits()
    };
    let backend = backend_with(limits, UnreachableTransport);
    let handle = launch(&backend).await;
    let options = LogOptions::default();
    let ticker = container_ref("ticker");
    let mut opened = 0;
    while opened < MANY {
        let open = handle.get_logs(&ticker, &options);
        match opened % 3 {
            0 => drop(open.now_or_never()),
            1 => drop(in_time(open).await),
            _ => {
                if let Ok(mut log) = in_time(open).await {
                    in_time(log.next()).await.unwrap().unwrap();
                }
            }
        }
        opened += 1;
        if opened % 40 == 0 {
            assert_idle(&handle).await;
        }
    }
    assert_idle(&handle).await;
}
