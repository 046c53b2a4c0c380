//! The revisioned object store of the embedded API server.

mod batch;
mod clock;
mod database;
mod error;
mod files;
mod hub;
mod load;
mod options;
mod past;
mod record;
mod row;
mod snapshot;
mod store;
mod watch;
mod writer;

pub use clock::{Clock, SystemClock};
pub use error::{CommitError, OpenError, SetAsideError, SnapshotError, WatchEnd, WatchError};
pub use options::{History, Options};
pub use record::{Change, Encode, Event, EventKind, Expect, Memo, Record};
pub use snapshot::Snapshot;
pub use store::Store;
pub use watch::Watch;
