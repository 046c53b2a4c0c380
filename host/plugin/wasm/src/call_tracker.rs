//! What the calls of a store wait for.
//!
//! A call has no time limit of its own: an engine may take an hour to stop a
//! container. What ends a call is its caller, the engine, or a guest that
//! hangs. A guest hangs in a call when it waits for nothing that can come from
//! outside of it, neither for an engine's connection nor for a timer, and has
//! not answered all the same.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use wasmtime::StoreContextMut;
use wasmtime::component::GuestTaskId;

/// The calls that run in a store, by the task that runs each.
#[derive(Debug)]
pub(crate) struct Activity<K = GuestTaskId>(Mutex<HashMap<K, Arc<Progress>>>)
where
    K: Copy + Eq + Hash;

impl<K: Copy + Eq + Hash> Default for Activity<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Copy + Eq + Hash> Activity<K> {
    /// Follows a call, until the result is dropped.
    pub(crate) fn follow(self: &Arc<Self>, task: K) -> Followed<K> {
        let progress = Arc::new(Progress::new());
        self.calls().insert(task, progress.clone());
        Followed {
            activity: self.clone(),
            task,
            progress,
        }
    }

    /// The call that this task runs, if it is followed.
    pub(crate) fn of(&self, task: Option<K>) -> Option<Arc<Progress>> {
        self.calls().get(&task?).cloned()
    }

    /// How many calls are followed.
    pub(crate) fn len(&self) -> usize {
        self.calls().len()
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<K, Arc<Progress>>> {
        // The map is whole after every step that could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task of the call that the guest makes an import from, or starts to
/// read or write a stream in; `None` when no guest code runs.
pub(crate) fn caller<T: 'static>(store: &mut StoreContextMut<'_, T>) -> Option<GuestTaskId> {
    store.async_call_stack().ok()?.last()
}

/// A call that is followed.
#[derive(Debug)]
pub(crate) struct Followed<K: Copy + Eq + Hash = GuestTaskId> {
    activity: Arc<Activity<K>>,
    task: K,
    progress: Arc<Progress>,
}

impl<K: Copy + Eq + Hash> Followed<K> {
    pub(crate) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }
}

impl<K: Copy + Eq + Hash> Drop for Followed<K> {
    fn drop(&mut self) {
        self.activity.calls().remove(&self.task);
    }
}

/// How a call goes on.
#[derive(Debug)]
pub(crate) struct Progress(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Connections and timers that the call waits for now.
    waits: usize,
    /// When it last waited for one, or was last seen to go on.
    moved: Instant,
    /// Whether it asks the engine for a sign of life.
    probe: bool,
}

impl Progress {
    fn new() -> Self {
        Self(Mutex::new(State {
            waits: 0,
            moved: Instant::now(),
            probe: false,
        }))
    }

    /// Notes that the call asks the engine for a sign of life.
    pub(crate) fn set_probe(&self) {
        self.state().probe = true;
    }

    pub(crate) fn is_probe(&self) -> bool {
        self.state().probe
    }

    /// Notes that the call waits for something outside of the guest, until
    /// the result is dropped.
    pub(crate) fn wait(self: &Arc<Self>) -> Wait {
        self.state().waits += 1;
        Wait(self.clone())
    }

    /// Notes that the call went on in a way that is seen elsewhere.
    pub(crate) fn moved(&self) {
        self.state().moved = Instant::now();
    }

    /// Returns once the call has waited for nothing for so long; at the
    /// latest after twice that time.
    pub(crate) async fn hung(&self, limit: Duration) {
        loop {
            let still = {
                let state = self.state();
                match state.waits {
                    0 => state.moved.elapsed(),
                    _ => Duration::ZERO,
                }
            };
            if still >= limit {
                return;
            }
            tokio::time::sleep(limit - still).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something outside of the guest that a call waits for.
#[derive(Debug)]
pub(crate) struct Wait(Arc<Progress>);

impl Wait {
    /// Whose wait it is.
    pub(crate) fn is_of(&self, progress: &Arc<Progress>) -> bool {
        Arc::ptr_eq(&self.0, progress)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.waits -= 1;
        state.moved = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    async fn took(progress: &Progress) -> Duration {
        let began = Instant::now();
        progress.hung(LIMIT).await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_waits_for_nothing_hangs() {
        let activity = Arc::new(Activity::default());
        let call = activity.follow(1);
        assert_eq!(took(call.progress()).await, LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_waits_for_the_engine_has_all_the_time() {
        let activity = Arc::new(Activity::default());
        let call = activity.follow(1);
        let wait = activity.of(Some(1)).unwrap().wait();
        let hung = tokio::time::timeout(Duration::from_secs(36_000), took(call.progress()));
        assert!(hung.await.is_err());
        drop(wait);
        // The clock starts again with the end of the wait.
        assert_eq!(took(call.progress()).await, LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn one_wait_of_several_is_enough() {
        let activity = Arc::new(Activity::default());
        let call = activity.follow(1);
        let waits = (call.progress().wait(), call.progress().wait());
        drop(waits.0);
        let hung = tokio::time::timeout(10 * LIMIT, took(call.progress()));
        assert!(hung.await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_another_call_waits_for_is_no_excuse() {
        let activity = Arc::new(Activity::default());
        let (call, other) = (activity.follow(1), activity.follow(2));
        let _wait = other.progress().wait();
        let hung = tokio::time::timeout(10 * LIMIT, took(call.progress()));
        assert_eq!(hung.await, Ok(LIMIT));
    }

    #[test]
    fn calls_are_forgotten_when_they_end() {
        let activity = Arc::new(Activity::default());
        let wait = {
            let call = activity.follow(1);
            assert_eq!(activity.len(), 1);
            call.progress().wait()
        };
        assert_eq!(activity.len(), 0);
        assert!(activity.of(Some(1)).is_none());
        // A wait that outlives its call is nobody's.
        let later = activity.follow(1);
        assert!(!wait.is_of(later.progress()));
        drop(wait);
        assert_eq!(later.progress().state().waits, 0);
    }
}
