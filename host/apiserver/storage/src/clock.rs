use std::fmt::Debug;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where the store reads the time.
pub trait Clock: Debug + Send + Sync {
    /// Time since 1970 by the wall clock; may jump. Used for the first
    /// revision of a new database and for the age of events across restarts.
    fn wall(&self) -> Duration;
    /// Time since some fixed point of this process; never goes back. Used for
    /// the age of events within one run.
    fn monotonic(&self) -> Duration;
}

/// The machine's own clocks.
#[derive(Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn wall(&self) -> Duration {
        // A clock set before 1970 counts as 1970: the store works all the same.
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}
