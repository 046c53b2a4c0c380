//! What the thread of an instance does: whether it is in a function of the
//! library, and since when.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdd_plugin_contract::{BackendMetrics, BusyError, BusyWatchdog, ProgressCounter};
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How often the thread's clock is read, which takes a system call.
const CLOCK_INTERVAL: Duration = Duration::from_millis(100);

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
    metrics: Arc<BackendMetrics>,
    /// The progress that the instance makes.
    pub(crate) progress: ProgressCounter,
    /// Notified when `busy_error` is set.
    busy: Notify,
}

#[derive(Debug)]
struct ThreadActivity {
    phase: ThreadPhase,
    /// The function that the thread is in.
    inside: Option<(CallSite, Instant)>,
    busy_watchdog: BusyWatchdog,
    clock: ThreadClock,
    busy_error: Option<BusyError>,
}

/// The processor time of the thread, as it was last read.
#[derive(Debug)]
struct ThreadClock {
    read_at: Instant,
    /// `None` until the thread has read it.
    used: Option<Duration>,
}

impl ThreadClock {
    /// Returns the processor time since the latest reading, if it is time for
    /// another. Must be called by the thread itself.
    fn advance(&mut self, now: Instant) -> Duration {
        if self.used.is_some() && now.saturating_duration_since(self.read_at) < CLOCK_INTERVAL {
            return Duration::ZERO;
        }
        self.read_at = now;
        let time = clock_gettime(ClockId::ThreadCPUTime);
        // The clock begins with the thread, so neither part is negative.
        let seconds = Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or_default());
        let used = seconds + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or_default());
        let before = self.used.replace(used).unwrap_or(used);
        used.saturating_sub(before)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ThreadPhase {
    Running,
    Abandoned,
    Ended,
}

impl ThreadTracker {
    pub(crate) fn new(
        abandoned_count: Arc<AtomicUsize>,
        metrics: Arc<BackendMetrics>,
        busy_window: Duration,
    ) -> Self {
        let now = Instant::now();
        Self {
            metrics,
            progress: ProgressCounter::default(),
            busy: Notify::new(),
            activity: Mutex::new(ThreadActivity {
                phase: ThreadPhase::Running,
                inside: None,
                busy_watchdog: BusyWatchdog::new(busy_window, now),
                clock: ThreadClock {
                    read_at: now,
                    used: None,
                },
                busy_error: None,
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

    /// Records that the thread has returned from a function of the library.
    fn leave(&self) {
        let now = Instant::now();
        let mut activity = self.lock();
        let ThreadActivity {
            inside,
            busy_watchdog,
            clock,
            busy_error,
            ..
        } = &mut *activity;
        if let Some((_, since)) = inside.take() {
            self.metrics
                .record_guest_time(now.saturating_duration_since(since));
        }
        let used = clock.advance(now);
        if let Err(error) = busy_watchdog.record_run(used, now, &self.progress) {
            *busy_error = Some(error);
            self.busy.notify_one();
        }
    }

    /// Waits until the instance has been busy without progress for too long.
    pub(crate) async fn wait_until_busy(&self) -> BusyError {
        loop {
            if let Some(error) = self.lock().busy_error {
                return error;
            }
            self.busy.notified().await;
        }
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
        self.0.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: CallSite = CallSite::new("get_logs", "poll_next");
    const WINDOW: Duration = Duration::from_millis(500);

    /// Calls `function` again and again until the thread is reported as busy, at
    /// most for this number of windows. Returns whether it was.
    fn is_busy(windows: u32, mut function: impl FnMut(&ThreadTracker)) -> bool {
        let tracker = ThreadTracker::new(Arc::default(), Arc::default(), WINDOW);
        let end = Instant::now() + windows * WINDOW;
        while Instant::now() < end && tracker.lock().busy_error.is_none() {
            let _entry = tracker.enter(SITE);
            function(&tracker);
        }
        tracker.lock().busy_error.is_some()
    }

    #[test]
    fn a_thread_that_computes_without_progress_is_busy() {
        let compute = || {
            let end = Instant::now() + Duration::from_millis(10);
            while Instant::now() < end {
                std::hint::spin_loop();
            }
        };
        // On a loaded machine, the thread does not get half of each window.
        assert!(is_busy(120, |_| compute()));
        assert!(!is_busy(4, |tracker| {
            compute();
            tracker.progress.record();
        }));
    }

    #[test]
    fn a_thread_that_blocks_is_not_busy() {
        assert!(!is_busy(4, |_| std::thread::sleep(Duration::from_millis(
            10
        ))));
    }

    #[test]
    fn only_a_thread_in_the_library_is_given_up_and_once() {
        let count = Arc::new(AtomicUsize::new(0));
        let tracker = ThreadTracker::new(count.clone(), Arc::default(), WINDOW);
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
