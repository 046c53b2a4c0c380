use std::collections::VecDeque;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::database_files::{self, DatabaseFileState};
use crate::error::{CommitError, StoreOpenError};
use crate::load;
use crate::options::StoreOptions;
use crate::record::{EventKind, StoreEvent};
use crate::row::{self, LogRow};
use crate::snapshot::StoreState;

/// Marks a file as a database of this store: "rdds".
const APPLICATION_ID: i64 = 0x7264_6473;

/// The version of the tables below; rises with each change to them.
const SCHEMA_VERSION: i64 = 1;

/// One table holds both the log and the current rows: a write appends one row
/// at the end and touches no other page. `replaces` names the row that it
/// makes obsolete, 0 for none; `at` counts milliseconds since 1970.
/// `history.compacted` is where the log begins, and at least the revision of
/// every row that was ever removed: revisions go on from there.
const CREATE_TABLES: &str = "
    CREATE TABLE log (
        revision INTEGER PRIMARY KEY,
        kind     INTEGER NOT NULL,
        at       INTEGER NOT NULL,
        replaces INTEGER NOT NULL,
        key      TEXT    NOT NULL,
        value    BLOB    NOT NULL,
        checksum INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE history (
        id        INTEGER PRIMARY KEY CHECK (id = 1),
        compacted INTEGER NOT NULL,
        checksum  INTEGER NOT NULL
    ) STRICT;
";

/// Pages in the write-ahead log before they are moved to the main file: 16 MB.
/// Rarely enough to stay off most commits, small enough to replay at once.
const CHECKPOINT_PAGES: i64 = 4_000;

/// What the write-ahead log keeps on disk after a checkpoint, in bytes.
const MAX_WAL_BYTES: i64 = 16 << 20;

/// Statements that are kept prepared: all there are.
const MAX_CACHED_STATEMENTS: usize = 8;

/// Bytes above the size limit for deletions: a thousand of them.
const RESERVE_BYTES: u64 = 1 << 20;

/// How far a write may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpaceBudget {
    /// Up to the size limit.
    Regular,
    /// Into what is set aside for writes that make room in the end.
    Reserve,
}

/// A row that nobody can ask for once history begins at `compacted`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SupersededRow {
    pub(crate) row: u64,
    pub(crate) compacted: u64,
}

impl SupersededRow {
    /// What nobody can ask for once `event` is forgotten.
    pub(crate) fn superseded_by(event: &StoreEvent) -> impl Iterator<Item = Self> + use<> {
        let compacted = event.revision;
        let replaced = event.previous.as_ref().map(|record| record.revision);
        let deletion = (event.kind == EventKind::Deleted).then_some(event.revision);
        let rows = replaced.into_iter().chain(deletion);
        rows.map(move |row| Self { row, compacted })
    }
}

/// The open database; only the writer thread has it.
#[derive(Debug)]
pub(crate) struct DatabaseConnection {
    connection: Connection,
    size_limit: Option<u64>,
    /// Last, so that it is given free after SQLite has closed the file.
    _lock: Option<File>,
}

/// An open database and what it holds.
#[derive(Debug)]
pub(crate) struct OpenDatabase {
    pub(crate) database: DatabaseConnection,
    pub(crate) state: StoreState,
    pub(crate) obsolete: VecDeque<SupersededRow>,
}

pub(crate) fn open(options: &StoreOptions) -> Result<OpenDatabase, StoreOpenError> {
    match &options.path {
        Some(path) => open_file(path, options),
        None => {
            let path = Path::new(":memory:");
            let failed = |source| open_error(path, source);
            let connection = Connection::open_in_memory().map_err(failed)?;
            create_tables(&connection, options).map_err(failed)?;
            finish(connection, None, path, options)
        }
    }
}

fn open_file(path: &Path, options: &StoreOptions) -> Result<OpenDatabase, StoreOpenError> {
    let Some(lock) = database_files::lock(path)? else {
        return Err(StoreOpenError::Locked {
            path: path.to_owned(),
        });
    };
    match database_files::inspect(path)? {
        DatabaseFileState::Missing => create(path, options)?,
        DatabaseFileState::Database => database_files::restrict_to_owner(path)?,
        DatabaseFileState::Damaged(detail) => return Err(damaged(path, detail)),
    }
    let connection = connect(path).map_err(|source| open_error(path, source))?;
    finish(connection, Some(lock), path, options)
}

/// Makes a database under another name first: what has the name is whole.
fn create(path: &Path, options: &StoreOptions) -> Result<(), StoreOpenError> {
    let unfinished = database_files::create_temporary(path)?;
    let failed = |source| open_error(path, source);
    let connection = connect(&unfinished).map_err(failed)?;
    create_tables(&connection, options).map_err(failed)?;
    connection.close().map_err(|(_, source)| failed(source))?;
    database_files::rename_into_place(&unfinished, path)?;
    Ok(())
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // The memory above is the truth while the store is open: nobody else may
    // write, and SQLite needs no shared memory file either.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // On macOS a plain fsync leaves the data in the drive's cache.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", MAX_WAL_BYTES)?;
    Ok(connection)
}

fn create_tables(connection: &Connection, options: &StoreOptions) -> rusqlite::Result<()> {
    // Microseconds since 1970: more than any earlier database of this place
    // reached, unless it wrote a million times a second, and below 2^53,
    // where JavaScript's numbers end.
    let first = u64::try_from(options.clock.wall().as_micros()).unwrap_or(u64::MAX >> 1);
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(CREATE_TABLES)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.execute(
        "INSERT INTO history (id, compacted, checksum) VALUES (1, ?1, ?2)",
        (first, row::history_checksum(first)),
    )?;
    transaction.commit()
}

