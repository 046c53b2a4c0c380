//! A client that writes groups of objects and checks what the store shows, also across
//! interruptions and errors of the disk.

use std::collections::{BTreeMap, HashSet};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use futures::future::join_all;
use rdd_apiserver_storage::{
    CommitError, RecordChange, Store, StoreOpenError, StoreOptions, StoreWatch, WritePrecondition,
};

use super::disk_call::InterruptionKind;
use super::random_source::RandomSource;
use super::simulated_disk::SimulatedDisk;
use super::simulated_vfs;
use crate::common::{next, text};
use crate::observed_writes::ObservedWrites;

const KEYS: usize = 12;

/// The events that the store keeps: more than two groups, so that a check can find each
/// write of the last group.
const MAX_EVENTS: usize = 60;
const MAX_GROUP: usize = 24;

/// The size of the write-ahead log from which it is checkpointed, in pages.
const CHECKPOINT_PAGES: u32 = 12;

/// One write of a group.
#[derive(Clone, Debug)]
pub(super) struct WriteSpec {
    key: usize,
    deletes: bool,
    /// The bytes of the value beside its name.
    padding: usize,
}

impl WriteSpec {
    fn random(random: &mut RandomSource) -> Self {
        let padding = match random.below(16) {
            0 => random.below(12_000),
            1 | 2 => random.below(3_000),
            _ => random.below(100),
        };
        Self {
            key: random.below(KEYS),
            deletes: random.one_in(4),
            padding,
        }
    }

    /// Returns a write that does not fit into a database with a limited size.
    pub(super) fn huge() -> Self {
        Self {
            key: 0,
            deletes: false,
            padding: 200_000,
        }
    }

    /// Returns writes that the store commits together.
    pub(super) fn random_group(random: &mut RandomSource) -> Vec<Self> {
        let count = if random.one_in(2) {
            1
        } else {
            1 + random.below(MAX_GROUP)
        };
        let mut group: Vec<_> = (0..count).map(|_| Self::random(random)).collect();
        // A put always reaches its encoder.
        group[0].deletes = false;
        group
    }
}

/// Whether all writes of a group were acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GroupOutcome {
    Acknowledged,
    Failed,
}

pub(super) struct ClientSession {
    pub(super) disk: SimulatedDisk,
    directory: String,
    options: StoreOptions,
    observed: ObservedWrites,
    store: Option<(Store, StoreWatch)>,
    /// The revision of each live key, as this client must see it.
    records: BTreeMap<String, u64>,
    /// The groups of writes that failed and may be on disk all the same.
    uncertain: Vec<HashSet<String>>,
    writes: usize,
}

impl ClientSession {
    /// Creates a session on a new disk. `name` is used once in the process.
    pub(super) fn new(name: &str, random: RandomSource) -> Self {
        let disk = SimulatedDisk::new(random);
        let mut options = StoreOptions::file(simulated_vfs::mount(name, &disk));
        options.files = Arc::new(disk.clone());
        options.checkpoint_pages = CHECKPOINT_PAGES;
        options.history.max_events = MAX_EVENTS;
        Self {
            disk,
            directory: name.to_owned(),
            options,
            observed: ObservedWrites::default(),
            store: None,
            records: BTreeMap::new(),
            uncertain: Vec::new(),
            writes: 0,
        }
    }

    /// Limits the size of the database from the next [`Self::open`] on.
    pub(super) fn limit_size(&mut self, bytes: u64) {
        self.options.size_limit = Some(bytes);
    }

    pub(super) fn is_size_limited(&self) -> bool {
        self.options.size_limit.is_some()
    }

    pub(super) fn is_open(&self) -> bool {
        self.store.is_some()
    }

    pub(super) fn store(&self) -> &Store {
        let (store, _) = self.store.as_ref().expect("an open store");
        store
    }

    /// Opens the store and checks what is in it.
    pub(super) async fn open(&mut self) -> Result<(), StoreOpenError> {
        let before = self.observed.newest_revision();
        let store = Store::open(self.options.clone())?;
        let new = self.observed.check(&store).await;
        for revision in new.keys() {
            assert!(*revision > before, "{revision} appeared after {before}");
        }
        let mut new: HashSet<_> = new.into_values().collect();
        for group in self.uncertain.drain(..) {
            let found = group.iter().filter(|value| new.remove(*value)).count();
            assert!(
                found == 0 || found == group.len(),
                "{found} of {} writes of one transaction are there",
                group.len()
            );
        }
        assert!(new.is_empty(), "nobody wrote {new:?}");
        self.records = live(&store);
        let watch = store.watch("", store.revision()).unwrap();
        self.store = Some((store, watch));
        Ok(())
    }

