//! Random writes against a model that does them one after the other.

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

/// Keys that are prefixes and neighbours of each other.
const KEYS: [&str; 5] = ["a/x", "a/x/y", "a/xy", "a-b/x", "b/x"];
const PREFIXES: [&str; 6] = ["", "a/", "a/x", "a-b/", "b/x", "none"];

#[derive(Clone, Debug)]
struct Write {
    key: usize,
    delete: bool,
    expect: Wish,
}

/// An expectation by what the model holds when the write's turn comes, or not.
#[derive(Clone, Copy, Debug)]
enum Wish {
    Any,
    Absent,
    /// The key's revision when the group was sent.
    Seen,
    Wrong,
}

fn write() -> impl Strategy<Value = Write> {
    let wish = prop_oneof![
        3 => Just(Wish::Any),
        2 => Just(Wish::Absent),
        2 => Just(Wish::Seen),
        1 => Just(Wish::Wrong),
    ];
    (0..KEYS.len(), prop::bool::weighted(0.3), wish).prop_map(|(key, delete, expect)| Write {
        key,
        delete,
        expect,
    })
}

/// What happens in a run: groups of writes that are queued together.
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

/// What the store must be.
struct Model {
    revision: u64,
    records: Records,
    /// Each state by the revision that made it.
    states: BTreeMap<u64, Records>,
    events: Vec<(u64, EventKind, String)>,
}

#[derive(Debug, PartialEq)]
enum Answer {
    Done(u64),
    Exists(u64),
    Mismatch(u64),
    Missing,
}

impl Model {
    fn write(&mut self, write: &Write, expect: WritePrecondition) -> Answer {
        let key = KEYS[write.key];
        let current = self.records.get(key).map(|(revision, _)| *revision);
        match (expect, current) {
            (WritePrecondition::Absent, Some(revision)) => return Answer::Exists(revision),
            (WritePrecondition::Revision(wanted), Some(revision)) if wanted != revision => {
                return Answer::Mismatch(revision);
            }
            (WritePrecondition::Revision(_), None) => return Answer::Missing,
            (_, None) if write.delete => return Answer::Missing,
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
        Answer::Done(self.revision)
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
    let expect = |write: &Write| match write.expect {
        Wish::Any => WritePrecondition::Any,
        Wish::Absent => WritePrecondition::Absent,
        Wish::Seen => match seen.get(KEYS[write.key]) {
            Some((revision, _)) => WritePrecondition::Revision(*revision),
            None => WritePrecondition::Absent,
        },
        Wish::Wrong => WritePrecondition::Revision(1),
    };
    // Polled in order, and so queued in order.
    let commits = group
        .iter()
        .map(|write| store.commit(KEYS[write.key], expect(write), change(write)));
    let answers = join_all(commits).await;
    for (write, answer) in group.iter().zip(answers) {
        let answer = match answer {
            Ok(record) => {
                assert_eq!(
                    text(&record.value),
                    format!("{}@{}", record.key, record.revision)
                );
                Answer::Done(record.revision)
            }
            Err(CommitError::Exists(record)) => Answer::Exists(record.revision),
            Err(CommitError::Mismatch(record)) => Answer::Mismatch(record.revision),
            Err(CommitError::Missing) => Answer::Missing,
            Err(error) => panic!("{error}"),
        };
        assert_eq!(answer, model.write(write, expect(write)), "{write:?}");
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
    let folder = TempDir::new().unwrap();
    let mut options = StoreOptions::file(folder.path().join("state.db"));
    // Some of the past goes in each run, but never what a watch here needs.
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
                let told = model.events.len();
                let watches = PREFIXES.map(|prefix| store.watch(prefix, before).unwrap());
                send(&store, &mut model, &group).await;
                let new = &model.events[told..];
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
    fn a_batch_is_its_writes_one_after_the_other(steps in steps()) {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(run(steps));
    }
}

/// Many threads write while others watch: everybody sees one and the same
/// order, and every acknowledged write is in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_writers_and_watchers_agree() {
    const WRITERS: usize = 16;
    const WRITES: usize = 100;
    let folder = TempDir::new().unwrap();
    let store = Store::open(StoreOptions::file(folder.path().join("state.db"))).unwrap();
    let start = store.revision();
    let writers = (0..WRITERS).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            for round in 0..WRITES {
                let key = KEYS[(writer + round) % KEYS.len()];
                let expect = match store.snapshot().get(key) {
                    Some(record) => WritePrecondition::Revision(record.revision),
                    None => WritePrecondition::Absent,
                };
                let change = if round % 5 == 4 {
                    RecordChange::delete(|_| "gone".into())
                } else {
                    RecordChange::put(move |_| format!("{writer}/{round}").into())
                };
                if let Ok(record) = store.commit(key, expect, change).await {
                    assert!(store.revision() >= record.revision, "visible when answered");
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
    for done in join_all(writers).await {
        acknowledged.extend(done.unwrap());
    }
    acknowledged.sort_unstable();
    let end = store.revision();
    assert!(
        acknowledged.len() > WRITES,
        "some of the writes must succeed"
    );
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
