//! The errors of the store, one enum for each operation.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::record::StoredRecord;

/// An error of [`Store::open`](crate::Store::open).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreOpenError {
    /// Another process, or another store of this process, has opened the
    /// database.
    #[error(
        "another daemon is running on {}: stop it, or choose another state directory",
        path.display()
    )]
    Locked {
        /// The database file.
        path: PathBuf,
    },
    /// The content of the file cannot be trusted.
    /// [`Store::set_aside`](crate::Store::set_aside) renames it, so that a new
    /// database can be created.
    #[error(
        "database {} is damaged ({detail}): restore a backup, or set it aside and start with a new one",
        path.display()
    )]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A newer program wrote the database.
    #[error(
        "database {} has schema version {found}, this program supports up to {supported}: run the newer program, or choose another state directory",
        path.display()
    )]
    NewerSchema {
        /// The database file.
        path: PathBuf,
        /// The schema version of the file.
        found: i64,
        /// The newest schema version that this program reads.
        supported: i64,
    },
    /// A file operation failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The operation, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// SQLite failed for a reason other than damage: disk full, no permission,
    /// out of memory.
    #[error("cannot open database {}", path.display())]
    Database {
        /// The database file.
        path: PathBuf,
        /// The error of SQLite.
        #[source]
        source: rusqlite::Error,
    },
    /// The writer thread did not start.
    #[error("cannot start the writer thread of the store")]
    Writer(#[source] io::Error),
}

/// An error of [`Store::set_aside`](crate::Store::set_aside).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetAsideError {
    /// A running daemon has opened the database.
    #[error("another daemon is running on {}: stop it first", path.display())]
    Locked {
        /// The database file.
        path: PathBuf,
    },
    /// A file operation failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The operation, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
}

/// An error of a backup, or of its restoration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// A running daemon has opened the database.
    #[error("another daemon is running on {}: stop it first", path.display())]
    Locked {
        /// The database file.
        path: PathBuf,
    },
    /// There is nothing to back up.
    #[error("there is no database {}", path.display())]
    Missing {
        /// The database file.
        path: PathBuf,
    },
    /// The file is not a backup.
    #[error("{} is not a backup: {detail}", path.display())]
    NotBackup {
        /// The file.
        path: PathBuf,
        /// What it is.
        detail: &'static str,
    },
    /// The content of the file cannot be trusted.
    #[error("{} is damaged: {detail}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A newer program wrote the file.
    #[error(
        "{} has schema version {found}, this program supports up to {supported}: use the newer program",
        path.display()
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// The schema version of the file.
        found: i64,
        /// The newest schema version that this program reads.
        supported: i64,
    },
    /// A file operation failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The operation, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// SQLite failed for a reason other than damage: disk full, no permission.
    #[error("cannot read or write database {}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// The error of SQLite.
        #[source]
        source: rusqlite::Error,
    },
}

/// An error of [`Store::commit`](crate::Store::commit).
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The precondition was
    /// [`WritePrecondition::Absent`](crate::WritePrecondition::Absent), and
    /// the key exists.
    #[error("key {} exists at revision {}", .0.key, .0.revision)]
    Exists(Arc<StoredRecord>),
    /// The precondition was
    /// [`WritePrecondition::Revision`](crate::WritePrecondition::Revision),
    /// and the record has another revision.
    #[error("key {} is at revision {}, not the expected one", .0.key, .0.revision)]
    Mismatch(Arc<StoredRecord>),
    /// A record of a [`RecordGuard`](crate::RecordGuard) was changed or
    /// deleted: read it again.
    #[error("a record that the write depends on was changed")]
    Guard,
    /// The key of a delete, or of a write that expects a revision, does not
    /// exist.
    #[error("the key does not exist")]
    Missing,
    /// There is no space left, and nothing was written. Retry after space was
    /// freed.
    #[error("no space left for the database: free some on its disk, or raise its size limit")]
    Full,
    /// The database failed, with the error that all writes of the batch share.
    /// Whether the write is durable is only known after the next start; retry
    /// with a precondition.
    #[error("the database failed: {0}")]
    Storage(Arc<rusqlite::Error>),
    /// The caller's encoder panicked, and nothing was written.
    #[error("the value could not be encoded")]
    Encode,
    /// The store is closed, and nothing was written, unless the writer thread
    /// panicked in the middle of this write.
    #[error("the store is closed")]
    Closed,
}

/// An error of [`Store::snapshot_at`](crate::Store::snapshot_at).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The revision was compacted.
    #[error("revision is older than {oldest}, the oldest that is kept: list again")]
    Compacted {
        /// The oldest revision that can be read.
        oldest: u64,
    },
    /// No write has the revision yet.
    #[error("revision is newer than the current one, {current}")]
    Future {
        /// The current revision.
        current: u64,
    },
}

/// An error of [`Store::watch`](crate::Store::watch).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    /// Events after the requested revision were compacted.
    #[error("revision is older than {oldest}, the oldest that is kept: list again")]
    Compacted {
        /// The oldest revision that a watch can start from.
        oldest: u64,
    },
    /// No write has the revision yet.
    #[error("revision is newer than the current one, {current}")]
    Future {
        /// The current revision.
        current: u64,
    },
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

/// The reason why a watch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchEndReason {
    /// Events that the watcher had not read yet were compacted.
    #[error("the watcher fell behind the events that are kept: list again")]
    Lagged,
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

/// The reason why the writer thread exited before the store was closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriterError {
    /// The thread panicked with this message.
    #[error("{0}")]
    Panicked(String),
    /// The thread exited without a report.
    #[error("the writer thread exited")]
    Exited,
}
