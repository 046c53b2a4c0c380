//! Backups and their restoration.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rdd_apiserver_storage::{BackupError, Store, StoreOptions, StoreSnapshot, WatchError};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::common::{list, remove, set};

fn everything(snapshot: &StoreSnapshot) -> Vec<String> {
    let records = snapshot.range("", None);
    records
        .map(|it| format!("{:?}", (it, it.revision)))
        .collect()
}

/// Returns a directory, and the paths of a database and of a backup in it.
fn paths() -> (TempDir, PathBuf, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = |name| directory.path().join(name);
    let (database, backup) = (path("db"), path("backup"));
    (directory, database, backup)
}

async fn open(path: &Path) -> Store {
    Store::open(StoreOptions::file(path)).unwrap()
}

/// Returns the names of the files beside `path` that are not the lock.
fn files(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with(".lock"))
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_restored_database_has_the_records_of_the_backup_and_only_them() {
    let (_directory, database, backup) = paths();
    let store = open(&database).await;
    set(&store, "a", "first").await;
    set(&store, "b", "kept").await;
    set(&store, "a", "second").await;
    set(&store, "c", "deleted").await;
    remove(&store, "c").await;
    let at_backup = store.snapshot();
    let summary = at_backup.back_up(&backup).unwrap();
    assert_eq!((summary.records, summary.revision), (2, store.revision()));
    let mode = fs::metadata(&backup).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(Store::check_backup(&backup).unwrap(), summary);
    set(&store, "a", "third").await;
    set(&store, "d", "later").await;
    let last = store.revision();
    store.close().await;

    let outcome = Store::restore(&backup, &database).unwrap();
    assert_eq!(outcome.backup, summary);
    let store = open(&database).await;
    assert_eq!(everything(&store.snapshot()), everything(&at_backup));
    // The earlier database is complete.
    let replaced = outcome.replaced.unwrap();
    let earlier = open(&replaced).await;
    assert!(list(&earlier.snapshot(), "")[0].starts_with("a=third@"));
    assert_eq!(earlier.revision(), last);
    earlier.close().await;

    // No revision is used again, and whoever resumes lists again.
    assert!(store.revision() > last);
    for revision in [at_backup.revision(), last] {
        let watch = store.watch("", revision);
        assert!(
            matches!(watch, Err(WatchError::Compacted { .. })),
            "{watch:?}"
        );
    }
    let record = set(&store, "a", "new").await;
    assert!(record.revision > last);
    store.close().await;
    let store = open(&database).await;
    assert_eq!(store.snapshot().len(), 2);
    store.close().await;
}

#[tokio::test]
async fn a_database_that_is_ahead_of_the_clock_is_replaced_by_one_that_is_further() {
    let (_directory, database, backup) = paths();
    let store = open(&database).await;
    set(&store, "a", "first").await;
    store.snapshot().back_up(&backup).unwrap();
    store.close().await;
    let ahead = 1_u64 << 52;
    let connection = Connection::open(&database).unwrap();
    connection
        .execute("UPDATE history SET compacted = ?1", [ahead])
        .unwrap();
    connection.close().unwrap();
    Store::restore(&backup, &database).unwrap();
    let store = open(&database).await;
    assert!(store.revision() >= ahead);
    store.close().await;
}

#[tokio::test]
async fn a_backup_starts_a_new_database() {
    let (directory, database, backup) = paths();
    let store = open(&database).await;
    set(&store, "a", "first").await;
    store.close().await;
    // Without a store, the database is not changed.
    let before = fs::read(&database).unwrap();
    Store::back_up_closed(&database, &backup).unwrap();
    assert_eq!(fs::read(&database).unwrap(), before);
    let other = directory.path().join("other");
    let outcome = Store::restore(&backup, &other).unwrap();
    assert_eq!(outcome.replaced, None);
    let store = open(&other).await;
    assert!(list(&store.snapshot(), "")[0].starts_with("a=first@"));
    store.close().await;
    assert_eq!(files(directory.path()), ["backup", "db", "other"]);
}

#[tokio::test]
async fn a_database_in_use_is_neither_copied_nor_replaced() {
    let (directory, database, backup) = paths();
    let store = open(&database).await;
    set(&store, "a", "first").await;
    store.snapshot().back_up(&backup).unwrap();
    let error = Store::restore(&backup, &database).unwrap_err();
    assert!(matches!(error, BackupError::Locked { .. }), "{error}");
    let error = Store::back_up_closed(&database, &directory.path().join("other")).unwrap_err();
    assert!(matches!(error, BackupError::Locked { .. }), "{error}");
    let none = directory.path().join("none").join("db");
    let error = Store::back_up_closed(&none, &directory.path().join("other")).unwrap_err();
    assert!(matches!(error, BackupError::Missing { .. }), "{error}");
    // An existing file is not overwritten.
    let error = store.snapshot().back_up(&backup).unwrap_err();
    assert!(error.to_string().contains("cannot create"), "{error}");
    Store::check_backup(&backup).unwrap();
    store.close().await;
}

