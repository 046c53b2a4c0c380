//! Shared engine streams: all viewers of a container that follow its log read one
//! stream of the engine.
//!
//! A [`LogFollower`] copies the engine's stream into a [`LogRing`], the last
//! entries with their positions. A viewer reads the ring at its own pace. What the
//! ring does not have, because it is older or because the viewer has fallen behind,
//! the viewer reads from the engine up to an entry that the ring has, so nobody
//! waits for anybody else.

mod engine_stream_limiter;
mod follower;
mod log_ring;
mod ring_writer;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rdd_core::{ContainerEngine, ContainerRef, EngineError, ErrorCode};
use tokio::sync::{OnceCell, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::entries::engine_call::with_timeout;
use crate::limits;
use engine_stream_limiter::EngineStreamLimiter;
pub(crate) use engine_stream_limiter::{EngineStreamPermit, LogOpenError};
use follower::LogFollower;
pub(crate) use log_ring::{LogEnd, LogRing, RingItem, RingLookup, RingPlace};

/// The followed logs of an engine. Clones are cheap and share them.
#[derive(Clone)]
pub(crate) struct LogHub {
    shared: Arc<HubState>,
}

struct HubState {
    /// Locked for a lookup or a change of the map only.
    logs: Mutex<HashMap<ContainerRef, Arc<FollowedLog>>>,
    followers: TaskTracker,
    /// One permit for each log that is being opened.
    openings: Semaphore,
    limiter: EngineStreamLimiter,
    shutdown: CancellationToken,
}

/// A log that is followed, or about to be.
struct FollowedLog {
    engine: Arc<dyn ContainerEngine>,
    /// Set once the engine has responded. The follower's task holds it, too.
    ring: OnceCell<Arc<watch::Sender<LogRing>>>,
}

/// A caller that waits for a log to be opened. However it ends, a log that nobody
/// has opened does not stay in the map.
struct JoiningCaller<'a> {
    hub: &'a LogHub,
    container: &'a ContainerRef,
    log: Arc<FollowedLog>,
}

impl Drop for JoiningCaller<'_> {
    fn drop(&mut self) {
        let mut logs = self.hub.logs();
        // Others who wait hold the log, too: the map, this caller, and they.
        if !self.log.ring.initialized() && Arc::strong_count(&self.log) <= 2 {
            remove_from(&mut logs, self.container, &self.log);
        }
    }
}

/// The follower's task. However it ends, its ring has an end, and its log is no
/// longer in the map.
struct FollowerTask {
    hub: LogHub,
    container: ContainerRef,
    log: Arc<FollowedLog>,
    ring: Arc<watch::Sender<LogRing>>,
}

impl Drop for FollowerTask {
    fn drop(&mut self) {
        remove_from(&mut self.hub.logs(), &self.container, &self.log);
        self.ring.send_modify(|ring| {
            if ring.end().is_none() {
                let message = "the stream of the log was closed";
                let error = EngineError::new(ErrorCode::Unavailable, message);
                ring.set_end(LogEnd::Failed(error));
            }
        });
    }
}

impl LogHub {
    /// Creates the hub, which reads at most `max_streams` streams from the engine.
    pub(crate) fn new(max_streams: usize) -> Self {
        Self {
            shared: Arc::new(HubState {
                logs: Mutex::default(),
                followers: TaskTracker::new(),
                openings: Semaphore::new(limits::MAX_OPENING_LOGS),
                limiter: EngineStreamLimiter::new(max_streams),
                shutdown: CancellationToken::new(),
            }),
        }
    }

    /// Returns the limiter of all streams of entries.
    pub(crate) fn limiter(&self) -> &EngineStreamLimiter {
        &self.shared.limiter
    }

    /// Returns the ring of the container's log, and opens the log if nobody
    /// follows it.
    ///
    /// # Errors
    ///
    /// Fails if the log cannot be opened. Whoever comes next tries again.
    pub(crate) async fn join(
        &self,
        engine: &Arc<dyn ContainerEngine>,
        container: &ContainerRef,
    ) -> Result<watch::Receiver<LogRing>, LogOpenError> {
        let caller = JoiningCaller {
            hub: self,
            container,
            log: self.find_or_insert(engine, container),
        };
        let log = &caller.log;
        let opening = || self.open(engine, container, log);
        let ring = log.ring.get_or_try_init(opening).await?;
        Ok(ring.subscribe())
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
    ) -> Result<Arc<watch::Sender<LogRing>>, LogOpenError> {
        // Nobody closes the semaphore, so an error cannot happen.
        let _opening = self.shared.openings.acquire().await.ok();
        let permit = self.limiter().acquire()?;
        let opening = LogFollower::open(Arc::clone(engine), container.clone(), permit);
        let (follower, ring) = with_timeout(opening).await?;
        let ring = Arc::new(watch::Sender::new(ring));
        let task = FollowerTask {
            hub: self.clone(),
            container: container.clone(),
            log: Arc::clone(log),
            ring: Arc::clone(&ring),
        };
        self.shared.followers.spawn(async move {
            let FollowerTask {
                hub,
                container,
                log,
                ring,
            } = &task;
            let run = follower.run(ring, || hub.retire(container, log, ring));
            hub.shared.shutdown.run_until_cancelled(run).await;
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

#[cfg(test)]
mod tests;