fn finish(
    connection: Connection,
    lock: Option<File>,
    path: &Path,
    options: &StoreOptions,
) -> Result<OpenDatabase, StoreOpenError> {
    let failed = |source| open_error(path, source);
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    if pragma("application_id").map_err(failed)? != APPLICATION_ID {
        return Err(damaged(path, "it is no database of this program"));
    }
    let found = pragma("user_version").map_err(failed)?;
    if found > SCHEMA_VERSION {
        return Err(StoreOpenError::NewerSchema {
            path: path.to_owned(),
            found,
            supported: SCHEMA_VERSION,
        });
    }
    connection.set_prepared_statement_cache_capacity(MAX_CACHED_STATEMENTS);
    let loaded = load::load(&connection, options).map_err(|error| match error {
        load::LoadError::Damaged(detail) => damaged(path, detail),
        load::LoadError::Database(source) => failed(source),
    })?;
    let database = DatabaseConnection {
        connection,
        size_limit: options.size_limit,
        _lock: lock,
    };
    database
        .set_size_limit(SpaceBudget::Regular)
        .map_err(failed)?;
    Ok(OpenDatabase {
        database,
        state: loaded.state,
        obsolete: loaded.obsolete,
    })
}

impl DatabaseConnection {
    /// Appends the events and removes obsolete rows, all or nothing; on disk
    /// when it returns.
    pub(crate) fn write<'a>(
        &mut self,
        events: &[Arc<StoreEvent>],
        wall: Duration,
        obsolete: impl Iterator<Item = &'a SupersededRow>,
        room: SpaceBudget,
    ) -> rusqlite::Result<()> {
        if room == SpaceBudget::Regular {
            return self.write_transaction(events, wall, obsolete);
        }
        self.set_size_limit(SpaceBudget::Reserve)?;
        let written = self.write_transaction(events, wall, obsolete);
        self.set_size_limit(SpaceBudget::Regular)?;
        written
    }

    fn set_size_limit(&self, room: SpaceBudget) -> rusqlite::Result<()> {
        let Some(limit) = self.size_limit else {
            return Ok(());
        };
        let bytes = match room {
            SpaceBudget::Regular => limit,
            SpaceBudget::Reserve => limit.saturating_add(RESERVE_BYTES),
        };
        let connection = &self.connection;
        let page = connection.pragma_query_value(None, "page_size", |row| row.get::<_, u64>(0))?;
        // At least one page, because 0 means no change.
        let pages = (bytes / page.max(1)).clamp(1, u32::MAX.into());
        connection.pragma_update(None, "max_page_count", pages)
    }

    fn write_transaction<'a>(
        &mut self,
        events: &[Arc<StoreEvent>],
        wall: Duration,
        obsolete: impl Iterator<Item = &'a SupersededRow>,
    ) -> rusqlite::Result<()> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO log (revision, kind, at, replaces, key, value, checksum)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?;
            for event in events {
                let row = LogRow::from_event(event, wall);
                insert.execute((
                    row.revision,
                    row.kind,
                    row.at,
                    row.replaces,
                    row.key,
                    row.value,
                    row.checksum(),
                ))?;
            }
            let mut compacted = None;
            let mut delete = transaction.prepare_cached("DELETE FROM log WHERE revision = ?1")?;
            for obsolete in obsolete {
                delete.execute([obsolete.row])?;
                compacted = compacted.max(Some(obsolete.compacted));
            }
            if let Some(compacted) = compacted {
                transaction
                    .prepare_cached("UPDATE history SET compacted = ?1, checksum = ?2")?
                    .execute((compacted, row::history_checksum(compacted)))?;
            }
        }
        transaction.commit()
    }

    /// Moves the write-ahead log into the main file.
    pub(crate) fn checkpoint(&self) -> rusqlite::Result<()> {
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    }
}

fn damaged(path: &Path, detail: impl Into<String>) -> StoreOpenError {
    StoreOpenError::Damaged {
        path: path.to_owned(),
        detail: detail.into(),
    }
}

fn open_error(path: &Path, source: rusqlite::Error) -> StoreOpenError {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseCorrupt, NotADatabase};
    match source.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => damaged(path, source.to_string()),
        // Somebody looks into the file with a tool that knows no lock file.
        Some(DatabaseBusy) => StoreOpenError::Locked {
            path: path.to_owned(),
        },
        _ => StoreOpenError::Database {
            path: path.to_owned(),
            source,
        },
    }
}

impl From<rusqlite::Error> for CommitError {
    fn from(source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full,
            _ => Self::Storage {
                source: Arc::new(source),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_on_the_disk_before_it_is_acknowledged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("some.db");
        drop(open_file(&path, &StoreOptions::file(&path)).unwrap());
        let connection = connect(&path).unwrap();
        let text = |name| connection.pragma_query_value(None, name, |row| row.get::<_, String>(0));
        let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        assert_eq!(text("journal_mode").unwrap(), "wal");
        assert_eq!(text("locking_mode").unwrap(), "exclusive");
        // 2 is FULL: every commit waits for its part of the log.
        assert_eq!(number("synchronous").unwrap(), 2);
        assert_eq!(number("fullfsync").unwrap(), 1);
    }
}
