//! What a new process finds.

use rdd_apiserver_storage::{EventKind, Store, StoreOpenError, StoreOptions};
use tempfile::TempDir;

use crate::common::{PATIENCE, TestClock, list, next, remove, set};

fn options(folder: &TempDir) -> StoreOptions {
    StoreOptions::file(folder.path().join("state.db"))
}

#[tokio::test]
async fn records_history_and_revisions_come_back() {
    let folder = TempDir::new().unwrap();
    let store = Store::open(options(&folder)).unwrap();
    let start = store.revision();
    set(&store, "a/x", "one").await;
    set(&store, "a/y", "one").await;
    let modified = set(&store, "a/x", "two").await;
    let removed = remove(&store, "a/y").await;
    let before = list(&store.snapshot(), "");
    store.close().await;

    let store = Store::open(options(&folder)).unwrap();
    assert_eq!(store.revision(), removed.revision);
    assert_eq!(list(&store.snapshot(), ""), before);
    assert_eq!(store.compacted_revision(), start);
    let mut watch = store.watch("a/", modified.revision - 1).unwrap();
    let event = next(&mut watch).await;
    assert_eq!(
        (event.kind, event.revision),
        (EventKind::Modified, modified.revision)
    );
    assert!(event.previous.is_some());
    let event = next(&mut watch).await;
    assert_eq!(
        (event.kind, event.revision),
        (EventKind::Deleted, removed.revision)
    );
    let after = set(&store, "a/z", "new").await;
    assert_eq!(after.revision, removed.revision + 1);
    assert_eq!(next(&mut watch).await.revision, after.revision);
}

#[tokio::test]
async fn compaction_holds_across_restarts_and_gives_no_revision_twice() {
    let folder = TempDir::new().unwrap();
    let mut options = options(&folder);
    options.history.max_events = 1;
    let store = Store::open(options.clone()).unwrap();
    for round in 0..700 {
        set(&store, &format!("a/{}", round % 7), "v").await;
    }
    let removed = remove(&store, "a/0").await;
    // The deletion is the last event that goes, and with it its row.
    let last = set(&store, "b", "v").await;
    assert_eq!(store.compacted_revision(), removed.revision);
    let before = list(&store.snapshot(), "");
    store.close().await;
    let rows = rows(&options);
    assert!(rows < 600, "rows go while the store runs: {rows} are left");

    let store = Store::open(options.clone()).unwrap();
    assert_eq!(store.revision(), last.revision);
    assert_eq!(store.compacted_revision(), removed.revision);
    assert_eq!(list(&store.snapshot(), ""), before);
    let gone = remove(&store, "b").await;
    for index in 1..7 {
        remove(&store, &format!("a/{index}")).await;
    }
    let emptied = store.revision();
    assert_eq!(emptied, gone.revision + 6);
    store.close().await;

    let store = Store::open(options.clone()).unwrap();
    assert!(store.snapshot().is_empty());
    assert_eq!(store.revision(), emptied);
    let next = set(&store, "c", "v").await;
    assert_eq!(next.revision, emptied + 1);
    store.close().await;
}

fn rows(options: &StoreOptions) -> i64 {
    let path = options.path.as_ref().unwrap();
    rusqlite::Connection::open(path)
        .unwrap()
        .query_row("SELECT count(*) FROM log", [], |row| row.get(0))
        .unwrap()
}

#[tokio::test]
async fn history_ends_by_age_and_spares_the_newest() {
    let folder = TempDir::new().unwrap();
    let clock = TestClock::default();
    let mut options = options(&folder);
    options.clock = std::sync::Arc::new(clock.clone());
    options.history.keep_events = 3;
    let store = Store::open(options.clone()).unwrap();
    let start = store.revision();
    for _ in 0..10 {
        set(&store, "a", "old").await;
    }
    clock.advance(options.history.max_age / 2);
    set(&store, "a", "young").await;
    assert_eq!(
        store.compacted_revision(),
        start,
        "nothing is old enough yet"
    );
    clock.advance(options.history.max_age / 2);
    set(&store, "a", "younger").await;
    assert_eq!(
        store.compacted_revision(),
        start + 9,
        "two are young, one is spared"
    );
    store.close().await;

    // Age goes on while nobody runs.
    clock.advance(options.history.max_age * 10);
    options.history.keep_events = 2;
    let store = Store::open(options).unwrap();
    assert_eq!(store.compacted_revision(), start + 10);
}

