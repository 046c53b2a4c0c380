//! The clock of the watchdog.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::{Engine, Store, UpdateDeadline};

/// How often a running guest is made to give way. Short enough that the other
/// tasks of the thread wait no longer than one context switch of a busy
/// machine, long enough to cost nothing.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Moves the engine's epoch while guest code may run, and sleeps while none
/// does: an idle daemon is not woken up a hundred times a second.
pub(crate) struct EpochClock {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    /// Stores that are being polled right now.
    active: AtomicUsize,
    stop: AtomicBool,
}

impl EpochClock {
    /// Starts the clock's thread, which ends with this value.
    pub(crate) fn start(engine: Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            active: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        });
        let theirs = shared.clone();
        let thread = std::thread::Builder::new()
            .name("rdd-epoch".to_owned())
            .spawn(move || {
                while !theirs.stop.load(Ordering::SeqCst) {
                    if theirs.active.load(Ordering::SeqCst) == 0 {
                        std::thread::park();
                    } else {
                        std::thread::sleep(TICK);
                        engine.increment_epoch();
                    }
                }
            })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Polls `future`, which runs guest code, with the clock going.
    pub(crate) async fn while_polled<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        std::future::poll_fn(|cx| {
            let _going = self.enter();
            future.as_mut().poll(cx)
        })
        .await
    }

    fn enter(&self) -> Going<'_> {
        if self.shared.active.fetch_add(1, Ordering::SeqCst) == 0
            && let Some(thread) = &self.thread
        {
            thread.thread().unpark();
        }
        Going(&self.shared)
    }
}

impl Drop for EpochClock {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("the thread of the backends' watchdog had panicked");
            }
        }
    }
}

struct Going<'a>(&'a Shared);

impl Drop for Going<'_> {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Why the watchdog ended a store.
#[derive(Debug, thiserror::Error)]
#[error("used the processor for {0:?} without a pause")]
pub(crate) struct Spun(Duration);

/// Counts how long a guest has kept the processor from the event loop of its
/// own store.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watchdog(Arc<AtomicU32>);

impl Watchdog {
    /// Makes guests in `store` give way at each tick, and ends the store when
    /// one did nothing but compute for `limit`.
    pub(crate) fn guard<T>(&self, store: &mut Store<T>, limit: Duration) {
        let ticks = u32::try_from(limit.as_millis() / TICK.as_millis()).unwrap_or(u32::MAX);
        let busy = self.0.clone();
        store.epoch_deadline_callback(move |_| {
            if busy.fetch_add(1, Ordering::Relaxed) >= ticks {
                return Err(Spun(limit).into());
            }
            // Tokio's own way to give way also lets timers and sockets have
            // their turn; waking ourselves would not.
            let give_way = Box::pin(tokio::task::yield_now());
            Ok(UpdateDeadline::YieldCustom(1, give_way))
        });
        store.set_epoch_deadline(1);
    }

    /// To be called whenever the event loop runs: no guest holds the store.
    pub(crate) fn pause(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}
