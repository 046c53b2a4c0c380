//! The options of a store.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::file_interface::{FileInterface, SystemInterface};

/// The options of [`Store::open`](crate::Store::open).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreOptions {
    /// The database file; its directory must exist. `None` keeps everything
    /// in memory.
    pub path: Option<PathBuf>,
    /// How much history is kept for watches and for reads at a revision.
    pub history: HistoryLimits,
    /// The source of the time.
    pub clock: Arc<dyn Clock>,
    /// The maximum size of the database, in bytes. Commits beyond it fail with
    /// [`CommitError::Full`](crate::CommitError::Full). `None`: the disk is
    /// the limit.
    pub size_limit: Option<u64>,
    /// The files of the system, which tests replace.
    #[doc(hidden)]
    pub files: Arc<dyn FileInterface>,
    /// The size of the write-ahead log at which it is checkpointed, in pages of 4 KB,
    /// which tests reduce. The default is 16 MB: rare enough to delay few commits,
    /// small enough to replay quickly.
    #[doc(hidden)]
    pub checkpoint_pages: u32,
}

impl StoreOptions {
    /// Returns the options of a store in the file `path`, which is created if
    /// it does not exist.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self {
            path: Some(path.into()),
            ..Self::in_memory()
        }
    }

    /// Returns the options of a store that exists as long as its handles.
    pub fn in_memory() -> Self {
        Self {
            path: None,
            history: HistoryLimits::default(),
            clock: Arc::new(SystemClock::default()),
            size_limit: None,
            files: Arc::new(SystemInterface),
            checkpoint_pages: 4_000,
        }
    }
}

/// The limits of the history. The oldest event is removed when one of the
/// upper limits is exceeded; the newest `keep_events` are not removed because
/// of their age.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryLimits {
    /// The maximum number of events. The default, 32,768, is half a minute at
    /// the thousand writes per second that the server is built for, and about
    /// 5 MB of bookkeeping.
    pub max_events: usize,
    /// The maximum size of keys and values, in bytes. The default, 32 MiB,
    /// keeps a daemon with 10,000 objects of 1 KB below its budget of 100 MB.
    pub max_bytes: usize,
    /// The age of the oldest event from which `steady_bytes` is the limit. The
    /// default, half a minute, is longer than a working watch lags behind a
    /// burst.
    pub burst_age: Duration,
    /// The maximum size of keys and values, in bytes, once the oldest event is
    /// older than `burst_age`. The default, 8 MiB, is five minutes of an
    /// engine with ten events per second: a burst may take more memory than a
    /// steady load.
    pub steady_bytes: usize,
    /// The age from which an event may be removed. The default, five minutes,
    /// is how long a continue token is valid in Kubernetes.
    pub max_age: Duration,
    /// The number of newest events that are kept whatever their age, so that a
    /// client can resume after a quiet night or a long pause. The default is
    /// 1,000.
    pub keep_events: usize,
}

impl Default for HistoryLimits {
    fn default() -> Self {
        Self {
            max_events: 32_768,
            max_bytes: 32 << 20,
            burst_age: Duration::from_secs(30),
            steady_bytes: 8 << 20,
            max_age: Duration::from_secs(5 * 60),
            keep_events: 1_000,
        }
    }
}
