//! Expectations, and what a commit answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::common::{delete, list, memory, put, remove, set, text};
use rdd_apiserver_storage::{
    Clock, CommitError, RecordChange, RecordGuard, Store, StoreOptions, WritePrecondition,
};

#[tokio::test]
async fn a_put_answers_with_its_record_and_shows_it() {
    let store = memory();
    let before = store.revision();
    let record = set(&store, "a/x", "one").await;
    assert_eq!(record.revision, before + 1);
    assert_eq!(text(&record.value), format!("one@{}", record.revision));
    let snapshot = store.snapshot();
    assert_eq!(snapshot.revision(), record.revision);
    assert_eq!(snapshot.get("a/x").unwrap().value, record.value);
}

#[tokio::test]
async fn absent_refuses_what_exists_and_shows_it() {
    let store = memory();
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
        "a refusal takes no revision"
    );
    remove(&store, "a/x").await;
    store
        .commit("a/x", WritePrecondition::Absent, put("three"))
        .await
        .unwrap();
}

#[tokio::test]
async fn revision_must_match() {
    let store = memory();
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
async fn a_delete_answers_with_the_last_form() {
    let store = memory();
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
async fn a_panic_of_an_encoder_hurts_only_its_own_write() {
    let store = memory();
    set(&store, "a/x", "one").await;
    let change = RecordChange::put(|_| panic!("on purpose"));
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
async fn ranges_are_in_byte_order_and_go_on_after_a_key() {
    let store = memory();
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
    assert_eq!(list(&snapshot, "p/").len(), 4, "a snapshot stands still");
}

#[tokio::test]
async fn a_closed_store_refuses_writes_and_still_reads() {
    let store = memory();
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
async fn a_write_rests_on_records_that_stand_as_they_were_read() {
    let store = memory();
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
    assert_eq!(store.revision(), before + 1, "a refusal takes no revision");
}

/// A clock that stops working when it is told to.
#[derive(Debug, Default)]
struct BrokenClock(AtomicBool);

impl Clock for BrokenClock {
    fn wall(&self) -> Duration {
        Duration::from_secs(1_770_000_000)
    }

    fn monotonic(&self) -> Duration {
        assert!(!self.0.load(Ordering::SeqCst), "the clock is broken");
        Duration::ZERO
    }
}

#[tokio::test]
async fn a_writer_that_panics_says_so_and_refuses_from_then_on() {
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
    let message = store.writer_exited().await.unwrap_err();
    assert_eq!(message, "the clock is broken");
    assert_eq!(store.writer_failure(), Some(message));
    store.close().await;
}

#[tokio::test]
async fn a_writer_that_was_closed_has_not_failed() {
    let store = memory();
    store.close().await;
    assert_eq!(store.writer_exited().await, Ok(()));
    assert_eq!(store.writer_failure(), None);
}
