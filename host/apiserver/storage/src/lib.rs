//! A revisioned key-value store on SQLite: what etcd is to a Kubernetes API
//! server, for one process and one file.
//!
//! Keys are text in byte order, values are opaque bytes, and each write has a
//! revision. [`Store::commit`] writes, [`StoreSnapshot`] reads, and
//! [`StoreWatch`] returns the events under a prefix. [`Store::open`] has an
//! example of all three.
//!
//! # Invariants
//!
//! - An acknowledged write is on disk (`fsync`) and survives `kill -9`.
//!   Nothing is visible before that, and all writes of one transaction become
//!   visible together. What a killed process left is synced before it is read
//!   (`database_files`).
//! - A failed transaction is answered with an error as a whole. The next one is
//!   tried all the same: the store works again when the disk does (`writer`).
//! - No revision is used twice, neither across restarts nor after compaction.
//!   A new database starts above the revisions of all earlier databases.
//! - Only the writer thread changes anything. It commits queued writes in
//!   batches, checks each write against the result of the earlier writes in
//!   the batch, and replies after the transaction (`batch`, `writer`).
//! - A snapshot never waits and never changes (`snapshot`).
//! - A watch returns each event under its prefix once, in revision order,
//!   including events of an earlier process, or ends with an error. Only
//!   events under its prefix wake it, and a slow watch does not delay
//!   others (`broadcaster`, `watch`).
//! - The `log` table holds each live record and the kept history once. A row
//!   is deleted when the event that superseded it leaves the history
//!   (`database`, `event_log`).
//! - One store at a time opens a database. A row that fails its checksum or
//!   does not fit the rows around it is reported as damage, never read as
//!   something else (`database_files`, `load`).
//! - A write can depend on other records that it does not change
//!   ([`RecordGuard`]): it is committed only if they are unchanged since they
//!   were read.
//!
//! Deliberately absent: leases, transactions that change several keys, and
//! several writers. The API server needs none of them.

// In layers: each module uses only those after it.

mod backup;

mod store;

mod writer;

mod database;
mod watch;

mod batch;
mod load;
mod shared_state;

mod snapshot;

mod database_files;
mod event_log;

mod broadcaster;
mod error;
mod options;
mod row;
mod superseded_row;

mod checkpoint;
mod clock;
mod file_interface;
mod metrics;
mod record;

pub use backup::{BackupSummary, RestoreOutcome};
pub use clock::{Clock, SystemClock};
pub use error::{
    BackupError, CommitError, SetAsideError, SnapshotError, StoreOpenError, WatchEndReason,
    WatchError, WriterError,
};
#[doc(hidden)]
pub use file_interface::FileInterface;
pub use metrics::StoreMetrics;
pub use options::{HistoryLimits, StoreOptions};
pub use record::{
    EventKind, EventMemo, RecordChange, RecordEncoder, RecordGuard, StoreEvent, StoredRecord,
    WritePrecondition,
};
pub use snapshot::StoreSnapshot;
pub use store::Store;
pub use watch::StoreWatch;
