//! Damaged databases and full disks.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rdd_apiserver_storage::{CommitError, Store, StoreOpenError, StoreOptions, WritePrecondition};
use tempfile::TempDir;

use crate::common::{list, put, remove, set};

/// Creates a database of a few hundred pages.
async fn filled_database(directory: &TempDir) -> PathBuf {
    let path = directory.path().join("state.db");
    let store = Store::open(StoreOptions::file(&path)).unwrap();
    let long = "x".repeat(2_000);
    for index in 0..200 {
        set(&store, &format!("a/{index}"), &long).await;
    }
    store.close().await;
    path
}

fn damaged(path: &Path) -> String {
    match Store::open(StoreOptions::file(path)) {
        Err(error @ StoreOpenError::Damaged { .. }) => error.to_string(),
        Err(error) => panic!("unexpected error: {error}"),
        Ok(_) => panic!("the store opened"),
    }
}

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
}

fn execute(path: &Path, statement: &str) {
    rusqlite::Connection::open(path)
        .unwrap()
        .execute_batch(statement)
        .unwrap();
}

#[tokio::test]
async fn a_damaged_database_is_named_set_aside_and_replaced() {
    let directory = TempDir::new().unwrap();
    let path = filled_database(&directory).await;
    overwrite(&path, 0, b"no database at all");
    let message = damaged(&path);
    assert!(
        message.contains("state.db") && message.contains("set it aside"),
        "{message}"
    );

    let aside = Store::set_aside(&path).unwrap();
    assert!(fs::read(&aside).unwrap().starts_with(b"no database at all"));
    let name = aside.file_name().unwrap().to_string_lossy().into_owned();
    assert!(name.starts_with("state.db.damaged-"), "{name}");
    let store = Store::open(StoreOptions::file(&path)).unwrap();
    assert!(store.snapshot().is_empty());
    store.close().await;
    let again = Store::set_aside(&path).unwrap();
    assert_ne!(again, aside, "an older one is not overwritten");
}

#[tokio::test]
async fn every_kind_of_damage_is_detected() {
    const PAGE: u64 = 4_096;
    type Damage = fn(&Path);
    let kinds: [(&str, Damage); 9] = [
        ("an empty file", |path| fs::write(path, b"").unwrap()),
        ("a page of zeros", |path| {
            overwrite(path, 20 * PAGE, &[0; PAGE as usize])
        }),
        ("half a file", |path| {
            let file = fs::OpenOptions::new().write(true).open(path).unwrap();
            file.set_len(40 * PAGE).unwrap();
        }),
        ("one letter in a value", |path| {
            let bytes = fs::read(path).unwrap();
            let at = bytes
                .windows(8)
                .position(|seen| seen == b"xxxxxxxx")
                .unwrap();
            overwrite(path, at as u64, b"y");
        }),
        ("a missing row", |path| {
            execute(path, "DELETE FROM history");
        }),
        ("a missing table", |path| execute(path, "DROP TABLE log")),
        ("a changed start of the history", |path| {
            execute(path, "UPDATE history SET compacted = compacted + 1");
        }),
        ("another program's file", |path| {
            execute(path, "PRAGMA application_id = 0")
        }),
        ("a log without its main file", |path| {
            fs::rename(path, path.with_extension("db-wal")).unwrap();
        }),
    ];
    for (kind, damage) in kinds {
        let directory = TempDir::new().unwrap();
        let path = filled_database(&directory).await;
        damage(&path);
        let message = damaged(&path);
        assert!(message.contains("state.db"), "{kind}: {message}");
        Store::set_aside(&path).unwrap();
        let store = Store::open(StoreOptions::file(&path));
        assert!(store.is_ok(), "{kind}: a new database can be created");
    }
}

#[tokio::test]
async fn a_missing_row_of_a_key_is_detected() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("state.db");
    let store = Store::open(StoreOptions::file(&path)).unwrap();
    set(&store, "a", "one").await;
    let lost = set(&store, "a", "two").await;
    set(&store, "a", "three").await;
    store.close().await;
    execute(
        &path,
        &format!("DELETE FROM log WHERE revision = {}", lost.revision),
    );
    let message = damaged(&path);
    assert!(message.contains("does not fit"), "{message}");
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_not_changed() {
    let directory = TempDir::new().unwrap();
    let path = filled_database(&directory).await;
    execute(&path, "PRAGMA user_version = 9");
    let error = Store::open(StoreOptions::file(&path)).unwrap_err();
    assert!(
        matches!(error, StoreOpenError::NewerSchema { found: 9, .. }),
        "{error}"
    );
    execute(&path, "PRAGMA user_version = 1");
    assert_eq!(
        Store::open(StoreOptions::file(&path))
            .unwrap()
            .snapshot()
            .len(),
        200
    );
}

#[tokio::test]
async fn a_missing_directory_is_named() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("missing/state.db");
    let error = Store::open(StoreOptions::file(&path)).unwrap_err();
    assert!(error.to_string().contains("missing/state.db"), "{error}");
}

#[tokio::test]
async fn a_full_database_can_be_read_and_accepts_writes_after_deletes() {
    let directory = TempDir::new().unwrap();
    let mut options = StoreOptions::file(directory.path().join("state.db"));
    options.size_limit = Some(1 << 20);
    let store = Store::open(options.clone()).unwrap();
    let long = "x".repeat(10_000);
    let mut stored = 0;
    let error = loop {
        let key = format!("a/{stored}");
        match store
            .commit(&key, WritePrecondition::Absent, put(&long))
            .await
        {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 200, "the size limit has no effect");
    };
    assert!(matches!(error, CommitError::Full), "{error}");
    assert!(stored > 50);
    let before = store.revision();
    let listed = list(&store.snapshot(), "");
    assert_eq!(listed.len(), stored);
    let error = store
        .commit("b", WritePrecondition::Any, put(&long))
        .await
        .unwrap_err();
    assert!(matches!(error, CommitError::Full), "{error}");
    assert_eq!(
        store.revision(),
        before,
        "nothing of the failed write is visible"
    );
    assert!(store.snapshot().get("b").is_none());

    // Not even the smallest write fits, but a delete does.
    let mut small = 0;
    while store
        .commit(&format!("s/{small}"), WritePrecondition::Absent, put(""))
        .await
        .is_ok()
    {
        small += 1;
    }
    for index in 0..20 {
        remove(&store, &format!("a/{index}")).await;
    }
    let written = set(&store, "b", &long).await;
    assert!(written.revision > before);
    store.close().await;
    let store = Store::open(options).unwrap();
    assert_eq!(store.snapshot().len(), stored + small - 20 + 1);
}

#[tokio::test]
async fn history_is_evicted_for_new_writes() {
    let mut options = StoreOptions::in_memory();
    options.size_limit = Some(1 << 20);
    let store = Store::open(options).unwrap();
    let long = "x".repeat(10_000);
    let start = store.compacted_revision();
    for _ in 0..1_000 {
        set(&store, "a", &long).await;
    }
    assert!(store.compacted_revision() > start);
}
