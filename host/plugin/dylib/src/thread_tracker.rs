//! What the thread of an instance does: whether it is in a function of the
//! library, and since when.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

/// A function of a library, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallSite {
    /// The call that the function belongs to, such as `get_logs`.
    call: &'static str,
    /// The function, such as `poll_next`; empty if it is the call itself.
    function: &'static str,
}

impl CallSite {
    pub(crate) const fn new(call: &'static str, function: &'static str) -> Self {
        Self { call, function }
    }

    /// Returns the site of another function of the same call.
    pub(crate) const fn function(self, function: &'static str) -> Self {
        Self { function, ..self }
    }
}

impl fmt::Display for CallSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, function } = self;
        match *function {
            "" => write!(f, "{call}"),
            function => write!(f, "{function} of {call}"),
        }
    }
}

/// The thread of one instance. The thread itself and the watchdog share it.
#[derive(Debug)]
pub(crate) struct ThreadTracker {
    activity: Mutex<ThreadActivity>,
    /// Cancelled when the thread has been given up.
    abandoned: CancellationToken,
    /// The number of threads that were given up and have not returned.
    abandoned_count: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct ThreadActivity {
    phase: ThreadPhase,
    /// The function that the thread is in.
    inside: Option<(CallSite, Instant)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ThreadPhase {
    Running,
    Abandoned,
    Ended,
}

impl ThreadTracker {
    pub(crate) fn new(abandoned_count: Arc<AtomicUsize>) -> Self {
        Self {
            activity: Mutex::new(ThreadActivity {
                phase: ThreadPhase::Running,
                inside: None,
            }),
            abandoned: CancellationToken::new(),
            abandoned_count,
        }
    }

    /// Records that the thread enters a function of the library, until the guard
    /// is dropped.
    pub(crate) fn enter(&self, site: CallSite) -> EntryGuard<'_> {
        self.lock().inside = Some((site, Instant::now()));
        EntryGuard(self)
    }

    /// Gives the thread up if it has been in one function for `limit`. Returns
    /// the function.
    pub(crate) fn abandon_after(&self, limit: Duration) -> Option<CallSite> {
        let mut activity = self.lock();
        let (site, since) = activity.inside?;
        if activity.phase != ThreadPhase::Running || since.elapsed() < limit {
            return None;
        }
        activity.phase = ThreadPhase::Abandoned;
        self.abandoned_count.fetch_add(1, Ordering::Relaxed);
        drop(activity);
        self.abandoned.cancel();
        Some(site)
    }

    /// Records that the thread ends. Called once, by the thread.
    pub(crate) fn end(&self) {
        let mut activity = self.lock();
        if activity.phase == ThreadPhase::Abandoned {
            self.abandoned_count.fetch_sub(1, Ordering::Relaxed);
        }
        activity.phase = ThreadPhase::Ended;
    }

    /// Waits until the thread has been given up. The thread itself waits for
    /// this, so that it ends if it returns after all.
    pub(crate) async fn wait_until_abandoned(&self) {
        self.abandoned.cancelled().await;
    }

    fn lock(&self) -> MutexGuard<'_, ThreadActivity> {
        // A panic while the lock is held leaves the value valid.
        self.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the time that the thread spends in a function.
pub(crate) struct EntryGuard<'a>(&'a ThreadTracker);

impl Drop for EntryGuard<'_> {
    fn drop(&mut self) {
        self.0.lock().inside = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: CallSite = CallSite::new("get_logs", "poll_next");

    #[test]
    fn only_a_thread_in_the_library_is_given_up_and_once() {
        let count = Arc::new(AtomicUsize::new(0));
        let tracker = ThreadTracker::new(count.clone());
        assert_eq!(tracker.abandon_after(Duration::ZERO), None);
        let guard = tracker.enter(SITE);
        assert_eq!(tracker.abandon_after(Duration::from_secs(3600)), None);
        assert_eq!(tracker.abandon_after(Duration::ZERO), Some(SITE));
        assert_eq!(tracker.abandon_after(Duration::ZERO), None);
        assert_eq!(count.load(Ordering::Relaxed), 1);
        drop(guard);
        tracker.end();
        assert_eq!(count.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_site_reads_like_a_phrase() {
        assert_eq!(SITE.to_string(), "poll_next of get_logs");
        assert_eq!(CallSite::new("create", "").to_string(), "create");
    }
}
