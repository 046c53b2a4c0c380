//! Shared engine streams: all viewers of a container that follow its log read one
//! stream of the engine.
//!
//! A [`LogFollower`] copies the engine's stream into a [`LogRing`], the last
//! entries with their positions. A viewer reads the ring at its own pace. What the
//! ring does not have, because it is older or because the viewer has fallen behind,
//! the viewer reads from the engine up to an entry that the ring has, so nobody
//! waits for anybody else.

mod follower;
mod log_ring;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rdd_core::{ContainerEngine, ContainerRef, EngineError};
use tokio::sync::{OnceCell, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::limits;
use follower::LogFollower;
pub(crate) use log_ring::{LogEnd, LogRing, RingItem, RingLookup, RingPlace};

/// The followed logs of an engine. Clones are cheap and share them.
#[derive(Clone, Default)]
pub(crate) struct LogHub {
    shared: Arc<HubState>,
}

#[derive(Default)]
struct HubState {
    /// Locked for a lookup or a change of the map only.
    logs: Mutex<HashMap<ContainerRef, Arc<FollowedLog>>>,
    followers: TaskTracker,
    /// One for each log that is being opened.
    openings: OpeningLimiter,
    shutdown: CancellationToken,
}

/// Permits for opening logs: a client may subscribe to hundreds at once.
struct OpeningLimiter(Semaphore);

impl Default for OpeningLimiter {
    fn default() -> Self {
        Self(Semaphore::new(limits::MAX_OPENING_LOGS))
    }
}

/// A log that is followed, or about to be.
struct FollowedLog {
    engine: Arc<dyn ContainerEngine>,
    /// Set once the engine has responded. The follower's task holds it, too.
    ring: OnceCell<Arc<watch::Sender<LogRing>>>,
}

impl LogHub {
    /// Returns the ring of the container's log, and opens the log if nobody
    /// follows it.
    ///
    /// # Errors
    ///
    /// Fails if the engine cannot open the log. Whoever comes next asks the engine
    /// again.
    pub(crate) async fn join(
        &self,
        engine: &Arc<dyn ContainerEngine>,
        container: &ContainerRef,
    ) -> Result<watch::Receiver<LogRing>, EngineError> {
        let log = self.find_or_insert(engine, container);
        let opened = log
            .ring
            .get_or_try_init(|| self.open(engine, container, &log));
        match opened.await {
            Ok(ring) => Ok(ring.subscribe()),
            Err(error) => {
                self.remove(container, &log);
                Err(error)
            }
        }
    }

    /// Closes all engine streams, and waits until they are closed.
    pub(crate) async fn shutdown(&self) {
        let HubState {
            followers,
            shutdown,
            ..
        } = &*self.shared;
        shutdown.cancel();
        followers.close();
        followers.wait().await;
    }

    async fn open(
        &self,
        engine: &Arc<dyn ContainerEngine>,
        container: &ContainerRef,
        log: &Arc<FollowedLog>,
    ) -> Result<Arc<watch::Sender<LogRing>>, EngineError> {
        // Nobody closes it, so an error cannot happen.
        let _permit = self.shared.openings.0.acquire().await.ok();
        let (follower, ring) = LogFollower::open(Arc::clone(engine), container.clone()).await?;
        let ring = Arc::new(watch::Sender::new(ring));
        let sender = Arc::clone(&ring);
        let (hub, container, log) = (self.clone(), container.clone(), Arc::clone(log));
        self.shared.followers.spawn(async move {
            let shutdown = &hub.shared.shutdown;
            let retire = || hub.retire(&container, &log, &sender);
            let run = follower.run(&sender, retire);
            // A cancelled run leaves a ring without end, whose readers end by
            // themselves.
            shutdown.run_until_cancelled(run).await;
            hub.remove(&container, &log);
        });
        Ok(ring)
    }

    fn find_or_insert(
        &self,
        engine: &Arc<dyn ContainerEngine>,
        container: &ContainerRef,
    ) -> Arc<FollowedLog> {
        let mut logs = self.logs();
        if let Some(log) = logs.get(container)
            && Arc::ptr_eq(&log.engine, engine)
        {
            return Arc::clone(log);
        }
        // There is none, or it belongs to an engine that was replaced.
        let log = Arc::new(FollowedLog {
            engine: Arc::clone(engine),
            ring: OnceCell::new(),
        });
        logs.insert(container.clone(), Arc::clone(&log));
        log
    }

    /// Removes the log if it has no readers. While the map is locked, nobody can
    /// find the log and join it.
    fn retire(
        &self,
        container: &ContainerRef,
        log: &Arc<FollowedLog>,
        ring: &watch::Sender<LogRing>,
    ) -> bool {
        let mut logs = self.logs();
        // A caller of `join` that has found the log but not subscribed yet holds
        // it: the map, this task, and the caller.
        let is_unused = ring.receiver_count() == 0 && Arc::strong_count(log) <= 2;
        if is_unused {
            remove_from(&mut logs, container, log);
        }
        is_unused
    }

    fn remove(&self, container: &ContainerRef, log: &Arc<FollowedLog>) {
        remove_from(&mut self.logs(), container, log);
    }

    fn logs(&self) -> std::sync::MutexGuard<'_, HashMap<ContainerRef, Arc<FollowedLog>>> {
        // No operation on the map panics halfway.
        self.shared
            .logs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes `log`, unless another one has taken its place.
fn remove_from(
    logs: &mut HashMap<ContainerRef, Arc<FollowedLog>>,
    container: &ContainerRef,
    log: &Arc<FollowedLog>,
) {
    if logs
        .get(container)
        .is_some_and(|found| Arc::ptr_eq(found, log))
    {
        logs.remove(container);
    }
}
