//! When a failed backend is started again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// When a failed backend is started again, and when no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    /// The pause after the first failure; doubled with each further one.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// After so many failures in a row the backend is parked.
    pub failures: u32,
    /// Who ran this long has no failures to its name any more.
    pub stable: Duration,
}

impl Default for RestartPolicy {
    /// Pauses of 1, 2, 4, … 60 seconds; parked after ten failures, which is
    /// about four minutes of trying.
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(60),
            failures: 10,
            stable: Duration::from_secs(300),
        }
    }
}

impl RestartPolicy {
    /// The pause after so many failures in a row, of which up to a quarter is
    /// left to chance so that daemons that failed together do not start
    /// together.
    pub(crate) fn pause(&self, failures: u32) -> Duration {
        self.pause_with(failures, RandomState::new().hash_one(failures))
    }

    fn pause_with(&self, failures: u32, chance: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let whole = self.first.saturating_mul(1 << doublings).min(self.longest);
        // `chance` is taken in steps of a thousandth.
        whole - whole / 4 * u32::try_from(chance % 1_000).unwrap_or(0) / 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let policy = RestartPolicy::default();
        let seconds: Vec<u64> = (1..=10)
            .map(|failures| policy.pause_with(failures, 0).as_secs())
            .collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
        assert_eq!(policy.pause_with(u32::MAX, 0), policy.longest);
    }

    #[test]
    fn chance_takes_at_most_a_quarter() {
        let policy = RestartPolicy::default();
        for chance in [1, 500, 999, u64::MAX] {
            let pause = policy.pause_with(1, chance);
            assert!(pause < policy.first, "{pause:?}");
            assert!(pause >= policy.first * 3 / 4, "{pause:?}");
        }
    }
}
