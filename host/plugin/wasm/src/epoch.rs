//! Epoch interruption: guests yield regularly, and one that never returns to the
//! event loop of its store is ended.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rdd_plugin_contract::ProgressCounter;
use wasmtime::{Engine, Store, UpdateDeadline};

/// The interval at which a running guest must yield. Short enough that the other
/// tasks of the thread wait no longer than for a context switch on a busy
/// machine, long enough to cost nothing.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// A thread that increments the engine's epoch while guest code may run. It is
/// asleep otherwise, so that an idle daemon has no timer.
pub(crate) struct EpochTicker {
    state: Arc<TickerState>,
    thread: Option<JoinHandle<()>>,
}

struct TickerState {
    /// The number of stores that are being polled right now.
    active: AtomicUsize,
    is_stopped: AtomicBool,
}

impl EpochTicker {
    /// Starts the thread, which ends when the ticker is dropped.
    pub(crate) fn start(engine: Engine) -> std::io::Result<Self> {
        let state = Arc::new(TickerState {
            active: AtomicUsize::new(0),
            is_stopped: AtomicBool::new(false),
        });
        let thread_state = state.clone();
        let thread = std::thread::Builder::new()
            .name("rdd-epoch".to_owned())
            .spawn(move || {
                while !thread_state.is_stopped.load(Ordering::SeqCst) {
                    if thread_state.active.load(Ordering::SeqCst) == 0 {
                        std::thread::park();
                    } else {
                        std::thread::sleep(TICK);
                        engine.increment_epoch();
                    }
                }
            })?;
        Ok(Self {
            state,
            thread: Some(thread),
        })
    }

    /// Polls `future`, which runs guest code, while the epoch advances.
    pub(crate) async fn with_epoch_ticks<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        std::future::poll_fn(|cx| {
            let _active = self.activate();
            future.as_mut().poll(cx)
        })
        .await
    }

    fn activate(&self) -> ActiveGuard<'_> {
        if self.state.active.fetch_add(1, Ordering::SeqCst) == 0
            && let Some(thread) = &self.thread
        {
            thread.thread().unpark();
        }
        ActiveGuard(&self.state)
    }
}

impl Drop for EpochTicker {
    fn drop(&mut self) {
        self.state.is_stopped.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("epoch thread panicked");
            }
        }
    }
}

/// Keeps the epoch advancing until it is dropped.
struct ActiveGuard<'a>(&'a TickerState);

impl Drop for ActiveGuard<'_> {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The error that ends a store whose guest did not return to the event loop.
#[derive(Debug, thiserror::Error)]
#[error("ran for {0:?} without yielding")]
pub(crate) struct YieldTimeout(Duration);

/// Counts the ticks since the event loop of a store last ran.
#[derive(Clone, Debug, Default)]
pub(crate) struct EpochWatchdog(Arc<AtomicU32>);

impl EpochWatchdog {
    /// Makes guests in `store` yield at each tick, and ends the store if a guest
    /// does nothing but compute for `limit`. A guest that makes progress does not:
    /// what it waits for was always there.
    pub(crate) fn attach<T>(
        &self,
        store: &mut Store<T>,
        limit: Duration,
        progress: Arc<ProgressCounter>,
    ) {
        let max_ticks = u32::try_from(limit.as_millis() / TICK.as_millis()).unwrap_or(u32::MAX);
        let ticks = self.0.clone();
        let mut steps_before = 0;
        store.epoch_deadline_callback(move |_| {
            let steps = progress.get();
            if std::mem::replace(&mut steps_before, steps) != steps {
                ticks.store(0, Ordering::Relaxed);
            }
            if ticks.fetch_add(1, Ordering::Relaxed) >= max_ticks {
                return Err(YieldTimeout(limit).into());
            }
            // Unlike a plain wake-up of the own task, tokio's yield lets the
            // runtime poll timers and sockets first.
            let yield_now = Box::pin(tokio::task::yield_now());
            Ok(UpdateDeadline::YieldCustom(1, yield_now))
        });
        store.set_epoch_deadline(1);
    }

    /// Resets the count. Called whenever the event loop of the store runs.
    pub(crate) fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}