#[tokio::test]
async fn a_burst_is_kept_whole_until_it_has_settled() {
    let clock = TestClock::default();
    let mut options = StoreOptions::in_memory();
    options.clock = std::sync::Arc::new(clock.clone());
    options.history.steady_bytes = 4 * 1_001;
    let limits = options.history.clone();
    let store = Store::open(options).unwrap();
    let start = store.revision();
    for _ in 0..10 {
        set(&store, "a", &"x".repeat(1_000)).await;
    }
    clock.advance(limits.burst_age / 2);
    set(&store, "a", "young").await;
    assert_eq!(
        store.compacted_revision(),
        start,
        "a reader may be that far behind"
    );
    clock.advance(limits.burst_age / 2);
    set(&store, "a", "younger").await;
    assert_eq!(
        store.compacted_revision(),
        start + 7,
        "what is left is few enough bytes"
    );
    clock.advance(limits.burst_age * 2);
    set(&store, "a", "youngest").await;
    assert_eq!(store.compacted_revision(), start + 7);
}

#[tokio::test]
async fn a_new_database_starts_where_no_old_one_reached() {
    let clock = TestClock::default();
    let mut options = StoreOptions::in_memory();
    options.clock = std::sync::Arc::new(clock.clone());
    let first = Store::open(options.clone()).unwrap();
    for _ in 0..100 {
        set(&first, "a", "v").await;
    }
    clock.advance(std::time::Duration::from_secs(1));
    let second = Store::open(options).unwrap();
    assert!(second.revision() > first.revision());
    const JAVASCRIPT: u64 = 1 << 53;
    assert!(second.revision() < JAVASCRIPT);
}

#[tokio::test]
async fn one_opener_at_a_time() {
    let folder = TempDir::new().unwrap();
    let store = Store::open(options(&folder)).unwrap();
    let error = Store::open(options(&folder)).unwrap_err();
    assert!(matches!(error, StoreOpenError::Locked { .. }), "{error}");
    let message = error.to_string();
    assert!(
        message.contains("state.db") && message.contains("another daemon"),
        "{message}"
    );
    let error = Store::set_aside(&folder.path().join("state.db")).unwrap_err();
    assert!(error.to_string().contains("another daemon"), "{error}");
    set(&store, "a", "the first is not disturbed").await;
}

#[tokio::test]
async fn the_last_handle_ends_the_writer() {
    let folder = TempDir::new().unwrap();
    let store = Store::open(options(&folder)).unwrap();
    let other = store.clone();
    let mut watch = other.watch("", other.revision()).unwrap();
    set(&store, "a", "v").await;
    drop(store);
    let record = set(&other, "a", "w").await;
    drop(other);
    next(&mut watch).await;
    assert_eq!(next(&mut watch).await.revision, record.revision);
    let end = tokio::time::timeout(PATIENCE, watch.next()).await.unwrap();
    end.unwrap_err();
    // Watches end after the database is closed.
    let store = Store::open(options(&folder)).unwrap();
    assert_eq!(store.revision(), record.revision);
}

#[cfg(unix)]
#[tokio::test]
async fn files_belong_to_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let store = Store::open(options(&folder)).unwrap();
    set(&store, "a", "v").await;
    let mut names = Vec::new();
    for entry in folder.path().read_dir().unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.path());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["state.db", "state.db-wal", "state.db.lock"]);
}
