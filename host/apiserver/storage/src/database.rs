//! The SQLite database: its tables, durability settings, and transactions.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::checkpoint::{self, CheckpointTimer};
use crate::clock::{self, Clock};
use crate::database_files::{self, DatabaseFileState, DatabaseLock};
use crate::error::{CommitError, StoreOpenError};
use crate::load;
use crate::options::StoreOptions;
use crate::record::StoreEvent;
use crate::row::{self, LogRow};
use crate::snapshot::StoreState;
use crate::superseded_row::SupersededRow;

/// The `application_id` of this store's databases: "rdds".
const APPLICATION_ID: i64 = 0x7264_6473;

/// The version of the tables below. Increase it with each change to them.
const SCHEMA_VERSION: i64 = 1;

/// One table holds both the history and the live rows: a write appends one row
/// at the end and changes no other page. `replaces` is the revision of the row
/// that it supersedes, 0 for none; `at` is in milliseconds since 1970.
/// `history.compacted` is the revision after which the history begins. It is
/// at least the revision of each row that was ever deleted; later revisions
/// are higher.
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

/// The statement of [`insert_row`].
pub(crate) const INSERT_ROW: &str =
    "INSERT INTO log (revision, kind, at, replaces, key, value, checksum)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

/// The size of the write-ahead log that stays on disk after a checkpoint, in
/// bytes.
const MAX_WAL_BYTES: i64 = 16 << 20;

/// The number of prepared statements that are cached: more than there are.
const MAX_CACHED_STATEMENTS: usize = 8;

/// The space above the size limit that is reserved for deletions, in bytes:
/// enough for a thousand of them.
const RESERVE_BYTES: u64 = 1 << 20;

/// The space that a write may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpaceBudget {
    /// The size limit.
    Regular,
    /// The size limit and the reserve, for writes that free space in the end.
    Reserve,
}

/// The connection to the database. Only the writer thread holds it.
#[derive(Debug)]
pub(crate) struct DatabaseConnection {
    connection: Connection,
    size_limit: Option<u64>,
    /// The limit that is in force.
    budget: SpaceBudget,
    checkpoints: CheckpointTimer,
    /// The last field, so that the lock is released after SQLite has closed
    /// the file.
    _lock: Option<DatabaseLock>,
}

/// An open database and its content.
#[derive(Debug)]
pub(crate) struct OpenDatabase {
    pub(crate) database: DatabaseConnection,
    pub(crate) state: StoreState,
    pub(crate) superseded: VecDeque<SupersededRow>,
}

pub(crate) fn open(options: &StoreOptions) -> Result<OpenDatabase, StoreOpenError> {
    match &options.path {
        Some(path) => open_file(path, options),
        None => {
            let path = Path::new(":memory:");
            let open_error = |source| open_error(path, source);
            let connection = Connection::open_in_memory().map_err(open_error)?;
            create_tables(&connection, first_revision(&*options.clock)).map_err(open_error)?;
            load(connection, None, path, options)
        }
    }
}

fn open_file(path: &Path, options: &StoreOptions) -> Result<OpenDatabase, StoreOpenError> {
    let files = &*options.files;
    let Some(lock) = database_files::lock(files, path)? else {
        return Err(StoreOpenError::Locked {
            path: path.to_owned(),
        });
    };
    match database_files::inspect(files, path)? {
        DatabaseFileState::Missing => create(path, options)?,
        DatabaseFileState::Present => {
            database_files::restrict_to_owner(files, path)?;
            database_files::sync_recovered(files, path)?;
        }
        DatabaseFileState::Damaged(detail) => return Err(damaged(path, detail)),
    }
    let connection = connect(path, options).map_err(|source| open_error(path, source))?;
    load(connection, Some(lock), path, options)
}

/// Creates a database under a temporary name and renames it, so that the file
/// at `path` is always complete.
fn create(path: &Path, options: &StoreOptions) -> Result<(), StoreOpenError> {
    let temporary = database_files::create_temporary(&*options.files, path)?;
    let open_error = |source| open_error(path, source);
    let connection = connect(&temporary, options).map_err(open_error)?;
    create_tables(&connection, first_revision(&*options.clock)).map_err(open_error)?;
    // Closing does the same and ignores its errors, and only the main file is renamed.
    checkpoint::truncate(&connection).map_err(open_error)?;
    connection
        .close()
        .map_err(|(_, source)| open_error(source))?;
    database_files::rename_into_place(&*options.files, &temporary, path)?;
    Ok(())
}

/// Opens a connection that no other process shares.
pub(crate) fn connect(path: &Path, options: &StoreOptions) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match options.files.vfs() {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs)?,
        None => Connection::open_with_flags(path, flags)?,
    };
    // While the store is open, the state in memory is authoritative and no
    // other process may write. SQLite also needs no shared-memory file in this mode.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // On macOS, a plain fsync leaves the data in the drive's cache.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    // The writer does it, by `CheckpointTimer`.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", MAX_WAL_BYTES)?;
    Ok(connection)
}

/// Returns the revision after which the history of a new database begins:
/// microseconds since 1970. That is higher than any revision of an earlier database
/// at this path, unless it had a million writes per second, and below 2^53, the
/// limit of exact integers in JavaScript.
pub(crate) fn first_revision(clock: &dyn Clock) -> u64 {
    let now = clock::since_epoch(clock);
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX >> 1)
}

