//! Which call waits for a connection.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedSemaphorePermit;

use crate::call_tracker::{CallState, WaitGuard};

/// The tracker of one connection. It holds the connection's permit until both
/// halves are dropped, and attributes waits to the call that last wrote to the
/// connection, since an HTTP client keeps connections open from one call to the
/// next.
#[derive(Debug)]
pub(crate) struct ConnectionTracker {
    state: Mutex<TrackerState>,
    _permit: OwnedSemaphorePermit,
}

#[derive(Debug, Default)]
struct TrackerState {
    user: Option<Arc<CallState>>,
    /// Indexed by [`StreamDirection`].
    waits: [DirectionWait; 2],
}

#[derive(Debug, Default)]
struct DirectionWait {
    is_waiting: bool,
    guard: Option<WaitGuard>,
}

/// One direction of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StreamDirection {
    FromEngine = 0,
    ToEngine = 1,
}

impl ConnectionTracker {
    pub(crate) fn new(permit: OwnedSemaphorePermit, user: Option<Arc<CallState>>) -> Self {
        Self {
            state: Mutex::new(TrackerState {
                user,
                ..TrackerState::default()
            }),
            _permit: permit,
        }
    }

    /// Records that `call` uses the connection from now on.
    pub(crate) fn set_user(&self, call: Option<Arc<CallState>>) {
        let Some(call) = call else { return };
        let mut state = self.lock();
        for wait in &mut state.waits {
            wait.assign(&call);
        }
        state.user = Some(call);
    }

    /// Returns the call that last used the connection.
    pub(crate) fn user(&self) -> Option<Arc<CallState>> {
        self.lock().user.clone()
    }

    /// Records whether the guest waits in this direction.
    pub(crate) fn set_waiting(&self, direction: StreamDirection, is_waiting: bool) {
        let mut state = self.lock();
        let TrackerState { user, waits } = &mut *state;
        let [from_engine, to_engine] = waits;
        let wait = match direction {
            StreamDirection::FromEngine => from_engine,
            StreamDirection::ToEngine => to_engine,
        };
        wait.is_waiting = is_waiting;
        match user {
            Some(user) if is_waiting => wait.assign(user),
            _ => wait.guard = None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, TrackerState> {
        // A panic while the lock is held leaves the fields valid.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DirectionWait {
    /// Attributes the wait, if there is one, to `call`.
    fn assign(&mut self, call: &Arc<CallState>) {
        if self.is_waiting
            && !self
                .guard
                .as_ref()
                .is_some_and(|guard| guard.belongs_to(call))
        {
            self.guard = Some(call.begin_wait());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::Semaphore;

    use super::*;
    use crate::call_tracker::CallTracker;

    const LIMIT: Duration = Duration::from_secs(1);

    async fn stalls(call: &CallState) -> bool {
        tokio::time::timeout(10 * LIMIT, call.stalled(LIMIT))
            .await
            .is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_belongs_to_the_call_that_last_used_the_connection() {
        let permits = Arc::new(Semaphore::new(1));
        let calls = Arc::new(CallTracker::default());
        let (first, second) = (calls.track(1), calls.track(2));
        let (first, second) = (first.state(), second.state());
        let connection = ConnectionTracker::new(
            permits.clone().try_acquire_owned().unwrap(),
            Some(first.clone()),
        );
        connection.set_waiting(StreamDirection::FromEngine, true);
        assert!(!stalls(first).await);
        // The pending read continues on behalf of the second call.
        connection.set_user(Some(second.clone()));
        assert!(!stalls(second).await);
        assert!(stalls(first).await);
        connection.set_waiting(StreamDirection::FromEngine, false);
        assert!(stalls(second).await);
        connection.set_waiting(StreamDirection::ToEngine, true);
        assert!(!stalls(second).await);
        drop(connection);
        assert!(stalls(second).await);
        assert_eq!(permits.available_permits(), 1);
    }
}
