//! Whether an engine still responds.
//!
//! A connection whose peer disappeared silently looks like an idle one: the
//! daemon was stopped, the virtual machine behind the socket was paused, or a
//! proxy lost its upstream. So an engine that has sent nothing for a while is
//! pinged. If it then sends nothing on any connection, it is lost: all
//! connections to it fail, and everything that waits for one gets an error.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// The liveness of one engine, shared by all stores of its backend.
#[derive(Debug)]
pub struct EngineLiveness {
    created_at: Instant,
    /// When the engine last sent something, in milliseconds after `created_at`.
    last_received_millis: AtomicU64,
    connections: Mutex<ConnectionRegistry>,
}

#[derive(Debug, Default)]
struct ConnectionRegistry {
    next_id: u64,
    open: HashMap<u64, OpenConnection>,
}

#[derive(Debug)]
struct OpenConnection {
    opened_at: Instant,
    lost: CancellationToken,
}

impl EngineLiveness {
    /// Returns the liveness of an engine that has sent nothing yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            created_at: Instant::now(),
            last_received_millis: AtomicU64::new(0),
            connections: Mutex::default(),
        })
    }

    /// Records that the engine sent something.
    pub fn record_received(&self) {
        let millis = u64::try_from(self.created_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_received_millis
            .fetch_max(millis, Ordering::Relaxed);
    }

    /// Returns when the engine last sent something, rounded down to a
    /// millisecond.
    pub fn last_received(&self) -> Instant {
        self.created_at + Duration::from_millis(self.last_received_millis.load(Ordering::Relaxed))
    }

    /// Registers a new connection until the returned guard is dropped.
    pub fn register_connection(self: &Arc<Self>) -> ConnectionGuard {
        let lost = CancellationToken::new();
        let mut connections = self.lock();
        let id = connections.next_id;
        connections.next_id += 1;
        let connection = OpenConnection {
            opened_at: Instant::now(),
            lost: lost.clone(),
        };
        connections.open.insert(id, connection);
        ConnectionGuard {
            liveness: self.clone(),
            id,
            lost: Box::pin(lost.cancelled_owned()),
        }
    }

    #[cfg(test)]
    fn open_count(&self) -> usize {
        self.lock().open.len()
    }

    /// Fails the connections that were opened before `deadline`.
    fn fail_connections_before(&self, deadline: Instant) {
        for connection in self.lock().open.values() {
            if connection.opened_at < deadline {
                connection.lost.cancel();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, ConnectionRegistry> {
        // A panic while the lock is held leaves the map valid.
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The registration of one connection. It is ready once the engine is lost.
#[derive(Debug)]
pub struct ConnectionGuard {
    liveness: Arc<EngineLiveness>,
    id: u64,
    lost: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl ConnectionGuard {
    /// Returns ready once the engine is lost.
    pub fn poll_lost(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.lost.as_mut().poll(cx)
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.liveness.lock().open.remove(&self.id);
    }
}

/// The timing of liveness probes.
#[derive(Clone, Copy, Debug)]
pub struct LivenessProbe {
    /// How long the engine may send nothing before it is pinged.
    pub idle_timeout: Duration,
    /// How long the engine may take to send something after a ping.
    pub ping_timeout: Duration,
}

/// The outcome of a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// The engine sent something.
    Alive,
    /// The engine sent nothing and is lost.
    Lost,
}

impl LivenessProbe {
    /// Waits until the engine has sent nothing for `idle_timeout`.
    pub async fn wait_until_idle(self, liveness: &EngineLiveness) {
        loop {
            let idle_at = liveness.last_received() + self.idle_timeout;
            if idle_at <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(idle_at).await;
        }
    }

    /// Runs `ping` and waits for the engine to send something on any connection.
    /// The result of `ping` does not matter, since a response counts as
    /// something sent.
    pub async fn ping(self, liveness: &EngineLiveness, ping: impl Future) -> ProbeOutcome {
        let started_at = Instant::now();
        let before = liveness.last_received();
        let deadline = started_at + self.ping_timeout;
        let is_alive = || liveness.last_received() > before;
        // Completes early if the engine responds or if something fails before the
        // ping reaches it.
        let pinged = tokio::time::timeout_at(deadline, ping).await;
        if pinged.is_ok() && !is_alive() {
            tokio::time::sleep_until(deadline).await;
        }
        if is_alive() {
            return ProbeOutcome::Alive;
        }
        // Later connections may have reached a restarted engine; the next probe
        // checks them.
        liveness.fail_connections_before(started_at);
        ProbeOutcome::Lost
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    const PROBE: LivenessProbe = LivenessProbe {
        idle_timeout: Duration::from_secs(15),
        ping_timeout: Duration::from_secs(30),
    };

    async fn is_lost(connection: &mut ConnectionGuard) -> bool {
        std::future::poll_fn(|cx| Poll::Ready(connection.poll_lost(cx).is_ready())).await
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_sends_something_is_not_pinged() {
        let liveness = EngineLiveness::new();
        let sending = async {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_secs(10)).await;
                liveness.record_received();
            }
        };
        let ((), elapsed) = tokio::join!(sending, async {
            PROBE.wait_until_idle(&liveness).await;
            liveness.created_at.elapsed()
        });
        assert_eq!(elapsed, Duration::from_secs(115));
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_sends_nothing_is_lost() {
        let liveness = EngineLiveness::new();
        let mut connection = liveness.register_connection();
        tokio::time::advance(Duration::from_millis(1)).await;
        PROBE.wait_until_idle(&liveness).await;
        let (outcome, mut later) = tokio::join!(PROBE.ping(&liveness, pending::<()>()), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            liveness.register_connection()
        });
        assert_eq!(outcome, ProbeOutcome::Lost);
        assert_eq!(liveness.created_at.elapsed(), Duration::from_secs(45));
        assert!(is_lost(&mut connection).await);
        assert!(
            !is_lost(&mut later).await,
            "it may have reached a restarted engine"
        );
        assert_eq!(liveness.open_count(), 2);
        drop((connection, later));
        assert_eq!(liveness.open_count(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_response_and_an_event_both_count() {
        let liveness = EngineLiveness::new();
        let mut connection = liveness.register_connection();
        tokio::time::advance(Duration::from_millis(1)).await;
        let slow = async {
            tokio::time::sleep(Duration::from_secs(29)).await;
            liveness.record_received();
        };
        assert_eq!(PROBE.ping(&liveness, slow).await, ProbeOutcome::Alive);
        let event = async {
            tokio::time::sleep(Duration::from_secs(29)).await;
            liveness.record_received();
            pending::<()>().await;
        };
        assert_eq!(PROBE.ping(&liveness, event).await, ProbeOutcome::Alive);
        assert!(!is_lost(&mut connection).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_ping_that_fails_at_once_decides_nothing() {
        let liveness = EngineLiveness::new();
        let outcome = PROBE.ping(&liveness, ready(())).await;
        assert_eq!(outcome, ProbeOutcome::Lost);
        assert_eq!(liveness.created_at.elapsed(), PROBE.ping_timeout);
        let event = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            liveness.record_received();
        };
        let (outcome, ()) = tokio::join!(PROBE.ping(&liveness, ready(())), event);
        assert_eq!(outcome, ProbeOutcome::Alive);
    }
}
