//! Thins out a flood of log lines.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Lines that pass in each second. Enough for a backend that says what it
/// does about every container; a line for every line of container output
/// is thinned.
const LINES_PER_SECOND: u64 = 100;

/// Lets so many lines pass in each second, and counts what it held back.
#[derive(Debug)]
pub(crate) struct Throttle {
    began: Instant,
    /// The second in the upper half, the lines of that second in the lower.
    window: AtomicU64,
}

impl Throttle {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            window: AtomicU64::new(0),
        }
    }

    /// `None` when the line is to be left out; else how many were left out
    /// since the last one that passed.
    pub(crate) fn pass(&self) -> Option<u64> {
        self.pass_at(self.began.elapsed().as_secs())
    }

    fn pass_at(&self, second: u64) -> Option<u64> {
        const COUNT_BITS: u32 = 32;
        let split = |window: u64| (window >> COUNT_BITS, window & u64::from(u32::MAX));
        let before = self
            .window
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |window| {
                let (then, count) = split(window);
                Some(if then == second {
                    (then << COUNT_BITS) | (count + 1).min(u64::from(u32::MAX))
                } else {
                    (second << COUNT_BITS) | 1
                })
            });
        // Never `Err`: the closure always has a next value.
        let (Ok(window) | Err(window)) = before;
        let (then, count) = split(window);
        if then != second {
            Some(count.saturating_sub(LINES_PER_SECOND))
        } else if count < LINES_PER_SECOND {
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
    fn thins_a_flood_and_says_how_much_it_left_out() {
        let throttle = Throttle::new();
        let passed = (0..1_000).filter(|_| throttle.pass_at(0).is_some()).count();
        assert_eq!(passed as u64, LINES_PER_SECOND);
        assert_eq!(throttle.pass_at(1), Some(1_000 - LINES_PER_SECOND));
        assert_eq!(throttle.pass_at(1), Some(0));
        assert_eq!(throttle.pass_at(9), Some(0));
    }
}