/// Creates the tables of a database whose history begins after `compacted`.
pub(crate) fn create_tables(connection: &Connection, compacted: u64) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(CREATE_TABLES)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.execute(
        "INSERT INTO history (id, compacted, checksum) VALUES (1, ?1, ?2)",
        (compacted, row::history_checksum(compacted)),
    )?;
    transaction.commit()
}

/// What the header of a database says about its content.
pub(crate) enum DatabaseFormat {
    Supported,
    /// Another program wrote it.
    Foreign,
    /// A newer version of this program wrote it.
    Newer {
        found: i64,
        supported: i64,
    },
}

/// Reads whose database it is, and of which version.
pub(crate) fn read_format(connection: &Connection) -> rusqlite::Result<DatabaseFormat> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    if pragma("application_id")? != APPLICATION_ID {
        return Ok(DatabaseFormat::Foreign);
    }
    let found = pragma("user_version")?;
    if found > SCHEMA_VERSION {
        return Ok(DatabaseFormat::Newer {
            found,
            supported: SCHEMA_VERSION,
        });
    }
    Ok(DatabaseFormat::Supported)
}

fn load(
    connection: Connection,
    lock: Option<DatabaseLock>,
    path: &Path,
    options: &StoreOptions,
) -> Result<OpenDatabase, StoreOpenError> {
    let open_error = |source| open_error(path, source);
    match read_format(&connection).map_err(open_error)? {
        DatabaseFormat::Supported => {}
        DatabaseFormat::Foreign => {
            return Err(damaged(path, "it is not a database of this program"));
        }
        DatabaseFormat::Newer { found, supported } => {
            return Err(StoreOpenError::NewerSchema {
                path: path.to_owned(),
                found,
                supported,
            });
        }
    }
    connection.set_prepared_statement_cache_capacity(MAX_CACHED_STATEMENTS);
    let loaded = load::load(&connection, options).map_err(|error| match error {
        load::LoadError::Damaged(detail) => damaged(path, detail),
        load::LoadError::Database(source) => open_error(source),
    })?;
    let database = DatabaseConnection {
        connection,
        size_limit: options.size_limit,
        budget: SpaceBudget::Regular,
        checkpoints: CheckpointTimer::new(options.checkpoint_pages),
        _lock: lock,
    };
    database
        .set_size_limit(SpaceBudget::Regular)
        .map_err(open_error)?;
    Ok(OpenDatabase {
        database,
        state: loaded.state,
        superseded: loaded.superseded,
    })
}

impl DatabaseConnection {
    /// Appends the events and deletes superseded rows, in one transaction that
    /// is on disk when this returns.
    pub(crate) fn write<'a>(
        &mut self,
        events: &[Arc<StoreEvent>],
        now: Duration,
        superseded: impl Iterator<Item = &'a SupersededRow>,
        budget: SpaceBudget,
    ) -> rusqlite::Result<()> {
        // Before the transaction and never after it: what was committed has no errors.
        if self.budget != budget {
            self.set_size_limit(budget)?;
            self.budget = budget;
        }
        self.write_transaction(events, now, superseded)
    }

    fn set_size_limit(&self, budget: SpaceBudget) -> rusqlite::Result<()> {
        let Some(limit) = self.size_limit else {
            return Ok(());
        };
        let bytes = match budget {
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
        now: Duration,
        superseded: impl Iterator<Item = &'a SupersededRow>,
    ) -> rusqlite::Result<()> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut insert = transaction.prepare_cached(INSERT_ROW)?;
            for event in events {
                insert_row(&mut insert, &LogRow::from_event(event, now))?;
            }
            let mut compacted = None;
            let mut delete = transaction.prepare_cached("DELETE FROM log WHERE revision = ?1")?;
            for row in superseded {
                delete.execute([row.revision])?;
                compacted = compacted.max(Some(row.compacted));
            }
            if let Some(compacted) = compacted {
                transaction
                    .prepare_cached("UPDATE history SET compacted = ?1, checksum = ?2")?
                    .execute((compacted, row::history_checksum(compacted)))?;
            }
        }
        transaction.commit()
    }

    /// Checkpoints the write-ahead log once it is long.
    pub(crate) fn checkpoint_if_due(&mut self) -> rusqlite::Result<()> {
        self.checkpoints.run_if_due(&self.connection)
    }

    /// Moves the content of the write-ahead log into the main file, and empties it.
    pub(crate) fn checkpoint(&self) -> rusqlite::Result<()> {
        checkpoint::truncate(&self.connection)
    }
}

/// Runs [`INSERT_ROW`].
pub(crate) fn insert_row(
    insert: &mut rusqlite::Statement<'_>,
    row: &LogRow<'_>,
) -> rusqlite::Result<()> {
    insert.execute((
        row.revision,
        row.kind,
        row.at,
        row.replaces,
        row.key,
        row.value,
        row.checksum(),
    ))?;
    Ok(())
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
        // A tool that ignores the lock file has opened the database.
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
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full,
            _ => Self::Storage(Arc::new(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_on_disk_before_it_is_acknowledged() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("some.db");
        drop(open_file(&path, &StoreOptions::file(&path)).unwrap());
        let connection = connect(&path, &StoreOptions::in_memory()).unwrap();
        let text = |name| connection.pragma_query_value(None, name, |row| row.get::<_, String>(0));
        let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        assert_eq!(text("journal_mode").unwrap(), "wal");
        assert_eq!(text("locking_mode").unwrap(), "exclusive");
        // 2 is FULL: each commit syncs the write-ahead log.
        assert_eq!(number("synchronous").unwrap(), 2);
        assert_eq!(number("fullfsync").unwrap(), 1);
    }
}
