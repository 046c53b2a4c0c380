//! The source of the time, which tests replace.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// A source of wall-clock and monotonic time.
pub trait Clock: Debug + Send + Sync {
    /// Returns the wall-clock time, which may jump. The store derives the
    /// first revision of a new database and the age of events across restarts
    /// from it.
    fn now(&self) -> Timestamp;

    /// Returns the time since a fixed point of this process, which never goes
    /// back. The store derives the age of events within one run from it.
    fn monotonic(&self) -> Duration;
}

/// The system's own clocks.
#[derive(Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Returns the wall-clock time since 1970. A clock that is set to an earlier
/// time counts as 1970: the store works all the same.
pub(crate) fn since_epoch(clock: &dyn Clock) -> Duration {
    Duration::try_from(clock.now().duration_since(Timestamp::UNIX_EPOCH)).unwrap_or_default()
}
