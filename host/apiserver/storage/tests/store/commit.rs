//! Preconditions, guards, and outcomes of commits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::common::{delete, in_memory, list, put, remove, set, text};
use jiff::Timestamp;
use rdd_apiserver_storage::{
    Clock, CommitError, RecordChange, RecordGuard, Store, StoreOptions, WritePrecondition,
    WriterError,
};

#[tokio::test]
async fn a_put_returns_its_record_and_makes_it_visible() {
    let store = in_memory();
    let before = store.revision();
    let record = set(&store, "a/x", "one").await;
    assert_eq!(record.revision, before + 1);
    assert_eq!(text(&record.value), format!("one@{}", record.revision));
    let snapshot = store.snapshot();
    assert_eq!(snapshot.revision(), record.revision);
    assert_eq!(snapshot.get("a/x").unwrap().value, record.value);
}

#[tokio::test]
async fn absent_refuses_an_existing_key_and_returns_its_record() {
    let store = in_memory();
    let first = set(&store, "a/x", "one").await;
    let error = store
        .commit("a/x", WritePrecondition::Absent, put("two"))
        .await
        .unwrap_err();
    let CommitError::Exists(found) = error else {
        panic!("{error}");
    };
    assert_eq!(found.revision, first.revision);
    assert_eq!(
        store.revision(),
        first.revision,
        "a refused write has no revision"
    );
    remove(&store, "a/x").await;
    store
        .commit("a/x", WritePrecondition::Absent, put("three"))
        .await
        .unwrap();
}

#[tokio::test]
async fn the_revision_must_match() {
    let store = in_memory();
    let first = set(&store, "a/x", "one").await;
    let second = store
        .commit(
            "a/x",
            WritePrecondition::Revision(first.revision),
            put("two"),
        )
        .await
        .unwrap();
    for change in [put("three"), delete()] {
        let error = store
            .commit("a/x", WritePrecondition::Revision(first.revision), change)
            .await
            .unwrap_err();
        let CommitError::Mismatch(found) = error else {
            panic!("{error}");
        };
        assert_eq!(found.revision, second.revision);
    }
    store
        .commit(
            "a/x",
            WritePrecondition::Revision(second.revision),
            delete(),
        )
        .await
        .unwrap();
    let error = store
        .commit(
            "a/x",
            WritePrecondition::Revision(second.revision),
            put("four"),
        )
        .await
        .unwrap_err();
    assert!(matches!(error, CommitError::Missing), "{error}");
}

#[tokio::test]
async fn a_delete_returns_the_last_state() {
    let store = in_memory();
    set(&store, "a/x", "one").await;
    let last = remove(&store, "a/x").await;
    assert_eq!(text(&last.value), format!("gone@{}", last.revision));
    assert!(store.snapshot().get("a/x").is_none());
    let error = store
        .commit("a/x", WritePrecondition::Any, delete())
        .await
        .unwrap_err();
    assert!(matches!(error, CommitError::Missing), "{error}");
}

#[tokio::test]
async fn a_panic_in_an_encoder_fails_only_its_own_write() {
    let store = in_memory();
    set(&store, "a/x", "one").await;
    let change = RecordChange::put(|_| panic!("injected"));
    let error = store
        .commit("a/x", WritePrecondition::Any, change)
        .await
        .unwrap_err();
    assert!(matches!(error, CommitError::Encode), "{error}");
    let record = set(&store, "a/y", "two").await;
    assert_eq!(store.snapshot().len(), 2);
    assert_eq!(text(&record.value), format!("two@{}", record.revision));
}

#[tokio::test]
async fn ranges_are_in_byte_order_and_continue_after_a_key() {
    let store = in_memory();
    for key in ["p/ns/b", "p/ns-b/x", "p/ns/a", "p", "q/x", "p/ns/a/deeper"] {
        set(&store, key, "v").await;
    }
    let snapshot = store.snapshot();
    let keys = |prefix, after| -> Vec<String> {
        let records = snapshot.range(prefix, after);
        records.map(|record| record.key.to_string()).collect()
    };
    assert_eq!(
        keys("p/", None),
        ["p/ns-b/x", "p/ns/a", "p/ns/a/deeper", "p/ns/b"]
    );
    assert_eq!(keys("p/", Some("p/ns/a")), ["p/ns/a/deeper", "p/ns/b"]);
    assert_eq!(keys("p/", Some("a")), keys("p/", None));
    assert!(keys("p/", Some("p/z")).is_empty());
    assert!(keys("r", None).is_empty());
    set(&store, "p/ns/c", "v").await;
    assert_eq!(list(&snapshot, "p/").len(), 4, "a snapshot does not change");
}

#[tokio::test]
async fn a_closed_store_refuses_writes_and_can_be_read() {
    let store = in_memory();
    set(&store, "a/x", "one").await;
    store.close().await;
    let error = store
        .commit("a/x", WritePrecondition::Any, put("two"))
        .await
        .unwrap_err();
    assert!(matches!(error, CommitError::Closed), "{error}");
    assert_eq!(store.snapshot().len(), 1);
    store.close().await;
}

#[tokio::test]
async fn a_guarded_write_requires_unchanged_records() {
    let store = in_memory();
    let first = set(&store, "ns/a", "one").await;
    let guarded = |key: &'static str, guards: Vec<RecordGuard>| {
        let store = store.clone();
        async move {
            store
                .commit_guarded(key, WritePrecondition::Absent, guards, put("x"))
                .await
        }
    };
    guarded("a/x", vec![RecordGuard::unchanged(&first)])
        .await
        .unwrap();
    let second = set(&store, "ns/a", "two").await;
    let before = store.revision();
    let refused = guarded(
        "a/y",
        vec![
            RecordGuard::unchanged(&second),
            RecordGuard::unchanged(&first),
        ],
    )
    .await;
    assert!(matches!(refused, Err(CommitError::Guard)), "{refused:?}");
    remove(&store, "ns/a").await;
    let refused = guarded("a/y", vec![RecordGuard::unchanged(&second)]).await;
    assert!(matches!(refused, Err(CommitError::Guard)), "{refused:?}");
    assert!(store.snapshot().get("a/y").is_none());
    assert_eq!(
        store.revision(),
        before + 1,
        "a refused write has no revision"
    );
}

/// A clock that panics once its flag is set.
#[derive(Debug, Default)]
struct BrokenClock(AtomicBool);

impl Clock for BrokenClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_770_000_000).unwrap()
    }

    fn monotonic(&self) -> Duration {
        assert!(!self.0.load(Ordering::SeqCst), "the clock is broken");
        Duration::ZERO
    }
}

#[tokio::test]
async fn a_writer_that_panics_reports_it_and_refuses_later_writes() {
    let clock = Arc::new(BrokenClock::default());
    let mut options = StoreOptions::in_memory();
    options.clock = clock.clone();
    let store = Store::open(options).unwrap();
    set(&store, "a/x", "one").await;
    assert_eq!(store.writer_failure(), None);
    clock.0.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        let error = store
            .commit("a/x", WritePrecondition::Any, put("two"))
            .await;
        assert!(matches!(error, Err(CommitError::Closed)), "{error:?}");
    }
    let error = store.writer_exited().await.unwrap_err();
    assert_eq!(
        error,
        WriterError::Panicked("the clock is broken".to_owned())
    );
    assert_eq!(store.writer_failure(), Some(error));
    store.close().await;
}

#[tokio::test]
async fn a_closed_writer_has_not_failed() {
    let store = in_memory();
    store.close().await;
    assert_eq!(store.writer_exited().await, Ok(()));
    assert_eq!(store.writer_failure(), None);
}
