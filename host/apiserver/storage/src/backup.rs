//! Backups. A backup is a database file with the records of one snapshot and without
//! history, in one piece: it needs no log beside it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::clock::{self, Clock, SystemClock};
use crate::database::{self, DatabaseFormat};
use crate::database_files::{self, DatabaseFileState};
use crate::error::BackupError;
use crate::file_interface::SystemInterface;
use crate::load::{self, LoadError};
use crate::options::StoreOptions;
use crate::record::StoredRecord;
use crate::row::LogRow;
use crate::snapshot::StoreSnapshot;
use crate::store::Store;

/// The bytes of a SQLite file up to those that tell how it is written, and their
/// value for a file that may have a log beside it.
const HEADER_BYTES: usize = 20;
const MAGIC: &[u8] = b"SQLite format 3\0";
const WRITE_VERSION_AT: usize = 18;
const WITH_LOG: u8 = 2;

/// What a backup contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupSummary {
    /// The number of records.
    pub records: usize,
    /// The revision of the state.
    pub revision: u64,
}

/// The result of [`Store::restore`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreOutcome {
    /// What was restored.
    pub backup: BackupSummary,
    /// The new path of the database that was there before.
    pub replaced: Option<PathBuf>,
}

impl StoreSnapshot {
    /// Writes the records to the new file `path`, which only its owner can read.
    /// Blocks until they are on disk.
    ///
    /// # Errors
    /// Fails if the file exists or cannot be written. An incomplete file is removed.
    ///
    /// # Examples
    /// ```
    /// use rdd_apiserver_storage::{RecordChange, Store, StoreOptions, WritePrecondition};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let dir = tempfile::tempdir()?;
    /// let store = Store::open(StoreOptions::in_memory())?;
    /// let change = RecordChange::put(|_| "hello".into());
    /// store.commit("greeting", WritePrecondition::Absent, change).await?;
    ///
    /// let backup = dir.path().join("backup.db");
    /// let summary = store.snapshot().back_up(&backup)?;
    /// assert_eq!(summary.records, 1);
    ///
    /// let database = dir.path().join("new.db");
    /// Store::restore(&backup, &database)?;
    /// let restored = Store::open(StoreOptions::file(&database))?;
    /// assert!(restored.snapshot().get("greeting").is_some());
    /// # restored.close().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn back_up(&self, path: &Path) -> Result<BackupSummary, BackupError> {
        database_files::create_private(&SystemInterface, path)?;
        write_file(path, self, self.revision(), &SystemClock::default())?;
        Ok(self.summary())
    }

    /// Writes a backup to a file that has no name, and opens it. `near` is a path
    /// whose directory has the space.
    ///
    /// # Errors
    /// As [`StoreSnapshot::back_up`]. Only one of these may run at a time for one
    /// path.
    pub fn back_up_unnamed(&self, near: &Path) -> Result<File, BackupError> {
        let path = database_files::with_suffix(near, ".backup");
        let temporary = database_files::create_temporary(&SystemInterface, &path)?;
        write_file(&temporary, self, self.revision(), &SystemClock::default())?;
        Ok(database_files::open_unnamed(&temporary)?)
    }

    fn summary(&self) -> BackupSummary {
        BackupSummary {
            records: self.len(),
            revision: self.revision(),
        }
    }
}

impl Store {
    /// Writes a backup of a database that no store has opened, without a change of
    /// it. Blocks until it is on disk.
    ///
    /// # Errors
    /// `Locked` if a store has opened it, `Missing` if there is none.
    pub fn back_up_closed(database: &Path, path: &Path) -> Result<BackupSummary, BackupError> {
        match database_files::inspect(&SystemInterface, database)? {
            DatabaseFileState::Present => {}
            DatabaseFileState::Missing => {
                return Err(BackupError::Missing {
                    path: database.to_owned(),
                });
            }
            DatabaseFileState::Damaged(detail) => return Err(damaged(database, detail)),
        }
        let Some(_lock) = database_files::lock(&SystemInterface, database)? else {
            return Err(BackupError::Locked {
                path: database.to_owned(),
            });
        };
        let connection = database::connect(database, &StoreOptions::file(database))
            .map_err(|source| database_error(database, source))?;
        read(&connection, database)?.back_up(path)
    }

    /// Reads and checks a backup. Blocks meanwhile.
    ///
    /// # Errors
    /// `NotBackup`, `NewerSchema`, and `Damaged`, which name the file.
    pub fn check_backup(path: &Path) -> Result<BackupSummary, BackupError> {
        Ok(read_backup(path)?.summary())
    }

    /// Replaces the database, which no store may have opened, with the content of a
    /// backup. Blocks until it is on disk.
    ///
    /// The database that was there is renamed, never deleted. All revisions of the
    /// new one are higher than those of both, and its history is empty: clients that
    /// resume at an earlier revision are told that it expired, and list again.
    ///
    /// # Errors
    /// `Locked` if a store has opened the database, those of
    /// [`Store::check_backup`], and `Io` or `Database` if there is no space: then
    /// nothing was changed. Otherwise, the error names the file that could not be
    /// renamed.
    pub fn restore(backup: &Path, database: &Path) -> Result<RestoreOutcome, BackupError> {
        let snapshot = read_backup(backup)?;
        let Some(_lock) = database_files::lock(&SystemInterface, database)? else {
            return Err(BackupError::Locked {
                path: database.to_owned(),
            });
        };
        let earlier = match database_files::inspect(&SystemInterface, database)? {
            DatabaseFileState::Missing => EarlierDatabase::None,
            DatabaseFileState::Damaged(_) => EarlierDatabase::Unreadable,
            DatabaseFileState::Present => EarlierDatabase::read(database),
        };
        let clock = SystemClock::default();
        let first = database::first_revision(&clock)
            .max(snapshot.revision())
            .max(earlier.revision());
        let temporary = database_files::create_temporary(&SystemInterface, database)?;
        write_file(&temporary, &snapshot, first, &clock)?;
        let replaced = match earlier {
            EarlierDatabase::None => {
                database_files::rename_into_place(&SystemInterface, &temporary, database)?;
                None
            }
            earlier => {
                let is_closed = matches!(earlier, EarlierDatabase::Closed { .. });
                Some(database_files::replace(&temporary, database, is_closed)?)
            }
        };
        Ok(RestoreOutcome {
            backup: snapshot.summary(),
            replaced,
        })
    }
}

