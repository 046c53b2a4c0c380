//! What the tests of the store share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdd_apiserver_storage::{
    Clock, RecordChange, Store, StoreEvent, StoreOptions, StoreWatch, StoredRecord,
    WritePrecondition,
};

/// Far beyond what anything here takes, so that only a hang reaches it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn memory() -> Store {
    Store::open(StoreOptions::in_memory()).expect("in memory")
}

/// A put whose value names its text and revision: `text@revision`.
pub(crate) fn put(text: &str) -> RecordChange {
    let text = text.to_owned();
    RecordChange::put(move |revision| format!("{text}@{revision}").into())
}

/// A delete whose last form is `gone@revision`.
pub(crate) fn delete() -> RecordChange {
    RecordChange::delete(|revision| format!("gone@{revision}").into())
}

pub(crate) async fn set(store: &Store, key: &str, text: &str) -> Arc<StoredRecord> {
    store
        .commit(key, WritePrecondition::Any, put(text))
        .await
        .expect("a put")
}

pub(crate) async fn remove(store: &Store, key: &str) -> Arc<StoredRecord> {
    store
        .commit(key, WritePrecondition::Any, delete())
        .await
        .expect("a delete")
}

pub(crate) fn text(value: &[u8]) -> &str {
    std::str::from_utf8(value).expect("values are text here")
}

/// `key=value` of every record under a prefix.
pub(crate) fn list(snapshot: &rdd_apiserver_storage::StoreSnapshot, prefix: &str) -> Vec<String> {
    snapshot
        .range(prefix, None)
        .map(|record| format!("{}={}", record.key, text(&record.value)))
        .collect()
}

pub(crate) async fn next(watch: &mut StoreWatch) -> Arc<StoreEvent> {
    tokio::time::timeout(PATIENCE, watch.next())
        .await
        .expect("an event in time")
        .expect("the watch goes on")
}

/// A clock that stands until it is told to go on.
#[derive(Clone, Debug)]
pub(crate) struct TestClock(Arc<AtomicU64>);

impl Default for TestClock {
    fn default() -> Self {
        // Some time in 2026, in milliseconds.
        Self(Arc::new(AtomicU64::new(1_770_000_000_000)))
    }
}

impl TestClock {
    pub(crate) fn advance(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).expect("a short time");
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn wall(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        self.wall()
    }
}
