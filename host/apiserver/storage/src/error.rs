use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::record::StoredRecord;

/// Why a store did not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreOpenError {
    /// Another process, or another store of this one, holds the database.
    #[error(
        "another daemon is running on {}: stop it, or choose another state directory",
        path.display()
    )]
    Locked {
        /// The database file.
        path: PathBuf,
    },
    /// The file cannot be trusted. [`Store::set_aside`](crate::Store::set_aside)
    /// makes room for a new one.
    #[error(
        "database {} is damaged ({detail}): restore a backup, or set it aside and start with a new one",
        path.display()
    )]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// A newer program wrote the database.
    #[error(
        "database {} has schema version {found}, this program knows up to {supported}: run the newer program, or choose another state directory",
        path.display()
    )]
    NewerSchema {
        /// The database file.
        path: PathBuf,
        /// The version in the file.
        found: i64,
        /// The newest version that this program reads.
        supported: i64,
    },
    /// The operating system refused a step.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The step, as a verb.
        action: &'static str,
        /// The file it was about.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// SQLite refused a step for a reason that is no damage: disk full, no
    /// permission, out of memory.
    #[error("cannot open database {}", path.display())]
    Database {
        /// The database file.
        path: PathBuf,
        /// SQLite's answer.
        #[source]
        source: rusqlite::Error,
    },
    /// The writer thread did not start.
    #[error("cannot start the writer thread of the store")]
    Writer(#[source] io::Error),
}

/// Why a damaged database was not moved out of the way.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetAsideError {
    /// A running daemon holds it.
    #[error("another daemon is running on {}: stop it first", path.display())]
    Locked {
        /// The database file.
        path: PathBuf,
    },
    /// The operating system refused a step.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The step, as a verb.
        action: &'static str,
        /// The file it was about.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

/// Why a write did not take place.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// [`WritePrecondition::Absent`](crate::WritePrecondition::Absent), and the key exists.
    #[error("key {} exists at revision {}", .0.key, .0.revision)]
    Exists(Arc<StoredRecord>),
    /// [`WritePrecondition::Revision`](crate::WritePrecondition::Revision), and the record has another one.
    #[error("key {} is at revision {}, not the expected one", .0.key, .0.revision)]
    Mismatch(Arc<StoredRecord>),
    /// The [`RecordGuard`](crate::RecordGuard) of the write is gone or was changed: look
    /// at it again.
    #[error("the record that the write rests on was changed")]
    Guard,
    /// A delete, or a write that expects a revision, and the key does not exist.
    #[error("the key does not exist")]
    Missing,
    /// No room: nothing was written. Retry after space was made.
    #[error("no space left for the database: free some on its disk, or raise its size limit")]
    Full,
    /// The database failed. Whether the write took place is known only after
    /// the next start; retry with an expectation.
    #[error("the database failed: {source}")]
    Storage {
        /// SQLite's answer, shared by every write of the batch.
        #[source]
        source: Arc<rusqlite::Error>,
    },
    /// The caller's own encoder panicked: nothing was written.
    #[error("the value could not be encoded")]
    Encode,
    /// The store is closed: nothing was written, unless the writer thread
    /// broke down in the middle of this write.
    #[error("the store is closed")]
    Closed,
}

/// Why there is no snapshot of a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Too old: its history is gone.
    #[error("revision is older than {oldest}, the oldest that is kept: list again")]
    Compacted {
        /// The oldest revision that can be read.
        oldest: u64,
    },
    /// No write has that revision yet.
    #[error("revision is newer than the current one, {current}")]
    Future {
        /// The current revision.
        current: u64,
    },
}

/// Why a watch did not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    /// Events after the asked revision are gone.
    #[error("revision is older than {oldest}, the oldest that is kept: list again")]
    Compacted {
        /// The oldest revision that a watch may start after.
        oldest: u64,
    },
    /// No write has that revision yet.
    #[error("revision is newer than the current one, {current}")]
    Future {
        /// The current revision.
        current: u64,
    },
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

/// Why a watch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchEndReason {
    /// Events that this watcher had not taken yet are gone.
    #[error("the watcher fell behind the events that are kept: list again")]
    Lagged,
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}
