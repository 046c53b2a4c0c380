//! More operations that are given up than any table or counter has places:
//! afterwards nothing of them is held.

use std::time::Duration;

use async_trait::async_trait;
use futures::{FutureExt, StreamExt};
use rdd_core::{ContainerAction, ContainerEngine, EngineError, LogOptions};
use rdd_plugin_wasm::{BackendLimits, Connection, Instance, Transport, Usage};

use crate::support::*;

/// More than 4,096, which many a limit is.
const MANY: usize = 5_000;

/// An engine that takes nothing and sends nothing.
struct Silent;

#[async_trait]
impl Transport for Silent {
    async fn connect(&self) -> Result<Connection, EngineError> {
        let (ours, theirs) = tokio::io::duplex(64);
        tokio::spawn(async move {
            let _open = theirs;
            std::future::pending::<()>().await;
        });
        let (reader, writer) = tokio::io::split(ours);
        Ok(Connection {
            reader: Box::new(reader),
            writer: Box::new(writer),
        })
    }
}

/// An engine that takes its time to take a connection.
struct Unhurried;

#[async_trait]
impl Transport for Unhurried {
    async fn connect(&self) -> Result<Connection, EngineError> {
        std::future::pending().await
    }
}

/// Waits until nothing is held but memory.
async fn assert_idle(instance: &Instance) {
    let idle = || Usage {
        memory: instance.usage().memory,
        ..Usage::default()
    };
    let waiting = async {
        while instance.usage() != idle() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
        panic!("it still holds {:?}", instance.usage());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sleeps() {
    let backend = backend();
    let instance = launch(&backend).await;
    soon(instance.inspect(&container("cancelled-sleeps")))
        .await
        .unwrap();
    assert_idle(&instance).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connects() {
    let backend = backend_with(limits(), Unhurried);
    let instance = launch(&backend).await;
    soon(instance.inspect(&container("cancelled-connects")))
        .await
        .unwrap();
    assert_idle(&instance).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_and_writes() {
    let backend = backend_with(limits(), Silent);
    let instance = launch(&backend).await;
    for id in ["cancelled-reads", "cancelled-writes"] {
        soon(instance.inspect(&container(id))).await.unwrap();
        assert_idle(&instance).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls() {
    let backend = backend();
    let instance = launch(&backend).await;
    let slow = container("slow");
    for round in 0..MANY / 100 {
        let reads = (0..100).map(|_| instance.inspect(&slow));
        let changes = (0..100).map(|_| instance.act("slow", ContainerAction::Stop));
        // Each is sent, and some have reached the guest.
        let all = (
            futures::future::join_all(reads),
            futures::future::join_all(changes),
        );
        assert!(futures::future::join(all.0, all.1).now_or_never().is_none());
        if round % 10 == 0 {
            soon(instance.inspect(&container("one"))).await.unwrap();
        }
    }
    assert_idle(&instance).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches() {
    let backend = backend();
    let instance = launch(&backend).await;
    for round in 0..MANY {
        let mut watch = soon(instance.watch()).await.unwrap();
        if round % 2 == 0 {
            soon(watch.next()).await.unwrap().unwrap();
        }
    }
    assert_idle(&instance).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_that_are_read_and_logs_that_are_not() {
    let limits = BackendLimits {
        log_streams: 50,
        ..limits()
    };
    let backend = backend_with(limits, Nowhere);
    let instance = launch(&backend).await;
    let options = LogOptions::default();
    let mut opened = 0;
    while opened < MANY {
        let open = instance.get_logs("ticker", &options);
        match opened % 3 {
            0 => drop(open.now_or_never()),
            1 => drop(soon(open).await),
            _ => {
                if let Ok(mut log) = soon(open).await {
                    soon(log.next()).await.unwrap().unwrap();
                }
            }
        }
        opened += 1;
        if opened % 40 == 0 {
            assert_idle(&instance).await;
        }
    }
    assert_idle(&instance).await;
}
