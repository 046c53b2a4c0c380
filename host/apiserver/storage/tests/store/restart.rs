//! What is kept across restarts.

use rdd_apiserver_storage::{EventKind, Store, StoreOpenError, StoreOptions};
use rdd_testkit::PATIENCE;
use tempfile::TempDir;

use crate::common::{TestClock, list, next, remove, set};

fn options(directory: &TempDir) -> StoreOptions {
    StoreOptions::file(directory.path().join("state.db"))
}

#[tokio::test]
async fn records_history_and_revisions_survive_a_restart() {
    let directory = TempDir::new().unwrap();
    let store = Store::open(options(&directory)).unwrap();
    let start = store.revision();
    set(&store, "a/x", "one").await;
    set(&store, "a/y", "one").await;
    let modified = set(&store, "a/x", "two").await;
    let removed = remove(&store, "a/y").await;
    let before = list(&store.snapshot(), "");
    store.close().await;

    let store = Store::open(options(&directory)).unwrap();
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
async fn compaction_survives_a_restart_and_no_revision_is_reused() {
    let directory = TempDir::new().unwrap();
    let mut options = options(&directory);
    options.history.max_events = 1;
    let store = Store::open(options.clone()).unwrap();
    for round in 0..700 {
        set(&store, &format!("a/{}", round % 7), "v").await;
    }
    let removed = remove(&store, "a/0").await;
    // The deletion is the last event that is evicted, and its row with it.
    let last = set(&store, "b", "v").await;
    assert_eq!(store.compacted_revision(), removed.revision);
    let before = list(&store.snapshot(), "");
    store.close().await;
    let rows = rows(&options);
    assert!(
        rows < 600,
        "rows are deleted while the store runs: {rows} are left"
    );

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
async fn old_events_are_evicted_except_the_newest() {
    let directory = TempDir::new().unwrap();
    let clock = TestClock::default();
    let mut options = options(&directory);
    options.clock = std::sync::Arc::new(clock.clone());
    options.history.keep_events = 3;
    let store = Store::open(options.clone()).unwrap();
    let start = store.revision();
    for _ in 0..10 {
        set(&store, "a", "old").await;
    }
    clock.advance(options.history.max_age / 2);
    set(&store, "a", "recent").await;
    assert_eq!(
        store.compacted_revision(),
        start,
        "no event is old enough yet"
    );
    clock.advance(options.history.max_age / 2);
    set(&store, "a", "newer").await;
    assert_eq!(
        store.compacted_revision(),
        start + 9,
        "two are recent, one is kept whatever its age"
    );
    store.close().await;

    // Events age while no process runs.
    clock.advance(options.history.max_age * 10);
    options.history.keep_events = 2;
    let store = Store::open(options).unwrap();
    assert_eq!(store.compacted_revision(), start + 10);
}

#[tokio::test]
async fn a_burst_is_kept_until_its_age_limit() {
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
    set(&store, "a", "recent").await;
    assert_eq!(
        store.compacted_revision(),
        start,
        "a watch may lag that far behind"
    );
    clock.advance(limits.burst_age / 2);
    set(&store, "a", "newer").await;
    assert_eq!(
        store.compacted_revision(),
        start + 7,
        "the rest is below the limit"
    );
    clock.advance(limits.burst_age * 2);
    set(&store, "a", "newest").await;
    assert_eq!(store.compacted_revision(), start + 7);
}

#[tokio::test]
async fn a_new_database_starts_above_all_old_revisions() {
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
    // The limit of exact integers in JavaScript.
    const MAX_SAFE_INTEGER: u64 = 1 << 53;
    assert!(second.revision() < MAX_SAFE_INTEGER);
}

#[tokio::test]
async fn only_one_store_opens_a_database() {
    let directory = TempDir::new().unwrap();
    let store = Store::open(options(&directory)).unwrap();
    let error = Store::open(options(&directory)).unwrap_err();
    assert!(matches!(error, StoreOpenError::Locked { .. }), "{error}");
    let message = error.to_string();
    assert!(
        message.contains("state.db") && message.contains("another daemon"),
        "{message}"
    );
    let error = Store::set_aside(&directory.path().join("state.db")).unwrap_err();
    assert!(error.to_string().contains("another daemon"), "{error}");
    set(&store, "a", "the first store still works").await;
}

#[tokio::test]
async fn the_writer_exits_with_the_last_handle() {
    let directory = TempDir::new().unwrap();
    let store = Store::open(options(&directory)).unwrap();
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
    // The database is closed before watches end.
    let store = Store::open(options(&directory)).unwrap();
    assert_eq!(store.revision(), record.revision);
}

#[tokio::test]
async fn files_are_accessible_to_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let directory = TempDir::new().unwrap();
    let store = Store::open(options(&directory)).unwrap();
    set(&store, "a", "v").await;
    let mut names = Vec::new();
    for entry in directory.path().read_dir().unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.path());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["state.db", "state.db-wal", "state.db.lock"]);
}
