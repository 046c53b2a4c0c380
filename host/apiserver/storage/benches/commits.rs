//! Measures group commit and shared watches against plain SQLite, with one
//! transaction for each write, on the same disk.
//!
//! Run it with `cargo bench -p rdd-apiserver-storage`. It prints a table and
//! asserts no times.
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
const MEASURED_TIME: Duration = Duration::from_secs(3);
/// The size of a typical object, in bytes.
const VALUE_BYTES: usize = 1_024;
const CLIENTS: u64 = 64;
const OBJECTS: u64 = 10_000;

fn main() {
    let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on the disk");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("{VALUE_BYTES}-byte values, synchronous=FULL, {cores} cores\n");
    let plain = plain(directory.path());
    println!("plain, one transaction per write   {plain:>10.0}/s   1.00");
    runtime.block_on(async {
        for clients in [1, CLIENTS] {
            let store = open(directory.path(), &format!("store-{clients}"));
            let (rate, times) = commits(&store, clients).await;
            println!(
                "store, {clients:>3} clients                 {rate:>10.0}/s {:>6.2}   p50 {} p99 {}",
                rate / plain,
                percentile(&times, 50),
                percentile(&times, 99),
            );
            store.close().await;
        }
        let store = open(directory.path(), "store-watched");
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
            percentile(&times, 50),
            percentile(&times, 99),
        );
        store.close().await;
        for watch in watches {
            let end = watch.await.expect("a watcher").expect_err("no event");
            assert_eq!(end, WatchEndReason::Closed);
        }
        fan_out(directory.path()).await;
        reads(directory.path()).await;
    });
}

fn open(directory: &Path, name: &str) -> Store {
    Store::open(StoreOptions::file(directory.join(name))).expect("a store")
}

fn plain(directory: &Path) -> f64 {
    let connection = Connection::open(directory.join("plain")).expect("a database");
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE objects (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;",
        )
        .expect("a table");
    let value = vec![b'x'; VALUE_BYTES];
    let mut insert = connection
        .prepare("INSERT INTO objects VALUES (?1, ?2)")
        .expect("a statement");
    let start = Instant::now();
    let mut written = 0_u32;
    while start.elapsed() < MEASURED_TIME {
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
                while start.elapsed() < MEASURED_TIME {
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
    let change = RecordChange::put(|_| vec![b'x'; VALUE_BYTES].into());
    store
        .commit(key, WritePrecondition::Absent, change)
        .await
        .expect("a write");
}

/// A hundred watchers of one prefix receive a thousand writes per second.
async fn fan_out(directory: &Path) {
    const WATCHERS: usize = 100;
    const PER_SECOND: u64 = 1_000;
    let store = open(directory, "store-fan-out");
    let zero = Instant::now();
    // When each write was sent, by its position in the order.
    let total = PER_SECOND * MEASURED_TIME.as_secs();
    let sent_at: Arc<Vec<AtomicU64>> = Arc::new((0..total).map(|_| 0.into()).collect());
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
        let (store, sent_at) = (store.clone(), Arc::clone(&sent_at));
        writes.push(tokio::spawn(async move {
            let change = RecordChange::put(|_| vec![b'x'; VALUE_BYTES].into());
            let sent = zero.elapsed();
            let record = store
                .commit("things/ns/one", WritePrecondition::Any, change)
                .await
                .expect("a write");
            let position = usize::try_from(record.revision - start - 1).expect("a small number");
            if let Some(slot) = sent_at.get(position) {
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
        for (position, at) in watcher.await.expect("a watcher") {
            delivered += 1;
            let slot = usize::try_from(position)
                .ok()
                .and_then(|position| sent_at.get(position));
            let sent = slot.map_or(0, |slot| slot.load(Ordering::Relaxed));
            times.push(at.saturating_sub(Duration::from_nanos(sent)));
        }
    }
    println!(
        "\n{WATCHERS} watchers x {PER_SECOND}/s: {delivered} of {} delivered, write to event p50 {} p99 {}",
        total * WATCHERS as u64,
        percentile(&times, 50),
        percentile(&times, 99),
    );
}

async fn reads(directory: &Path) {
    let store = open(directory, "store-reads");
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
        "undoing {OBJECTS} events, {} left: {:?}",
        snapshot.len(),
        start.elapsed()
    );
    store.close().await;
    drop(store);
    let start = Instant::now();
    let store = open(directory, "store-reads");
    println!(
        "open with {} objects: {:?}",
        store.snapshot().len(),
        start.elapsed()
    );
    drop(store);
    let start = Instant::now();
    drop(open(directory, "store-new"));
    println!("open of a new database: {:?}", start.elapsed());
}

fn percentile(times: &[Duration], percent: usize) -> String {
    let mut times = times.to_vec();
    times.sort_unstable();
    let position = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    format!("{:.1?}", times.get(position).copied().unwrap_or_default())
}
