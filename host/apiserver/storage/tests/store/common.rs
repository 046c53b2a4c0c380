//! Helpers of the store's tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use rdd_apiserver_storage::{
    Clock, RecordChange, Store, StoreEvent, StoreOptions, StoreWatch, StoredRecord,
    WritePrecondition,
};
use rdd_testkit::PATIENCE;

pub(crate) fn in_memory() -> Store {
    Store::open(StoreOptions::in_memory()).expect("a store in memory")
}

/// Returns a put whose value is `text@revision`.
pub(crate) fn put(text: &str) -> RecordChange {
    let text = text.to_owned();
    RecordChange::put(move |revision| format!("{text}@{revision}").into())
}

/// Returns a delete whose event has the value `gone@revision`.
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
    std::str::from_utf8(value).expect("a value that is text")
}

/// Returns `key=value` of each record under a prefix.
pub(crate) fn list(snapshot: &rdd_apiserver_storage::StoreSnapshot, prefix: &str) -> Vec<String> {
    snapshot
        .range(prefix, None)
        .map(|record| format!("{}={}", record.key, text(&record.value)))
        .collect()
}

pub(crate) async fn next(watch: &mut StoreWatch) -> Arc<StoreEvent> {
    tokio::time::timeout(PATIENCE, watch.next())
        .await
        .expect("an event before the timeout")
        .expect("a running watch")
}

/// A clock that stands still until [`TestClock::advance`] is called.
#[derive(Clone, Debug)]
pub(crate) struct TestClock(Arc<AtomicU64>);

impl Default for TestClock {
    fn default() -> Self {
        // In 2026, in milliseconds since 1970.
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
    fn now(&self) -> Timestamp {
        let millis = i64::try_from(self.0.load(Ordering::SeqCst)).expect("a time before 9999");
        Timestamp::from_millisecond(millis).expect("a time before 9999")
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst))
    }
}
