use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};

/// How a store is opened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreOptions {
    /// The database file; its folder must exist. None: nothing is kept.
    pub path: Option<PathBuf>,
    /// How much of the past is kept for watches and for reads at a revision.
    pub history: HistoryLimits,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Bytes that the database may grow to; commits beyond it end with
    /// [`CommitError::Full`](crate::CommitError::Full). None: the disk decides.
    pub size_limit: Option<u64>,
}

impl StoreOptions {
    /// A store in the file `path`, created when it is not there.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self {
            path: Some(path.into()),
            ..Self::in_memory()
        }
    }

    /// A store that lives as long as its handles.
    pub fn in_memory() -> Self {
        Self {
            path: None,
            history: HistoryLimits::default(),
            clock: Arc::new(SystemClock::default()),
            size_limit: None,
        }
    }
}

/// How much of the past is kept. An event goes when one of the upper limits
/// is passed; age alone spares the newest `keep_events`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryLimits {
    /// Events at most. The default, 32,768, is half a minute at the thousand
    /// writes a second that the server is built for, and about 5 MB of
    /// bookkeeping.
    pub max_events: usize,
    /// Bytes of keys and values at most. The default, 32 MiB, keeps a daemon
    /// with 10,000 objects of 1 KB under its 100 MB.
    pub max_bytes: usize,
    /// The age from which `settled_bytes` is the limit. The default is half a
    /// minute: longer than a watch that is alive lags behind a burst.
    pub burst_age: Duration,
    /// Bytes of keys and values at most, once the oldest event is older than
    /// `settle_age`. The default, 8 MiB, is five minutes of an engine with ten
    /// events a second: a burst may take more memory than a steady load.
    pub steady_bytes: usize,
    /// The age at which an event may go. The default is five minutes, what
    /// clients know from Kubernetes for their continue tokens.
    pub max_age: Duration,
    /// The newest events that age alone does not remove, so that a client
    /// resumes after a quiet night or a long stop. The default is 1,000.
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
