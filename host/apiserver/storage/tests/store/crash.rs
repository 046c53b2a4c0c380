//! kill -9 at any moment loses no acknowledged write and repeats no revision.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};

use rdd_apiserver_storage::{EventKind, RecordChange, Store, StoreOptions, WritePrecondition};
use tempfile::TempDir;

use crate::common::{next, text};

/// How often to kill; a thousand times takes a few minutes.
const ROUNDS: &str = "RDD_STORAGE_KILLS";
const SHORT: u32 = 10;

/// Tells the child where the database is.
const FOLDER: &str = "RDD_STORAGE_CRASH_FOLDER";
const CHILD: &str = "crash::child_that_writes_until_it_is_killed";

/// Acknowledgements after which a child is killed, at most.
const LIFE: u32 = 400;
const WRITERS: usize = 8;
const KEYS: usize = 30;

fn options(folder: &Path) -> StoreOptions {
    let mut options = StoreOptions::file(folder.join("state.db"));
    // Small, so that cleaning runs all the time too.
    options.history.max_events = 200;
    options
}

/// Everything that children said was on disk, and what was seen there.
#[derive(Default)]
struct Witness {
    /// Value by revision, acknowledged or seen.
    values: HashMap<u64, String>,
    /// The newest acknowledged revision of each key.
    newest: BTreeMap<String, u64>,
}

impl Witness {
    fn note(&mut self, revision: u64, value: &str) {
        let known = self.values.insert(revision, value.to_owned());
        assert!(
            known.as_deref().is_none_or(|known| known == value),
            "revision {revision} was used twice: {known:?}, {value}"
        );
    }

    fn acknowledge(&mut self, line: &str) {
        let mut words = line.split(' ').skip(1);
        let key = words.next().unwrap();
        let revision = words.next().unwrap().parse().unwrap();
        self.note(revision, words.next().unwrap());
        let newest = self.newest.entry(key.to_owned()).or_default();
        *newest = revision.max(*newest);
    }

    async fn check(&mut self, folder: &Path) {
        let store = Store::open(options(folder)).unwrap();
        let snapshot = store.snapshot();
        let compacted = store.compacted_revision();
        let mut watch = store.watch("", compacted).unwrap();
        let mut found = HashSet::new();
        let mut deleted = HashMap::new();
        while watch.progress() < store.revision() {
            let event = next(&mut watch).await;
            self.note(event.revision, text(&event.value));
            found.insert(event.revision);
            if event.kind == EventKind::Deleted {
                deleted.insert(event.key.to_string(), event.revision);
            }
        }
        for record in snapshot.range("", None) {
            self.note(record.revision, text(&record.value));
        }
        for &revision in self.values.keys() {
            assert!(revision <= store.revision(), "{revision} is lost");
            let kept = revision <= compacted || found.contains(&revision);
            assert!(kept, "{revision} is not in the history");
        }
        for (key, &revision) in &self.newest {
            let live = snapshot.get(key).map_or(0, |record| record.revision);
            let gone = deleted.get(key).copied().unwrap_or(0);
            let by_then = self.values[&revision].starts_with("gone") && live == 0;
            assert!(
                live.max(gone) >= revision || by_then,
                "{key} at {revision} is lost"
            );
        }
        store.close().await;
    }
}

fn child(folder: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args([CHILD, "--exact", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn kill_loses_nothing_and_repeats_nothing() {
    let rounds = env::var(ROUNDS).map_or(SHORT, |rounds| rounds.parse().unwrap());
    let folder = TempDir::new().unwrap();
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut witness = Witness::default();
    for round in 0..rounds {
        let mut child = child(folder.path());
        let life = random.next_u32() % LIFE;
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut acknowledged = 0;
        let mut last = String::new();
        for line in output.split(b'\n') {
            let line = String::from_utf8(line.unwrap()).unwrap();
            // The last line may be cut; it is looked at when a next one shows
            // that it is whole.
            let whole = std::mem::replace(&mut last, line);
            if whole.starts_with("ack ") {
                witness.acknowledge(&whole);
                acknowledged += 1;
            }
            if acknowledged == life && child.try_wait().unwrap().is_none() {
                child.kill().unwrap();
            }
        }
        let status = child.wait().unwrap();
        assert!(!status.success(), "it was killed");
        assert!(acknowledged >= life, "the child died by itself: {status}");
        // Else the next child recovers, and may be killed while it does.
        if round % 3 != 1 {
            witness.check(folder.path()).await;
        }
    }
    witness.check(folder.path()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs as the child of another test"]
async fn child_that_writes_until_it_is_killed() {
    let folder = env::var_os(FOLDER).unwrap();
    let store = Store::open(options(Path::new(&folder))).unwrap();
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
