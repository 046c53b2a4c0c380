//! What the store counts.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;

/// The upper bounds of the buckets for the duration of commits, in seconds: from a
/// fast disk to one that stalls.
const COMMIT_SECONDS: [f64; 6] = [0.001, 0.005, 0.02, 0.1, 0.5, 2.0];

/// What a store counts. Clones share the counters.
#[derive(Clone, Debug)]
pub struct StoreMetrics {
    /// Writes that were committed.
    pub writes: Counter,
    /// Transactions that failed.
    pub failures: Counter,
    /// The duration of transactions in seconds. One has several writes.
    pub commit_duration: Histogram,
}

impl Default for StoreMetrics {
    fn default() -> Self {
        Self {
            writes: Counter::default(),
            failures: Counter::default(),
            commit_duration: Histogram::new(COMMIT_SECONDS),
        }
    }
}

impl StoreMetrics {
    /// Records a transaction.
    pub(crate) fn record(&self, writes: usize, duration: Duration, is_committed: bool) {
        if is_committed {
            self.writes.inc_by(writes as u64);
        } else {
            self.failures.inc();
        }
        self.commit_duration.observe(duration.as_secs_f64());
    }
}
