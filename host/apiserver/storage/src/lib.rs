//! The revisioned object store of the embedded API server: what etcd is to a
//! Kubernetes API server, for one process and one file.
//!
//! Keys are text in byte order, values are opaque bytes, every write has a
//! revision of its own. [`Store::commit`] writes, [`StoreSnapshot`] reads,
//! [`StoreWatch`] follows.
//!
//! Invariants:
//! - A write that was answered is on disk (`fsync`), and survives kill -9.
//!   Nothing is visible before that, and everything of one transaction
//!   becomes visible at once.
//! - A revision is never used twice, neither across restarts nor after
//!   compaction; a new database begins above all that came before it.
//! - Only the writer thread changes anything. It takes what is queued as one
//!   batch, judges each write by what the earlier ones of the batch left, and
//!   answers after the transaction (`batch`, `writer`).
//! - A snapshot never waits, and never changes (`snapshot`).
//! - A watch gives every event under its prefix once, in revision order, also
//!   those of an earlier process, or ends with an error. It is woken by its own
//!   prefix only, and how slow it is concerns nobody else (`hub`, `watch`).
//! - The log table holds each live record and the kept history, once; a row
//!   goes when the event that made it obsolete is forgotten (`database`,
//!   `past`).
//! - A database is opened by one store at a time; what fails a checksum or
//!   does not fit its neighbours is damage, never read as something else
//!   (`files`, `load`).
//!
//! - A write may rest on other records, which it does not change (`Guard`): it
//!   takes place only while they stand as they were read.
//!
//! Deliberately absent: leases, transactions that change several keys, several
//! writers. The API server needs none of them.

mod batch;
mod broadcaster;
mod clock;
mod database;
mod database_files;
mod error;
mod event_log;
mod load;
mod options;
mod record;
mod row;
mod snapshot;
mod store;
mod watch;
mod writer;

pub use clock::{Clock, SystemClock};
pub use error::{
    CommitError, SetAsideError, SnapshotError, StoreOpenError, WatchEndReason, WatchError,
};
pub use options::{HistoryLimits, StoreOptions};
pub use record::{
    EventKind, EventMemo, RecordChange, RecordEncoder, RecordGuard, StoreEvent, StoredRecord,
    WritePrecondition,
};
pub use snapshot::StoreSnapshot;
pub use store::Store;
pub use watch::StoreWatch;