/// The database that a restoration replaces.
enum EarlierDatabase {
    None,
    /// It is complete without its log.
    Closed {
        revision: u64,
    },
    /// It may be the reason for the restoration.
    Unreadable,
}

impl EarlierDatabase {
    fn read(path: &Path) -> Self {
        // SQLite would delete the log beside a file that is not a database.
        match read_header(path) {
            Ok(header) if header.starts_with(MAGIC) => {}
            _ => return Self::Unreadable,
        }
        match last_revision(path) {
            Ok(revision) => Self::Closed { revision },
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the database that is replaced cannot be read");
                Self::Unreadable
            }
        }
    }

    fn revision(&self) -> u64 {
        match self {
            Self::Closed { revision } => *revision,
            Self::None | Self::Unreadable => 0,
        }
    }
}

/// Reads the last revision of a database, and moves its log into the main file.
fn last_revision(path: &Path) -> rusqlite::Result<u64> {
    let connection = database::connect(path, &StoreOptions::file(path))?;
    let revision = connection.query_row(
        "SELECT max(compacted, (SELECT coalesce(max(revision), 0) FROM log)) FROM history",
        [],
        |row| row.get(0),
    )?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(revision)
}

/// Writes the records to an empty file, as a database whose history begins after
/// `compacted`. An incomplete file is removed: it may be what fills the disk.
fn write_file(
    path: &Path,
    snapshot: &StoreSnapshot,
    compacted: u64,
    clock: &dyn Clock,
) -> Result<(), BackupError> {
    let mut records: Vec<_> = snapshot.range("", None).collect();
    records.sort_unstable_by_key(|record| record.revision);
    let written = write_records(path, &records, compacted, clock::since_epoch(clock))
        .map_err(|source| database_error(path, source))
        .and_then(|()| Ok(database_files::sync(path)?));
    if written.is_err()
        && let Err(error) = std::fs::remove_file(path)
    {
        tracing::warn!(path = %path.display(), %error, "cannot remove an incomplete backup");
    }
    written
}

fn write_records(
    path: &Path,
    records: &[&Arc<StoredRecord>],
    compacted: u64,
    now: Duration,
) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // The file counts only once it is complete and synced.
    connection.pragma_update(None, "journal_mode", "MEMORY")?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    database::create_tables(&connection, compacted)?;
    let transaction = connection.unchecked_transaction()?;
    let mut insert = transaction.prepare(database::INSERT_ROW)?;
    for record in records {
        database::insert_row(&mut insert, &LogRow::from_record(record, now))?;
    }
    drop(insert);
    transaction.commit()?;
    connection.close().map_err(|(_, error)| error)
}

fn read_header(path: &Path) -> io::Result<[u8; HEADER_BYTES]> {
    let mut header = [0; HEADER_BYTES];
    File::open(path)?.read_exact(&mut header)?;
    Ok(header)
}

fn read_backup(path: &Path) -> Result<StoreSnapshot, BackupError> {
    let not_backup = |detail| BackupError::NotBackup {
        path: path.to_owned(),
        detail,
    };
    let header = match read_header(path) {
        Ok(header) => header,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(not_backup("it is too short"));
        }
        Err(source) => {
            return Err(BackupError::Io {
                action: "read",
                path: path.to_owned(),
                source,
            });
        }
    };
    if header.get(WRITE_VERSION_AT) == Some(&WITH_LOG) {
        return Err(not_backup(
            "it was copied from a state directory, and may be incomplete; put it into one again, and back that up",
        ));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).map_err(|source| database_error(path, source))?;
    read(&connection, path)
}

/// Reads and checks all records of a database.
fn read(connection: &Connection, path: &Path) -> Result<StoreSnapshot, BackupError> {
    let format = database::read_format(connection).map_err(|error| database_error(path, error))?;
    match format {
        DatabaseFormat::Supported => {}
        DatabaseFormat::Foreign => {
            return Err(BackupError::NotBackup {
                path: path.to_owned(),
                detail: "another program wrote it",
            });
        }
        DatabaseFormat::Newer { found, supported } => {
            return Err(BackupError::NewerSchema {
                path: path.to_owned(),
                found,
                supported,
            });
        }
    }
    match load::load(connection, &StoreOptions::in_memory()) {
        Ok(loaded) => Ok(loaded.state.snapshot()),
        Err(LoadError::Damaged(detail)) => Err(damaged(path, detail)),
        Err(LoadError::Database(source)) => Err(database_error(path, source)),
    }
}

fn damaged(path: &Path, detail: impl Into<String>) -> BackupError {
    BackupError::Damaged {
        path: path.to_owned(),
        detail: detail.into(),
    }
}

fn database_error(path: &Path, source: rusqlite::Error) -> BackupError {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    match source.sqlite_error_code() {
        Some(NotADatabase) => BackupError::NotBackup {
            path: path.to_owned(),
            detail: "it is not a database",
        },
        Some(DatabaseCorrupt) => damaged(path, source.to_string()),
        _ => BackupError::Database {
            path: path.to_owned(),
            source,
        },
    }
}
