//! What group commit and shared watches buy, beside a database that is asked
//! in the plain way: one transaction for each write, on the same disk.
//!
//! `cargo bench -p rdd-apiserver-storage`; prints a table, asserts no time.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints its table and stops at the first failure"
)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdd_apiserver_storage::{RecordChange, Store, StoreOptions, WatchEndReason, WritePrecondition};
use rusqlite::Connection;
use tempfile::TempDir;

/// How long each rate is measured.
const MEASURE: Duration = Duration::from_secs(3);
/// The size of an ordinary object.
const VALUE: usize = 1_024;
const CLIENTS: u64 = 64;
const OBJECTS: u64 = 10_000;

fn main() {
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder on the disk");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("{VALUE}-byte values, synchronous=FULL, {cores} cores\n");
    let plain = plain(folder.path());
    println!("plain, one transaction a write     {plain:>10.0}/s   1.00");
    runtime.block_on(async {
        for clients in [1, CLIENTS] {
            let store = open(folder.path(), &format!("store-{clients}"));
            let (rate, times) = commits(&store, clients).await;
            println!(
                "store, {clients:>3} clients                 {rate:>10.0}/s {:>6.2}   p50 {} p99 {}",
                rate / plain,
                shown(&times, 50),
                shown(&times, 99),
            );
            store.close().await;
        }
        let store = open(folder.path(), "store-watched");
        let watches: Vec<_> = (0..OBJECTS)
            .map(|index| store.watch(&format!("quiet/{index}/"), store.revision()))
            .map(|watch| {
                let mut watch = watch.expect("a watch");
                tokio::spawn(async move { watch.next().await })
            })
            .collect();
        let (rate, times) = commits(&store, CLIENTS).await;
        println!(
            "the same beside {OBJECTS} watches      {rate:>10.0}/s {:>6.2}   p50 {} p99 {}",
            rate / plain,
            shown(&times, 50),
            shown(&times, 99),
        );
        store.close().await;
        for watch in watches {
            let end = watch.await.expect("a watcher").expect_err("no event");
            assert_eq!(end, WatchEndReason::Closed);
        }
        fan_out(folder.path()).await;
        reads(folder.path()).await;
    });
}

fn open(folder: &Path, name: &str) -> Store {
    Store::open(StoreOptions::file(folder.join(name))).expect("a store")
}

fn plain(folder: &Path) -> f64 {
    let connection = Connection::open(folder.join("plain")).expect("a database");
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE objects (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;",
        )
        .expect("a table");
    let value = vec![b'x'; VALUE];
    let mut insert = connection
        .prepare("INSERT INTO objects VALUES (?1, ?2)")
        .expect("a statement");
    let start = Instant::now();
    let mut written = 0_u32;
    while start.elapsed() < MEASURE {
        insert
            .execute((format!("things/ns/object-{written}"), &value))
            .expect("a write");
        written += 1;
    }
    f64::from(written) / start.elapsed().as_secs_f64()
}

async fn commits(store: &Store, clients: u64) -> (f64, Vec<Duration>) {
    let start = Instant::now();
    let tasks: Vec<_> = (0..clients)
        .map(|client| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut times = Vec::new();
                while start.elapsed() < MEASURE {
                    let key = format!("things/ns/object-{client}-{}", times.len());
                    let before = Instant::now();
                    create(&store, &key).await;
                    times.push(before.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.expect("a client"));
    }
    let count = u32::try_from(times.len()).unwrap_or(u32::MAX);
    (f64::from(count) / start.elapsed().as_secs_f64(), times)
}

async fn create(store: &Store, key: &str) {
    let change = RecordChange::put(|_| vec![b'x'; VALUE].into());
    store
        .commit(key, WritePrecondition::Absent, change)
        .await
        .expect("a write");
}

/// A hundred watchers of one prefix see a thousand writes a second.
async fn fan_out(folder: &Path) {
    const WATCHERS: usize = 100;
    const PER_SECOND: u64 = 1_000;
    let store = open(folder, "store-fan-out");
    let zero = Instant::now();
    // When each event was acknowledged, by its place in the order.
    let total = PER_SECOND * MEASURE.as_secs();
    let acknowledged: Arc<Vec<AtomicU64>> = Arc::new((0..total).map(|_| 0.into()).collect());
    let start = store.revision();
    let watchers: Vec<_> = (0..WATCHERS)
        .map(|_| {
            let mut watch = store.watch("things/", start).expect("a watch");
            tokio::spawn(async move {
                let mut seen = Vec::new();
                while let Ok(event) = watch.next().await {
                    seen.push((event.revision - start - 1, zero.elapsed()));
                }
                seen
            })
        })
        .collect();
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    let mut writes = Vec::new();
    for _ in 0..total {
        ticks.tick().await;
        let (store, acknowledged) = (store.clone(), Arc::clone(&acknowledged));
        writes.push(tokio::spawn(async move {
            let change = RecordChange::put(|_| vec![b'x'; VALUE].into());
            let sent = zero.elapsed();
            let record = store
                .commit("things/ns/one", WritePrecondition::Any, change)
                .await
                .expect("a write");
            let place = usize::try_from(record.revision - start - 1).expect("a small number");
            if let Some(slot) = acknowledged.get(place) {
                slot.store(
                    u64::try_from(sent.as_nanos()).unwrap_or(0),
                    Ordering::Relaxed,
                );
            }
        }));
    }
    for write in writes {
        write.await.expect("a write");
    }
    store.close().await;
    let mut delivered = 0;
    let mut times = Vec::new();
    for watcher in watchers {
        for (place, at) in watcher.await.expect("a watcher") {
            delivered += 1;
            let slot = usize::try_from(place)
                .ok()
                .and_then(|place| acknowledged.get(place));
            let sent = slot.map_or(0, |slot| slot.load(Ordering::Relaxed));
            times.push(at.saturating_sub(Duration::from_nanos(sent)));
        }
    }
    println!(
        "\n{WATCHERS} watchers x {PER_SECOND}/s: {delivered} of {} delivered, write to event p50 {} p99 {}",
        total * WATCHERS as u64,
        shown(&times, 50),
        shown(&times, 99),
    );
}

async fn reads(folder: &Path) {
    let store = open(folder, "store-reads");
    let creates: Vec<_> = (0..OBJECTS)
        .map(|index| {
            let store = store.clone();
            tokio::spawn(async move { create(&store, &format!("things/ns/object-{index}")).await })
        })
        .collect();
    for create in creates {
        create.await.expect("a create");
    }
    let before = store.compacted_revision();
    let start = Instant::now();
    let snapshot = store.snapshot();
    let bytes: usize = snapshot
        .range("things/", None)
        .map(|record| record.value.len())
        .sum();
    println!("list of {OBJECTS} ({bytes} bytes): {:?}", start.elapsed());
    let start = Instant::now();
    let snapshot = store.snapshot_at(before).expect("a kept revision");
    println!(
        "undo of {OBJECTS} events, {} left: {:?}",
        snapshot.len(),
        start.elapsed()
    );
    store.close().await;
    drop(store);
    let start = Instant::now();
    let store = open(folder, "store-reads");
    println!(
        "open with {} objects: {:?}",
        store.snapshot().len(),
        start.elapsed()
    );
    drop(store);
    let start = Instant::now();
    drop(open(folder, "store-new"));
    println!("open of a new one: {:?}", start.elapsed());
}

fn shown(times: &[Duration], percent: usize) -> String {
    let mut times = times.to_vec();
    times.sort_unstable();
    let place = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    format!("{:.1?}", times.get(place).copied().unwrap_or_default())
}
