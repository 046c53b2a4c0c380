//! What each call in a store waits for.
//!
//! A call has no time limit, since an engine may take an hour to stop a
//! container. A call ends through its caller, the engine, or because it stalled.
//! It stalls if it has not returned and waits for nothing outside of the guest:
//! neither for an engine connection nor for a timer.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wasmtime::StoreContextMut;
use wasmtime::component::GuestTaskId;

/// The calls in one store, by the guest task that runs each call.
#[derive(Debug)]
pub(crate) struct CallTracker<K = GuestTaskId>(Mutex<HashMap<K, Arc<CallState>>>)
where
    K: Copy + Eq + Hash;

impl<K: Copy + Eq + Hash> Default for CallTracker<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Copy + Eq + Hash> CallTracker<K> {
    /// Tracks the call that `task` runs until the returned value is dropped.
    pub(crate) fn track(self: &Arc<Self>, task: K) -> TrackedCall<K> {
        let state = Arc::new(CallState::new());
        self.lock().insert(task, state.clone());
        TrackedCall {
            tracker: self.clone(),
            task,
            state,
        }
    }

    /// Returns the state of the call that `task` runs, if it is tracked.
    pub(crate) fn get(&self, task: Option<K>) -> Option<Arc<CallState>> {
        self.lock().get(&task?).cloned()
    }

    /// Returns the number of tracked calls.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Arc<CallState>>> {
        // A panic while the lock is held leaves the map valid.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the task of the guest that calls an import, or that starts to read or
/// write a stream; `None` if no guest code is running.
pub(crate) fn calling_task<T: 'static>(store: &mut StoreContextMut<'_, T>) -> Option<GuestTaskId> {
    store.async_call_stack().ok()?.last()
}

/// A tracked call.
#[derive(Debug)]
pub(crate) struct TrackedCall<K: Copy + Eq + Hash = GuestTaskId> {
    tracker: Arc<CallTracker<K>>,
    task: K,
    state: Arc<CallState>,
}

impl<K: Copy + Eq + Hash> TrackedCall<K> {
    pub(crate) fn state(&self) -> &Arc<CallState> {
        &self.state
    }
}

impl<K: Copy + Eq + Hash> Drop for TrackedCall<K> {
    fn drop(&mut self) {
        self.tracker.lock().remove(&self.task);
    }
}

/// The progress of one call.
#[derive(Debug)]
pub(crate) struct CallState {
    inner: Mutex<Inner>,
    /// Canceled when the host no longer needs the call.
    stop: OnceLock<CancellationToken>,
}

#[derive(Debug)]
struct Inner {
    /// The number of connections and timers that the call waits for now.
    waits: usize,
    /// When the last wait ended, or progress was last recorded.
    last_progress: Instant,
    /// Whether the call is the ping of a liveness probe.
    is_probe: bool,
}

impl CallState {
    fn new() -> Self {
        Self {
            inner: Mutex::new(Inner {
                waits: 0,
                last_progress: Instant::now(),
                is_probe: false,
            }),
            stop: OnceLock::new(),
        }
    }

    /// Sets what is canceled when the host no longer needs the call.
    pub(crate) fn set_stop(&self, stop: CancellationToken) {
        // A call has one signal, which is set when it starts.
        self.stop.set(stop).ok();
    }

    /// Waits until the host no longer needs the call.
    pub(crate) async fn stopped(&self) {
        match self.stop.get() {
            Some(stop) => stop.cancelled().await,
            None => std::future::pending().await,
        }
    }

    /// Marks the call as the ping of a liveness probe.
    pub(crate) fn set_probe(&self) {
        self.lock().is_probe = true;
    }

    pub(crate) fn is_probe(&self) -> bool {
        self.lock().is_probe
    }

    /// Records that the call waits for something outside of the guest until the
    /// returned guard is dropped.
    pub(crate) fn begin_wait(self: &Arc<Self>) -> WaitGuard {
        self.lock().waits += 1;
        WaitGuard(self.clone())
    }

    /// Records progress that the host observed in another way.
    pub(crate) fn record_progress(&self) {
        self.lock().last_progress = Instant::now();
    }

    /// Waits until the call has waited for nothing for `limit`. Returns at most
    /// `limit` later than that.
    pub(crate) async fn stalled(&self, limit: Duration) {
        loop {
            let idle = {
                let inner = self.lock();
                match inner.waits {
                    0 => inner.last_progress.elapsed(),
                    _ => Duration::ZERO,
                }
            };
            if idle >= limit {
                return;
            }
            tokio::time::sleep(limit - idle).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while the lock is held leaves the fields valid.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wait of a call for something outside of the guest.
#[derive(Debug)]
pub(crate) struct WaitGuard(Arc<CallState>);

impl WaitGuard {
    /// Whether this is a wait of `call`.
    pub(crate) fn belongs_to(&self, call: &Arc<CallState>) -> bool {
        Arc::ptr_eq(&self.0, call)
    }
}

impl Drop for WaitGuard {
    fn drop(&mut self) {
        let mut inner = self.0.lock();
        inner.waits -= 1;
        inner.last_progress = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    /// Returns how long it takes until the call has stalled.
    async fn time_to_stall(call: &CallState) -> Duration {
        let started_at = Instant::now();
        call.stalled(LIMIT).await;
        started_at.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_waits_for_nothing_stalls() {
        let tracker = Arc::new(CallTracker::default());
        let call = tracker.track(1);
        assert_eq!(time_to_stall(call.state()).await, LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_waits_for_the_engine_does_not_stall() {
        let tracker = Arc::new(CallTracker::default());
        let call = tracker.track(1);
        let wait = tracker.get(Some(1)).unwrap().begin_wait();
        let stalled =
            tokio::time::timeout(Duration::from_secs(36_000), time_to_stall(call.state()));
        assert!(stalled.await.is_err());
        drop(wait);
        // The limit counts from the end of the wait.
        assert_eq!(time_to_stall(call.state()).await, LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn one_of_several_waits_is_enough() {
        let tracker = Arc::new(CallTracker::default());
        let call = tracker.track(1);
        let waits = (call.state().begin_wait(), call.state().begin_wait());
        drop(waits.0);
        let stalled = tokio::time::timeout(10 * LIMIT, time_to_stall(call.state()));
        assert!(stalled.await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_of_another_call_does_not_count() {
        let tracker = Arc::new(CallTracker::default());
        let (call, other) = (tracker.track(1), tracker.track(2));
        let _wait = other.state().begin_wait();
        let stalled = tokio::time::timeout(10 * LIMIT, time_to_stall(call.state()));
        assert_eq!(stalled.await, Ok(LIMIT));
    }

    #[test]
    fn a_call_is_removed_when_it_ends() {
        let tracker = Arc::new(CallTracker::default());
        let wait = {
            let call = tracker.track(1);
            assert_eq!(tracker.len(), 1);
            call.state().begin_wait()
        };
        assert_eq!(tracker.len(), 0);
        assert!(tracker.get(Some(1)).is_none());
        // A wait that outlives its call does not count for a later call.
        let later = tracker.track(1);
        assert!(!wait.belongs_to(later.state()));
        drop(wait);
        assert_eq!(later.state().lock().waits, 0);
    }
}
