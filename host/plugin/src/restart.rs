//! The restart policy of failed backends: back-off and the restart budget.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// How often, and after which delays, a failed backend is started again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    /// The delay after the first failure. It doubles with each further one.
    pub min_delay: Duration,
    /// The longest delay.
    pub max_delay: Duration,
    /// The number of consecutive failures after which the backend is not
    /// started again.
    pub max_failures: u32,
    /// Uptime after which the failure count resets.
    pub reset_after: Duration,
}

impl Default for RestartPolicy {
    /// Delays of 1, 2, 4, … 60 seconds, and at most ten failures, which takes
    /// about four minutes.
    fn default() -> Self {
        Self {
            min_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(60),
            max_failures: 10,
            reset_after: Duration::from_secs(300),
        }
    }
}

impl RestartPolicy {
    /// Returns the delay after `failures` consecutive failures. Up to a quarter
    /// of it is random, so that daemons that failed together do not restart
    /// together.
    pub(crate) fn delay(&self, failures: u32) -> Duration {
        let full = self.nth_delay(self.exponential(), failures);
        let jittered = self.nth_delay(self.exponential().with_jitter(), failures);
        // backon's jitter adds up to the whole delay. Subtracting a quarter of
        // it instead keeps every delay below `max_delay`.
        full - jittered.saturating_sub(full) / 4
    }

    fn exponential(&self) -> ExponentialBuilder {
        ExponentialBuilder::new()
            .with_min_delay(self.min_delay)
            .with_max_delay(self.max_delay)
            .without_max_times()
    }

    fn nth_delay(&self, backoff: ExponentialBuilder, failures: u32) -> Duration {
        /// Doubling any delay of at least a nanosecond this often exceeds every
        /// useful maximum.
        const MAX_DOUBLINGS: u32 = 31;
        let doublings = failures.saturating_sub(1).min(MAX_DOUBLINGS);
        backoff
            .build()
            .nth(doublings as usize)
            .unwrap_or(self.max_delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_maximum() {
        let policy = RestartPolicy::default();
        let full_delay = |failures| policy.nth_delay(policy.exponential(), failures);
        let seconds: Vec<u64> = (1..=10)
            .map(|failures| full_delay(failures).as_secs())
            .collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
        assert_eq!(full_delay(u32::MAX), policy.max_delay);
    }

    #[test]
    fn at_most_a_quarter_of_a_delay_is_random() {
        let policy = RestartPolicy::default();
        for (failures, full) in [(1, policy.min_delay), (20, policy.max_delay)] {
            for _ in 0..100 {
                let delay = policy.delay(failures);
                assert!(delay <= full, "{delay:?}");
                assert!(delay >= full * 3 / 4, "{delay:?}");
            }
        }
    }
}
