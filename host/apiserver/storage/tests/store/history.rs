//! Watches, compaction, and reads at old revisions.

use crate::common::{in_memory, list, next, remove, set, text};
use rdd_apiserver_storage::{
    EventKind, HistoryLimits, SnapshotError, Store, StoreOptions, WatchEndReason, WatchError,
};

fn store_with_history(max_events: usize) -> Store {
    let mut options = StoreOptions::in_memory();
    options.history = HistoryLimits {
        max_events,
        ..HistoryLimits::default()
    };
    Store::open(options).unwrap()
}

#[tokio::test]
async fn a_watch_returns_old_and_new_events_of_its_prefix_in_order() {
    let store = in_memory();
    let start = store.revision();
    let added = set(&store, "a/x", "one").await;
    set(&store, "b/x", "other").await;
    let mut watch = store.watch("a/", start).unwrap();
    let modified = set(&store, "a/x", "two").await;
    let removed = remove(&store, "a/x").await;

    let event = next(&mut watch).await;
    assert_eq!(
        (event.kind, event.revision),
        (EventKind::Added, added.revision)
    );
    assert!(event.previous.is_none());
    let event = next(&mut watch).await;
    assert_eq!(
        (event.kind, event.revision),
        (EventKind::Modified, modified.revision)
    );
    assert_eq!(event.previous.as_ref().unwrap().value, added.value);
    let event = next(&mut watch).await;
    assert_eq!(
        (event.kind, event.revision),
        (EventKind::Deleted, removed.revision)
    );
    assert_eq!(text(&event.value), format!("gone@{}", removed.revision));
    assert_eq!(event.previous.as_ref().unwrap().value, modified.value);
}

#[tokio::test]
async fn watchers_of_a_prefix_share_each_event() {
    let store = in_memory();
    let mut first = store.watch("a/", store.revision()).unwrap();
    let mut second = store.watch("a/x", store.revision()).unwrap();
    set(&store, "a/x", "one").await;
    let (first, second) = (next(&mut first).await, next(&mut second).await);
    assert!(std::sync::Arc::ptr_eq(&first, &second));
    assert_eq!(first.memo.get_or_init(|| 7_u8).as_deref(), Some(&7));
    assert_eq!(second.memo.get_or_init(|| 8_u8).as_deref(), Some(&7));
    assert_eq!(second.memo.get_or_init(|| "other type"), None);
}

#[tokio::test]
async fn a_memo_is_dropped_once_newer_events_have_arrived() {
    let store = in_memory();
    let mut watch = store.watch("a/", store.revision()).unwrap();
    set(&store, "a/x", "one").await;
    let event = next(&mut watch).await;
    let shared = event.memo.get_or_init(|| 7_u8).unwrap();
    for _ in 0..300 {
        set(&store, "b/x", "another").await;
    }
    assert_eq!(
        std::sync::Arc::strong_count(&shared),
        1,
        "only this test holds the value"
    );
    // A late reader gets a value that is not cached.
    assert_eq!(event.memo.get_or_init(|| 8_u8).as_deref(), Some(&8));
    assert_eq!(event.memo.get_or_init(|| 9_u8).as_deref(), Some(&9));
}

#[tokio::test]
async fn a_watch_starts_neither_before_the_history_nor_in_the_future() {
    let store = store_with_history(3);
    let now = store.revision();
    assert_eq!(
        store.watch("a/", now + 1).unwrap_err(),
        WatchError::Future { current: now }
    );
    assert_eq!(
        store.watch("a/", now - 1).unwrap_err(),
        WatchError::Compacted { oldest: now }
    );
    for index in 0..5 {
        set(&store, &format!("a/{index}"), "v").await;
    }
    let oldest = store.compacted_revision();
    assert_eq!(oldest, now + 2);
    assert_eq!(
        store.watch("a/", now + 1).unwrap_err(),
        WatchError::Compacted { oldest }
    );
    let mut watch = store.watch("a/", oldest).unwrap();
    assert_eq!(next(&mut watch).await.revision, oldest + 1);
}

