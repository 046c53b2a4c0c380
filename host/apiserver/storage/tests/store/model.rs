//! Random writes, compared with a model that applies them one after another.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join_all;
use proptest::prelude::*;
use rdd_apiserver_storage::{
    CommitError, EventKind, RecordChange, Store, StoreEvent, StoreOptions, StoreSnapshot,
    StoreWatch, WritePrecondition,
};
use tempfile::TempDir;

use crate::common::{next, text};

/// Keys that are prefixes and neighbors of each other.
const KEYS: [&str; 5] = ["a/x", "a/x/y", "a/xy", "a-b/x", "b/x"];
const PREFIXES: [&str; 6] = ["", "a/", "a/x", "a-b/", "b/x", "none"];

#[derive(Clone, Debug)]
struct Write {
    key: usize,
    delete: bool,
    precondition: PreconditionKind,
}

/// The precondition of a write, in terms of the model.
#[derive(Clone, Copy, Debug)]
enum PreconditionKind {
    Any,
    Absent,
    /// The key's revision when the group of writes was queued.
    Seen,
    Wrong,
}

fn write() -> impl Strategy<Value = Write> {
    let precondition = prop_oneof![
        3 => Just(PreconditionKind::Any),
        2 => Just(PreconditionKind::Absent),
        2 => Just(PreconditionKind::Seen),
        1 => Just(PreconditionKind::Wrong),
    ];
    (0..KEYS.len(), prop::bool::weighted(0.3), precondition).prop_map(
        |(key, delete, precondition)| Write {
            key,
            delete,
            precondition,
        },
    )
}

/// One step of a run. The writes of a group are queued together.
#[derive(Clone, Debug)]
enum Step {
    Group(Vec<Write>),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => prop::collection::vec(write(), 1..20).prop_map(Step::Group),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..12)
}

type Records = BTreeMap<String, (u64, String)>;

/// The expected content of the store.
struct Model {
    revision: u64,
    records: Records,
    /// The state at each revision.
    states: BTreeMap<u64, Records>,
    events: Vec<(u64, EventKind, String)>,
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Committed(u64),
    Exists(u64),
    Mismatch(u64),
    Missing,
}

impl Model {
    fn write(&mut self, write: &Write, precondition: WritePrecondition) -> Outcome {
        let key = KEYS[write.key];
        let current = self.records.get(key).map(|(revision, _)| *revision);
        match (precondition, current) {
            (WritePrecondition::Absent, Some(revision)) => return Outcome::Exists(revision),
            (WritePrecondition::Revision(wanted), Some(revision)) if wanted != revision => {
                return Outcome::Mismatch(revision);
            }
            (WritePrecondition::Revision(_), None) => return Outcome::Missing,
            (_, None) if write.delete => return Outcome::Missing,
            _ => {}
        }
        self.revision += 1;
        let kind = match (write.delete, current) {
            (true, _) => EventKind::Deleted,
            (false, None) => EventKind::Added,
            (false, Some(_)) => EventKind::Modified,
        };
        if write.delete {
            self.records.remove(key);
        } else {
            let value = format!("{key}@{}", self.revision);
            self.records.insert(key.to_owned(), (self.revision, value));
        }
        self.events.push((self.revision, kind, key.to_owned()));
        self.states.insert(self.revision, self.records.clone());
        Outcome::Committed(self.revision)
    }
}

fn records(snapshot: &StoreSnapshot) -> Records {
    let record = |record: &Arc<rdd_apiserver_storage::StoredRecord>| {
        let value = (record.revision, text(&record.value).to_owned());
        (record.key.to_string(), value)
    };
    snapshot.range("", None).map(record).collect()
}

fn change(write: &Write) -> RecordChange {
    let key = KEYS[write.key];
    let encode = move |revision| format!("{key}@{revision}").into();
    if write.delete {
        RecordChange::delete(encode)
    } else {
        RecordChange::put(encode)
    }
}

async fn send(store: &Store, model: &mut Model, group: &[Write]) {
    let seen = model.records.clone();
    let precondition = |write: &Write| match write.precondition {
        PreconditionKind::Any => WritePrecondition::Any,
        PreconditionKind::Absent => WritePrecondition::Absent,
        PreconditionKind::Seen => match seen.get(KEYS[write.key]) {
            Some((revision, _)) => WritePrecondition::Revision(*revision),
            None => WritePrecondition::Absent,
        },
        PreconditionKind::Wrong => WritePrecondition::Revision(1),
    };
    // Polled in order, and therefore queued in order.
    let commits = group
        .iter()
        .map(|write| store.commit(KEYS[write.key], precondition(write), change(write)));
    let results = join_all(commits).await;
    for (write, result) in group.iter().zip(results) {
        let outcome = match result {
            Ok(record) => {
                assert_eq!(
                    text(&record.value),
                    format!("{}@{}", record.key, record.revision)
                );
                Outcome::Committed(record.revision)
            }
            Err(CommitError::Exists(record)) => Outcome::Exists(record.revision),
            Err(CommitError::Mismatch(record)) => Outcome::Mismatch(record.revision),
            Err(CommitError::Missing) => Outcome::Missing,
            Err(error) => panic!("{error}"),
        };
        assert_eq!(
            outcome,
            model.write(write, precondition(write)),
            "{write:?}"
        );
    }
}

