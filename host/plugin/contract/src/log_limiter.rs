//! The rate limit for log lines of a backend.
//!
//! Written by hand: it is one atomic, and rate-limiting crates do not report how
//! many lines they dropped.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// The maximum number of lines per second. Enough for a backend that logs its
/// work on every container, too little for one that logs every line of container
/// output.
const MAX_LINES_PER_SECOND: u64 = 100;

/// Limits the lines per second and counts those that it drops.
#[derive(Debug)]
pub struct LogLimiter {
    created_at: Instant,
    /// The current second in the upper half, the lines in that second in the
    /// lower half.
    window: AtomicU64,
}

impl Default for LogLimiter {
    fn default() -> Self {
        Self::new()
    }
}

impl LogLimiter {
    /// Creates a limiter that has admitted nothing yet.
    pub fn new() -> Self {
        Self {
            created_at: Instant::now(),
            window: AtomicU64::new(0),
        }
    }

    /// Returns `None` if the line must be dropped, otherwise the number of lines
    /// that were dropped since the last admitted one.
    pub fn admit(&self) -> Option<u64> {
        self.admit_at(self.created_at.elapsed().as_secs())
    }

    fn admit_at(&self, second: u64) -> Option<u64> {
        const COUNT_BITS: u32 = 32;
        let split = |window: u64| (window >> COUNT_BITS, window & u64::from(u32::MAX));
        let before = self
            .window
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |window| {
                let (window_second, count) = split(window);
                Some(if window_second == second {
                    (window_second << COUNT_BITS) | (count + 1).min(u64::from(u32::MAX))
                } else {
                    (second << COUNT_BITS) | 1
                })
            });
        // Never `Err`: the closure always returns a value.
        let (Ok(window) | Err(window)) = before;
        let (window_second, count) = split(window);
        if window_second != second {
            Some(count.saturating_sub(MAX_LINES_PER_SECOND))
        } else if count < MAX_LINES_PER_SECOND {
            Some(0)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excess_lines_are_dropped_and_counted() {
        let limiter = LogLimiter::new();
        let admitted = (0..1_000).filter(|_| limiter.admit_at(0).is_some()).count();
        assert_eq!(admitted as u64, MAX_LINES_PER_SECOND);
        assert_eq!(limiter.admit_at(1), Some(1_000 - MAX_LINES_PER_SECOND));
        assert_eq!(limiter.admit_at(1), Some(0));
        assert_eq!(limiter.admit_at(9), Some(0));
    }
}
