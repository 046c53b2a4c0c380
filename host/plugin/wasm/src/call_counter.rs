//! Counts the calls in a control store, to find out when it must be replaced.

use std::sync::atomic::{AtomicUsize, Ordering};

use rdd_plugin_contract::BackendLimits;
use tokio::sync::Notify;

/// The number of stalled calls at which the store is replaced whatever else runs
/// in it: half of the reads that it may run.
const MAX_STALLED_CALLS: usize = BackendLimits::MAX_READS / 2;

/// The numbers of active and stalled calls in a store. A watch does not count,
/// since its reader can start another one.
#[derive(Debug, Default)]
pub(crate) struct CallCounter {
    active: AtomicUsize,
    stalled: AtomicUsize,
    changed: Notify,
}

/// One call that is counted by a [`CallCounter`].
pub(crate) struct CountGuard<'a> {
    count: &'a AtomicUsize,
    changed: &'a Notify,
}

impl CallCounter {
    pub(crate) fn count_active(&self) -> CountGuard<'_> {
        CountGuard::new(&self.active, &self.changed)
    }

    pub(crate) fn count_stalled(&self) -> CountGuard<'_> {
        CountGuard::new(&self.stalled, &self.changed)
    }

    /// Waits until the store must be replaced.
    pub(crate) async fn wait_until_replaceable(&self) {
        loop {
            let changed = self.changed.notified();
            let stalled = self.stalled.load(Ordering::Relaxed);
            let active = self.active.load(Ordering::Relaxed);
            if stalled >= MAX_STALLED_CALLS || (stalled > 0 && active == 0) {
                return;
            }
            changed.await;
        }
    }
}

impl<'a> CountGuard<'a> {
    fn new(count: &'a AtomicUsize, changed: &'a Notify) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        changed.notify_waiters();
        Self { count, changed }
    }
}

impl Drop for CountGuard<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.changed.notify_waiters();
    }
}
