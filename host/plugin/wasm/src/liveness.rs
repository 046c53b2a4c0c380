//! Whether an engine still answers.
//!
//! A connection whose other end has gone without a word looks like one on
//! which nothing happens: a daemon that is stopped, a virtual machine that is
//! paused behind its socket, a proxy that lost what it stood before. So an
//! engine that has sent nothing for a while is asked for something. One that
//! sends nothing then, either, on any connection, is lost: all connections to
//! it are broken, and whoever waits for one of them is told why.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// What all stores of one backend know of their engine.
#[derive(Debug)]
pub(crate) struct Liveness {
    began: Instant,
    /// When the engine last sent something: milliseconds after `began`.
    received: AtomicU64,
    connections: Mutex<Connections>,
}

/// The connections that are open.
#[derive(Debug, Default)]
struct Connections {
    next: u64,
    open: HashMap<u64, Open>,
}

#[derive(Debug)]
struct Open {
    since: Instant,
    lost: CancellationToken,
}

impl Liveness {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            received: AtomicU64::new(0),
            connections: Mutex::default(),
        })
    }

    /// Notes that the engine sent something.
    pub(crate) fn received(&self) {
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.received.fetch_max(millis, Ordering::Relaxed);
    }

    /// When the engine last sent something, to the millisecond below.
    pub(crate) fn last_received(&self) -> Instant {
        self.began + Duration::from_millis(self.received.load(Ordering::Relaxed))
    }

    /// Notes a new connection, until the result is dropped.
    pub(crate) fn connected(self: &Arc<Self>) -> Lost {
        let lost = CancellationToken::new();
        let mut connections = self.connections();
        let id = connections.next;
        connections.next += 1;
        let open = Open {
            since: Instant::now(),
            lost: lost.clone(),
        };
        connections.open.insert(id, open);
        Lost {
            liveness: self.clone(),
            id,
            lost: Box::pin(lost.cancelled_owned()),
        }
    }

    #[cfg(test)]
    fn open(&self) -> usize {
        self.connections().open.len()
    }

    /// Breaks the connections that were opened before this moment.
    fn lose(&self, before: Instant) {
        for open in self.connections().open.values() {
            if open.since < before {
                open.lost.cancel();
            }
        }
    }

    fn connections(&self) -> MutexGuard<'_, Connections> {
        // The map is whole after every step that could panic.
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// For one connection: resolves when its engine is lost.
#[derive(Debug)]
pub(crate) struct Lost {
    liveness: Arc<Liveness>,
    id: u64,
    lost: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Lost {
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.lost.as_mut().poll(cx)
    }
}

impl Drop for Lost {
    fn drop(&mut self) {
        self.liveness.connections().open.remove(&self.id);
    }
}

/// When an engine is asked for a sign of life, and how long it has for one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe {
    pub(crate) silence: Duration,
    pub(crate) answer: Duration,
}

/// What became of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Something came.
    Alive,
    /// Nothing did: the engine is lost.
    Lost,
}

impl Probe {
    /// Waits until the engine has sent nothing for too long.
    pub(crate) async fn silent(self, liveness: &Liveness) {
        loop {
            let next = liveness.last_received() + self.silence;
            if next <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(next).await;
        }
    }

    /// Asks the engine by `ping`, and waits for something from it on any
    /// connection. What `ping` itself gives does not matter: an answer is
    /// something that came.
    pub(crate) async fn ask(self, liveness: &Liveness, ping: impl Future) -> Outcome {
        let asked = Instant::now();
        let before = liveness.last_received();
        let deadline = asked + self.answer;
        let alive = || liveness.last_received() > before;
        // Over early where the engine answers, or where something refuses for it.
        let answered = tokio::time::timeout_at(deadline, ping).await;
        if answered.is_ok() && !alive() {
            tokio::time::sleep_until(deadline).await;
        }
        if alive() {
            return Outcome::Alive;
        }
        // Younger ones have a probe of their own to come.
        liveness.lose(asked);
        Outcome::Lost
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    const PROBE: Probe = Probe {
        silence: Duration::from_secs(15),
        answer: Duration::from_secs(30),
    };

    /// Whether a connection that was open all the while is broken.
    async fn broken(lost: &mut Lost) -> bool {
        std::future::poll_fn(|cx| Poll::Ready(lost.poll(cx).is_ready())).await
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_sends_something_is_not_asked() {
        let liveness = Liveness::new();
        let sending = async {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_secs(10)).await;
                liveness.received();
            }
        };
        let ((), took) = tokio::join!(sending, async {
            PROBE.silent(&liveness).await;
            liveness.began.elapsed()
        });
        assert_eq!(took, Duration::from_secs(115));
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_answers_nothing_is_lost() {
        let liveness = Liveness::new();
        let mut lost = liveness.connected();
        tokio::time::advance(Duration::from_millis(1)).await;
        PROBE.silent(&liveness).await;
        let (outcome, mut young) = tokio::join!(PROBE.ask(&liveness, pending::<()>()), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            liveness.connected()
        });
        assert_eq!(outcome, Outcome::Lost);
        assert_eq!(liveness.began.elapsed(), Duration::from_secs(45));
        assert!(broken(&mut lost).await);
        assert!(
            !broken(&mut young).await,
            "it may have reached another engine"
        );
        assert_eq!(liveness.open(), 2);
        drop((lost, young));
        assert_eq!(liveness.open(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_answer_and_an_event_are_signs_of_life() {
        let liveness = Liveness::new();
        let mut lost = liveness.connected();
        tokio::time::advance(Duration::from_millis(1)).await;
        let slow = async {
            tokio::time::sleep(Duration::from_secs(29)).await;
            liveness.received();
        };
        assert_eq!(PROBE.ask(&liveness, slow).await, Outcome::Alive);
        let event = async {
            tokio::time::sleep(Duration::from_secs(29)).await;
            liveness.received();
            pending::<()>().await;
        };
        assert_eq!(PROBE.ask(&liveness, event).await, Outcome::Alive);
        assert!(!broken(&mut lost).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_fails_at_once_is_no_sign_of_either() {
        let liveness = Liveness::new();
        let outcome = PROBE.ask(&liveness, ready(())).await;
        assert_eq!(outcome, Outcome::Lost);
        assert_eq!(liveness.began.elapsed(), PROBE.answer);
        let event = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            liveness.received();
        };
        let (outcome, ()) = tokio::join!(PROBE.ask(&liveness, ready(())), event);
        assert_eq!(outcome, Outcome::Alive);
    }
}
