use std::collections::VecDeque;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::error::{CommitError, OpenError};
use crate::files::{self, Found};
use crate::load;
use crate::options::StoreOptions;
use crate::record::{EventKind, StoreEvent};
use crate::row::{self, Row};
use crate::snapshot::State;

/// Marks a file as a database of this store: "rdds".
const APPLICATION: i64 = 0x7264_6473;

/// The version of the tables below; rises with each change to them.
const SCHEMA: i64 = 1;

/// One table holds both the log and the current rows: a write appends one row
/// at the end and touches no other page. `replaces` names the row that it
/// makes obsolete, 0 for none; `at` counts milliseconds since 1970.
/// `history.compacted` is where the log begins, and at least the revision of
/// every row that was ever removed: revisions go on from there.
const TABLES: &str = "
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
const WAL_REST: i64 = 16 << 20;

/// Statements that are kept prepared: all there are.
const STATEMENTS: usize = 8;

/// Bytes above the size limit for deletions: a thousand of them.
const RESERVE: u64 = 1 << 20;

/// How far a write may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// Up to the size limit.
    Limit,
    /// Into what is set aside for writes that make room in the end.
    Reserve,
}

/// A row that nobody can ask for once history begins at `compacted`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Obsolete {
    pub(crate) row: u64,
    pub(crate) compacted: u64,
}

impl Obsolete {
    /// What nobody can ask for once `event` is forgotten.
    pub(crate) fn after(event: &StoreEvent) -> impl Iterator<Item = Self> + use<> {
        let compacted = event.revision;
        let replaced = event.previous.as_ref().map(|record| record.revision);
        let deletion = (event.kind == EventKind::Deleted).then_some(event.revision);
        let rows = replaced.into_iter().chain(deletion);
        rows.map(move |row| Self { row, compacted })
    }
}

/// The open database; only the writer thread has it.
#[derive(Debug)]
pub(crate) struct Database {
    connection: Connection,
    size_limit: Option<u64>,
    /// Last, so that it is given free after SQLite has closed the file.
    _lock: Option<File>,
}

/// An open database and what it holds.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) database: Database,
    pub(crate) state: State,
    pub(crate) obsolete: VecDeque<Obsolete>,
}

pub(crate) fn open(options: &StoreOptions) -> Result<Opened, OpenError> {
    match &options.path {
        Some(path) => open_file(path, options),
        None => {
            let path = Path::new(":memory:");
            let failed = |source| failed(path, source);
            let connection = Connection::open_in_memory().map_err(failed)?;
            create_tables(&connection, options).map_err(failed)?;
            finish(connection, None, path, options)
        }
    }
}

fn open_file(path: &Path, options: &StoreOptions) -> Result<Opened, OpenError> {
    let Some(lock) = files::lock(path)? else {
        return Err(OpenError::Locked {
            path: path.to_owned(),
        });
    };
    match files::look(path)? {
        Found::Nothing => create(path, options)?,
        Found::Database => files::make_private(path)?,
        Found::Damaged(detail) => return Err(damaged(path, detail)),
    }
    let connection = connect(path).map_err(|source| failed(path, source))?;
    finish(connection, Some(lock), path, options)
}

/// Makes a database under another name first: what has the name is whole.
fn create(path: &Path, options: &StoreOptions) -> Result<(), OpenError> {
    let unfinished = files::unfinished(path)?;
    let failed = |source| failed(path, source);
    let connection = connect(&unfinished).map_err(failed)?;
    create_tables(&connection, options).map_err(failed)?;
    connection.close().map_err(|(_, source)| failed(source))?;
    files::finish(&unfinished, path)?;
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
    connection.pragma_update(None, "journal_size_limit", WAL_REST)?;
    Ok(connection)
}

fn create_tables(connection: &Connection, options: &StoreOptions) -> rusqlite::Result<()> {
    // Microseconds since 1970: more than any earlier database of this place
    // reached, unless it wrote a million times a second, and below 2^53,
    // where JavaScript's numbers end.
    let first = u64::try_from(options.clock.wall().as_micros()).unwrap_or(u64::MAX >> 1);
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", SCHEMA)?;
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
) -> Result<Opened, OpenError> {
    let failed = |source| failed(path, source);
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    if pragma("application_id").map_err(failed)? != APPLICATION {
        return Err(damaged(path, "it is no database of this program"));
    }
    let found = pragma("user_version").map_err(failed)?;
    if found > SCHEMA {
        return Err(OpenError::NewerSchema {
            path: path.to_owned(),
            found,
            supported: SCHEMA,
        });
    }
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    let loaded = load::load(&connection, options).map_err(|error| match error {
        load::LoadError::Damaged(detail) => damaged(path, detail),
        load::LoadError::Database(source) => failed(source),
    })?;
    let database = Database {
        connection,
        size_limit: options.size_limit,
        _lock: lock,
    };
    database.limit(Room::Limit).map_err(failed)?;
    Ok(Opened {
        database,
        state: loaded.state,
        obsolete: loaded.obsolete,
    })
}

impl Database {
    /// Appends the events and removes obsolete rows, all or nothing; on disk
    /// when it returns.
    pub(crate) fn write<'a>(
        &mut self,
        events: &[Arc<StoreEvent>],
        wall: Duration,
        obsolete: impl Iterator<Item = &'a Obsolete>,
        room: Room,
    ) -> rusqlite::Result<()> {
        if room == Room::Limit {
            return self.transact(events, wall, obsolete);
        }
        self.limit(Room::Reserve)?;
        let written = self.transact(events, wall, obsolete);
        self.limit(Room::Limit)?;
        written
    }

    fn limit(&self, room: Room) -> rusqlite::Result<()> {
        let Some(limit) = self.size_limit else {
            return Ok(());
        };
        let bytes = match room {
            Room::Limit => limit,
            Room::Reserve => limit.saturating_add(RESERVE),
        };
        let connection = &self.connection;
        let page = connection.pragma_query_value(None, "page_size", |row| row.get::<_, u64>(0))?;
        // At least one page, because 0 means no change.
        let pages = (bytes / page.max(1)).clamp(1, u32::MAX.into());
        connection.pragma_update(None, "max_page_count", pages)
    }

    fn transact<'a>(
        &mut self,
        events: &[Arc<StoreEvent>],
        wall: Duration,
        obsolete: impl Iterator<Item = &'a Obsolete>,
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
                let row = Row::of(event, wall);
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

fn damaged(path: &Path, detail: impl Into<String>) -> OpenError {
    OpenError::Damaged {
        path: path.to_owned(),
        detail: detail.into(),
    }
}

fn failed(path: &Path, source: rusqlite::Error) -> OpenError {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseCorrupt, NotADatabase};
    match source.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => damaged(path, source.to_string()),
        // Somebody looks into the file with a tool that knows no lock file.
        Some(DatabaseBusy) => OpenError::Locked {
            path: path.to_owned(),
        },
        _ => OpenError::Database {
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