#[tokio::test]
async fn a_slow_watch_ends_and_a_quiet_one_does_not() {
    let store = store_with_history(10);
    let mut slow = store.watch("a/", store.revision()).unwrap();
    let mut quiet = store.watch("b/", store.revision()).unwrap();
    set(&store, "a/first", "v").await;
    next(&mut slow).await;
    for index in 0..100 {
        set(&store, &format!("a/{index}"), "v").await;
    }
    assert_eq!(slow.next().await.unwrap_err(), WatchEndReason::Lagged);
    assert_eq!(
        slow.next().await.unwrap_err(),
        WatchEndReason::Lagged,
        "the error is permanent"
    );
    assert_eq!(quiet.progress(), store.revision());
    let record = set(&store, "b/x", "v").await;
    assert_eq!(next(&mut quiet).await.revision, record.revision);
}

#[tokio::test]
async fn a_watch_that_lags_in_the_history_ends() {
    let store = store_with_history(200);
    let start = store.revision();
    for index in 0..150 {
        set(&store, &format!("a/{index}"), "v").await;
    }
    let mut watch = store.watch("a/", start).unwrap();
    next(&mut watch).await;
    for index in 0..200 {
        set(&store, &format!("b/{index}"), "v").await;
    }
    let mut count = 1;
    let end = loop {
        match watch.next().await {
            Ok(event) => {
                count += 1;
                assert_eq!(event.revision, start + count);
            }
            Err(end) => break end,
        }
    };
    assert_eq!(end, WatchEndReason::Lagged);
}

#[tokio::test]
async fn progress_follows_the_returned_events() {
    let store = in_memory();
    let start = store.revision();
    let mut watch = store.watch("a/", start).unwrap();
    assert_eq!(watch.progress(), start);
    let other = set(&store, "b/x", "v").await;
    assert_eq!(watch.progress(), other.revision);
    let first = set(&store, "a/x", "v").await;
    set(&store, "b/x", "w").await;
    let second = set(&store, "a/y", "v").await;
    assert_eq!(watch.progress(), first.revision - 1);
    next(&mut watch).await;
    assert_eq!(watch.progress(), second.revision - 1);
    next(&mut watch).await;
    assert_eq!(watch.progress(), second.revision);

    let late = store.watch("a/", start).unwrap();
    assert_eq!(
        late.progress(),
        start,
        "no event of the history was returned yet"
    );
}

#[tokio::test]
async fn closing_ends_a_watch_after_its_last_event() {
    let store = in_memory();
    let mut watch = store.watch("", store.revision()).unwrap();
    let record = set(&store, "a/x", "v").await;
    store.close().await;
    assert_eq!(next(&mut watch).await.revision, record.revision);
    assert_eq!(watch.next().await.unwrap_err(), WatchEndReason::Closed);
    assert_eq!(
        store.watch("", store.revision()).unwrap_err(),
        WatchError::Closed
    );
}

#[tokio::test]
async fn every_kept_revision_can_be_read() {
    let store = store_with_history(8);
    let mut seen = vec![(store.revision(), list(&store.snapshot(), ""))];
    for (key, put) in [
        ("a", true),
        ("b", true),
        ("a", true),
        ("a", false),
        ("c", true),
        ("a", true),
        ("b", false),
        ("b", true),
        ("b", true),
    ] {
        let record = if put {
            set(&store, key, "v").await
        } else {
            remove(&store, key).await
        };
        seen.push((record.revision, list(&store.snapshot(), "")));
    }
    let (gone, _) = seen.remove(0);
    assert_eq!(
        store.snapshot_at(gone).unwrap_err(),
        SnapshotError::Compacted { oldest: gone + 1 }
    );
    for (revision, expected) in seen {
        let snapshot = store.snapshot_at(revision).unwrap();
        assert_eq!(snapshot.revision(), revision);
        assert_eq!(list(&snapshot, ""), expected);
    }
    let current = store.revision();
    assert_eq!(
        store.snapshot_at(current + 1).unwrap_err(),
        SnapshotError::Future { current }
    );
}