#[tokio::test]
async fn what_is_not_a_whole_backup_is_refused_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let (database, backup) = (path("db"), path("backup"));
    let store = open(&database).await;
    for number in 0..500 {
        set(&store, &format!("key-{number}"), &"x".repeat(100)).await;
    }
    store.snapshot().back_up(&backup).unwrap();
    store.close().await;
    let whole = fs::read(&backup).unwrap();

    fs::write(path("empty"), b"").unwrap();
    fs::write(path("text"), "not a database at all, but long enough").unwrap();
    fs::write(path("cut"), &whole[..whole.len() / 2]).unwrap();
    let mut flipped = whole.clone();
    let at = whole.windows(3).rposition(|it| it == b"xxx").unwrap();
    flipped[at] = b'y';
    fs::write(path("flipped"), flipped).unwrap();
    fs::copy(&database, path("copy")).unwrap();
    fs::write(path("foreign"), &whole).unwrap();
    fs::write(path("newer"), &whole).unwrap();
    let pragma = |name: &str, pragma: &str| {
        let connection = Connection::open(path(name)).unwrap();
        connection.pragma_update(None, pragma, 99).unwrap();
        connection.close().unwrap();
    };
    pragma("foreign", "application_id");
    pragma("newer", "user_version");

    let before = fs::read(&database).unwrap();
    for (name, expected) in [
        ("missing", "cannot read"),
        ("empty", "is not a backup: it is too short"),
        ("text", "is not a backup: it is not a database"),
        ("cut", "is damaged: "),
        ("flipped", "has a wrong checksum"),
        ("copy", "it was copied from a state directory"),
        ("foreign", "is not a backup: another program wrote it"),
        (
            "newer",
            "has schema version 99, this program supports up to 1",
        ),
    ] {
        let error = Store::restore(&path(name), &database)
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{name}: {error}");
        assert!(error.contains(&*path(name).to_string_lossy()), "{error}");
        let checked = Store::check_backup(&path(name)).unwrap_err().to_string();
        assert_eq!(checked, error);
    }
    assert_eq!(fs::read(&database).unwrap(), before);
    assert!(
        !files(directory.path())
            .iter()
            .any(|name| name.contains("db."))
    );
}

/// The reason for a restoration is often that the database is damaged.
#[tokio::test]
async fn a_damaged_database_is_kept_beside_the_restored_one() {
    let (directory, database, backup) = paths();
    let store = open(&database).await;
    set(&store, "a", "first").await;
    store.snapshot().back_up(&backup).unwrap();
    store.close().await;
    for damage in [&b"garbage"[..], b""] {
        fs::write(&database, damage).unwrap();
        fs::write(directory.path().join("db-wal"), b"log").unwrap();
        let replaced = Store::restore(&backup, &database)
            .unwrap()
            .replaced
            .unwrap();
        assert_eq!(fs::read(&replaced).unwrap(), damage);
        let mut wal = replaced.into_os_string();
        wal.push("-wal");
        assert_eq!(fs::read(wal).unwrap(), b"log");
        let store = open(&database).await;
        assert_eq!(store.snapshot().len(), 1);
        store.close().await;
    }
}

#[tokio::test]
async fn what_an_interrupted_backup_left_does_not_stop_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("db");
    let store = open(&database).await;
    set(&store, "a", "first").await;
    fs::write(directory.path().join("db.backup.new"), b"half").unwrap();
    let file = store.snapshot().back_up_unnamed(&database).unwrap();
    assert!(file.metadata().unwrap().len() > 4);
    assert!(
        !files(directory.path())
            .iter()
            .any(|name| name.contains("backup"))
    );
    store.close().await;
}

/// Every later version must restore it.
#[tokio::test]
async fn a_backup_of_the_first_version_is_restored() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("db");
    let backup = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store/backup-1.bin");
    let outcome = Store::restore(&backup, &database).unwrap();
    assert_eq!(outcome.backup.records, 3);
    let store = open(&database).await;
    let records = list(&store.snapshot(), "");
    assert_eq!(
        records,
        [
            "configmaps/default/one=first@1790000000000001",
            "configmaps/default/two=second@1790000000000002",
            "secrets/default/three=\u{e9}\u{4e2d}@1790000000000004",
        ]
    );
    store.close().await;
}
