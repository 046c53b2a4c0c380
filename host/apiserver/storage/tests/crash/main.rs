//! `kill -9` at any time loses no acknowledged write and repeats no revision.
//!
//! A program of its own: a child has, until it executes its program, a copy of each open
//! file of this process, and with it the lock on a store that another test has closed.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "the other tests of the store use the rest")]
#[path = "../store/common.rs"]
mod common;
#[allow(dead_code, reason = "the other tests of the store use the rest")]
#[path = "../store/observed_writes.rs"]
mod observed_writes;

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};

use rdd_apiserver_storage::{RecordChange, Store, StoreOptions, WritePrecondition};
use tempfile::TempDir;

use crate::common::text;
use crate::observed_writes::ObservedWrites;

/// The variable for the number of kills; a thousand take a few minutes.
const ROUNDS_VARIABLE: &str = "RDD_STORAGE_KILLS";
const DEFAULT_ROUNDS: u32 = 30;

/// The variable with the directory of the database, for the child.
const DIRECTORY_VARIABLE: &str = "RDD_STORAGE_CRASH_DIRECTORY";
const CHILD: &str = "child_that_writes_until_it_is_killed";

/// The maximum number of acknowledgements after which a child is killed.
const MAX_ACKNOWLEDGED: u32 = 400;
const WRITERS: usize = 8;
const KEYS: usize = 30;

fn options(directory: &Path) -> StoreOptions {
    let mut options = StoreOptions::file(directory.join("state.db"));
    // Small, so that compaction runs all the time.
    options.history.max_events = 200;
    options
}

/// Records a line of the child: `ack`, a key, a revision, and a value.
fn acknowledge(observed: &mut ObservedWrites, line: &str) {
    let mut words = line.split(' ').skip(1);
    let key = words.next().unwrap();
    let revision = words.next().unwrap().parse().unwrap();
    observed.acknowledge(key, revision, words.next().unwrap());
}

async fn check(observed: &mut ObservedWrites, directory: &Path) {
    let store = Store::open(options(directory)).unwrap();
    observed.check(&store).await;
    store.close().await;
}

fn child(directory: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args([CHILD, "--exact", "--ignored", "--nocapture"])
        .env(DIRECTORY_VARIABLE, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn a_kill_loses_no_write_and_repeats_no_revision() {
    let rounds = env::var(ROUNDS_VARIABLE).map_or(DEFAULT_ROUNDS, |rounds| rounds.parse().unwrap());
    let directory = TempDir::new().unwrap();
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut observed = ObservedWrites::default();
    for round in 0..rounds {
        let mut child = child(directory.path());
        let kill_after = random.next_u32() % MAX_ACKNOWLEDGED;
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut acknowledged = 0;
        let mut last = String::new();
        for line in output.split(b'\n') {
            let line = String::from_utf8(line.unwrap()).unwrap();
            // The last line may be cut off. It counts once another line shows
            // that it is complete.
            let complete = std::mem::replace(&mut last, line);
            if complete.starts_with("ack ") {
                acknowledge(&mut observed, &complete);
                acknowledged += 1;
            }
            if acknowledged == kill_after && child.try_wait().unwrap().is_none() {
                child.kill().unwrap();
            }
        }
        let status = child.wait().unwrap();
        assert!(!status.success(), "the child was killed");
        assert!(
            acknowledged >= kill_after,
            "the child exited early: {status}"
        );
        // In the other rounds the next child recovers, and may be killed meanwhile.
        if round % 3 != 1 {
            check(&mut observed, directory.path()).await;
        }
    }
    check(&mut observed, directory.path()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs as the child of a_kill_loses_no_write_and_repeats_no_revision"]
async fn child_that_writes_until_it_is_killed() {
    let directory = env::var_os(DIRECTORY_VARIABLE).unwrap();
    let store = Store::open(options(Path::new(&directory))).unwrap();
    let writers = (0..WRITERS).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for round in 0_usize.. {
                let key = format!("k/{}", (writer * 7 + round) % KEYS);
                let id = format!("{}-{writer}-{round}", std::process::id());
                let change = if (writer + round) % 4 == 3 {
                    RecordChange::delete(move |revision| format!("gone-{id}@{revision}").into())
                } else {
                    RecordChange::put(move |revision| format!("put-{id}@{revision}").into())
                };
                if let Ok(record) = store.commit(&key, WritePrecondition::Any, change).await {
                    let line = format!("ack {key} {} {}\n", record.revision, text(&record.value));
                    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                }
            }
        })
    });
    futures::future::join_all(writers).await;
}
