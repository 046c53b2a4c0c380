//! One connection, as those see it who wait for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedSemaphorePermit;

use crate::activity::{Progress, Wait};

/// A connection of a guest: counted until both of its halves are gone, and
/// waited for on behalf of the call that used it last. A client keeps
/// connections open from one call to the next.
#[derive(Debug)]
pub(crate) struct Link {
    state: Mutex<State>,
    _lease: OwnedSemaphorePermit,
}

#[derive(Debug, Default)]
struct State {
    user: Option<Arc<Progress>>,
    /// The waits of the two halves, by [`Half`].
    waits: [Waiting; 2],
}

#[derive(Debug, Default)]
struct Waiting {
    is: bool,
    of: Option<Wait>,
}

/// A direction of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Half {
    FromEngine = 0,
    ToEngine = 1,
}

impl Link {
    pub(crate) fn new(lease: OwnedSemaphorePermit, user: Option<Arc<Progress>>) -> Self {
        Self {
            state: Mutex::new(State {
                user,
                ..State::default()
            }),
            _lease: lease,
        }
    }

    /// Notes that this call uses the connection from now on.
    pub(crate) fn used_by(&self, call: Option<Arc<Progress>>) {
        let Some(call) = call else { return };
        let mut state = self.state();
        for waiting in &mut state.waits {
            waiting.renew(&call);
        }
        state.user = Some(call);
    }

    /// Notes whether the guest waits for this half.
    pub(crate) fn waits(&self, half: Half, is: bool) {
        let mut state = self.state();
        let State { user, waits } = &mut *state;
        let [from_engine, to_engine] = waits;
        let waiting = match half {
            Half::FromEngine => from_engine,
            Half::ToEngine => to_engine,
        };
        waiting.is = is;
        match user {
            Some(user) if is => waiting.renew(user),
            _ => waiting.of = None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in there is half done where a step could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Waits, if anybody does, on behalf of `call`.
    fn renew(&mut self, call: &Arc<Progress>) {
        if self.is && !self.of.as_ref().is_some_and(|wait| wait.is_of(call)) {
            self.of = Some(call.wait());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::Semaphore;

    use super::*;
    use crate::activity::Activity;

    const LIMIT: Duration = Duration::from_secs(1);

    async fn hangs(call: &Progress) -> bool {
        tokio::time::timeout(10 * LIMIT, call.hung(LIMIT))
            .await
            .is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_used_it_last_waits_for_it() {
        let leases = Arc::new(Semaphore::new(1));
        let activity = Arc::new(Activity::default());
        let (first, second) = (activity.follow(1), activity.follow(2));
        let (first, second) = (first.progress(), second.progress());
        let link = Link::new(
            leases.clone().try_acquire_owned().unwrap(),
            Some(first.clone()),
        );
        link.waits(Half::FromEngine, true);
        assert!(!hangs(first).await);
        // The read goes on where the first call left it.
        link.used_by(Some(second.clone()));
        assert!(!hangs(second).await);
        assert!(hangs(first).await);
        link.waits(Half::FromEngine, false);
        assert!(hangs(second).await);
        link.waits(Half::ToEngine, true);
        assert!(!hangs(second).await);
        drop(link);
        assert!(hangs(second).await);
        assert_eq!(leases.available_permits(), 1);
    }
}