fn check_states(store: &Store, model: &Model) {
    assert_eq!(store.revision(), model.revision);
    assert_eq!(records(&store.snapshot()), model.records);
    for (&revision, state) in model.states.range(store.compacted_revision()..) {
        let snapshot = store.snapshot_at(revision).unwrap();
        assert_eq!(&records(&snapshot), state, "at {revision}");
    }
}

async fn check_events(watch: &mut StoreWatch, prefix: &str, events: &[(u64, EventKind, String)]) {
    for (revision, kind, key) in events {
        if !key.starts_with(prefix) {
            continue;
        }
        assert!(watch.progress() < *revision);
        let event: Arc<StoreEvent> = next(watch).await;
        assert_eq!(
            (event.revision, event.kind, &*event.key),
            (*revision, *kind, &**key)
        );
    }
}

async fn run(steps: Vec<Step>) {
    let directory = TempDir::new().unwrap();
    let mut options = StoreOptions::file(directory.path().join("state.db"));
    // Each run evicts some events, but none that a watch here needs.
    options.history.max_events = 60;
    let mut store = Store::open(options.clone()).unwrap();
    let start = store.revision();
    let mut model = Model {
        revision: start,
        records: Records::new(),
        states: BTreeMap::from([(start, Records::new())]),
        events: Vec::new(),
    };
    for step in steps {
        match step {
            Step::Group(group) => {
                let before = model.revision;
                let known = model.events.len();
                let watches = PREFIXES.map(|prefix| store.watch(prefix, before).unwrap());
                send(&store, &mut model, &group).await;
                let new = &model.events[known..];
                for (prefix, mut watch) in PREFIXES.into_iter().zip(watches) {
                    check_events(&mut watch, prefix, new).await;
                    assert_eq!(watch.progress(), model.revision);
                }
            }
            Step::Restart => {
                store.close().await;
                store = Store::open(options.clone()).unwrap();
            }
        }
        check_states(&store, &model);
        let compacted = store.compacted_revision();
        let kept = model.events.partition_point(|event| event.0 <= compacted);
        for prefix in PREFIXES {
            let mut watch = store.watch(prefix, compacted).unwrap();
            check_events(&mut watch, prefix, &model.events[kept..]).await;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_batch_equals_its_writes_one_after_another(steps in steps()) {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(run(steps));
    }
}

/// Many threads write while others watch. All watchers see the same order, and
/// each acknowledged write is in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_writers_and_watchers_agree() {
    const WRITERS: usize = 16;
    const WRITES: usize = 100;
    let directory = TempDir::new().unwrap();
    let store = Store::open(StoreOptions::file(directory.path().join("state.db"))).unwrap();
    let start = store.revision();
    let writers = (0..WRITERS).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            for round in 0..WRITES {
                let key = KEYS[(writer + round) % KEYS.len()];
                let precondition = match store.snapshot().get(key) {
                    Some(record) => WritePrecondition::Revision(record.revision),
                    None => WritePrecondition::Absent,
                };
                let change = if round % 5 == 4 {
                    RecordChange::delete(|_| "gone".into())
                } else {
                    RecordChange::put(move |_| format!("{writer}/{round}").into())
                };
                if let Ok(record) = store.commit(key, precondition, change).await {
                    assert!(
                        store.revision() >= record.revision,
                        "the write is visible when it is acknowledged"
                    );
                    acknowledged.push(record.revision);
                }
            }
            acknowledged
        })
    });
    let writers: Vec<_> = writers.collect();
    let watchers: Vec<_> = PREFIXES
        .into_iter()
        .flat_map(|prefix| [(prefix, store.revision()), (prefix, start)])
        .map(|(prefix, after)| {
            let mut watch = store.watch(prefix, after).unwrap();
            tokio::spawn(async move {
                let mut seen = Vec::new();
                while let Ok(event) = watch.next().await {
                    assert!(event.key.starts_with(prefix));
                    seen.push(event.revision);
                }
                (prefix, after, seen)
            })
        })
        .collect();
    let mut acknowledged: Vec<u64> = Vec::new();
    for revisions in join_all(writers).await {
        acknowledged.extend(revisions.unwrap());
    }
    acknowledged.sort_unstable();
    let end = store.revision();
    assert!(acknowledged.len() > WRITES, "enough writes succeed");
    assert_eq!(acknowledged, (start + 1..=end).collect::<Vec<_>>());

    let mut all = store.watch("", start).unwrap();
    let mut order = Vec::new();
    let mut model: BTreeMap<String, u64> = BTreeMap::new();
    for _ in &acknowledged {
        let event = next(&mut all).await;
        let replaced = event.previous.as_ref().map(|record| record.revision);
        assert_eq!(model.get(&*event.key).copied(), replaced);
        match event.kind {
            EventKind::Deleted => model.remove(&*event.key),
            _ => model.insert(event.key.to_string(), event.revision),
        };
        order.push((event.revision, event.key.to_string()));
    }
    let live: BTreeMap<String, u64> = store
        .snapshot()
        .range("", None)
        .map(|record| (record.key.to_string(), record.revision))
        .collect();
    assert_eq!(live, model);
    store.close().await;
    for watcher in join_all(watchers).await {
        let (prefix, after, seen) = watcher.unwrap();
        let expected: Vec<u64> = order
            .iter()
            .filter(|(revision, key)| *revision > after && key.starts_with(prefix))
            .map(|(revision, _)| *revision)
            .collect();
        assert_eq!(seen, expected, "{prefix:?} after {after}");
    }
}