    /// Closes the store, if it is open.
    pub(super) async fn close(&mut self) {
        if let Some((store, _)) = self.store.take() {
            store.close().await;
        }
    }

    /// Ends the process without closing the store, and starts the next one.
    pub(super) async fn interrupt(&mut self, interruption: InterruptionKind) {
        self.disk.interrupt();
        // Without effect on the disk.
        self.close().await;
        self.disk.restart(interruption);
    }

    /// Writes a group in one transaction, and checks that readers and watches see
    /// exactly what was acknowledged.
    pub(super) async fn write(&mut self, group: &[WriteSpec]) -> GroupOutcome {
        let encoded = Arc::new(Mutex::new(HashSet::new()));
        let (open_gate, gate) = mpsc::channel::<()>();
        let mut gate = Some(gate);
        let store = self.store().clone();
        let mut commits = Vec::new();
        for write in group {
            self.writes += 1;
            let name = if write.deletes { "gone" } else { "put" };
            let value = format!("{name}-{}-{}", self.writes, "x".repeat(write.padding));
            let encoded = Arc::clone(&encoded);
            let gate = gate.take();
            let encode = move |revision| {
                // The first encoder holds up the writer until all writes of the group
                // wait, so that they are committed together.
                if let Some(gate) = gate {
                    gate.recv().ok();
                }
                let value = format!("{value}@{revision}");
                encoded.lock().unwrap().insert(value.clone());
                value.into()
            };
            let change = if write.deletes {
                RecordChange::delete(encode)
            } else {
                RecordChange::put(encode)
            };
            let key = format!("k/{}", write.key);
            let store = store.clone();
            commits.push(async move { store.commit(&key, WritePrecondition::Any, change).await });
        }
        let mut commits = Box::pin(join_all(commits));
        assert!(futures::poll!(&mut commits).is_pending(), "the gate holds");
        open_gate.send(()).ok();
        let mut outcome = GroupOutcome::Acknowledged;
        let mut acknowledged = Vec::new();
        let mut is_uncertain = false;
        for (write, result) in group.iter().zip(commits.await) {
            match result {
                Ok(record) => acknowledged.push((record, write.deletes)),
                Err(CommitError::Missing) => {}
                Err(CommitError::Full) => outcome = GroupOutcome::Failed,
                Err(CommitError::Storage(_) | CommitError::Closed) => {
                    outcome = GroupOutcome::Failed;
                    is_uncertain = true;
                }
                Err(error) => panic!("{error}"),
            }
        }
        acknowledged.sort_by_key(|(record, _)| record.revision);
        for (record, deletes) in &acknowledged {
            let newest = self.observed.newest_revision();
            assert!(record.revision > newest, "{} repeats", record.revision);
            let value = text(&record.value);
            assert!(encoded.lock().unwrap().remove(value), "{value} was written");
            self.observed
                .acknowledge(&record.key, record.revision, value);
            if *deletes {
                self.records.remove(&*record.key);
            } else {
                self.records.insert(record.key.to_string(), record.revision);
            }
        }
        let left = std::mem::take(&mut *encoded.lock().unwrap());
        if is_uncertain {
            assert!(acknowledged.is_empty(), "a transaction fails as a whole");
            self.uncertain.push(left);
        } else if !acknowledged.is_empty() {
            assert!(left.is_empty(), "all were acknowledged");
        }
        if !acknowledged.is_empty() {
            // Whatever failed before is not on disk: later revisions are.
            self.uncertain.clear();
        }
        self.check_visible(acknowledged.iter().map(|(record, _)| record.revision))
            .await;
        outcome
    }

    /// Checks that the watch has exactly these new events, and the snapshot the expected
    /// records.
    async fn check_visible(&mut self, revisions: impl Iterator<Item = u64>) {
        let (store, watch) = self.store.as_mut().expect("an open store");
        for revision in revisions {
            assert_eq!(next(watch).await.revision, revision);
        }
        assert_eq!(watch.progress(), store.revision(), "no event is left");
        assert_eq!(live(store), self.records, "reads see what was acknowledged");
    }
}

impl Drop for ClientSession {
    fn drop(&mut self) {
        simulated_vfs::unmount(&self.directory);
    }
}

fn live(store: &Store) -> BTreeMap<String, u64> {
    let snapshot = store.snapshot();
    let records = snapshot.range("", None);
    records
        .map(|record| (record.key.to_string(), record.revision))
        .collect()
}
