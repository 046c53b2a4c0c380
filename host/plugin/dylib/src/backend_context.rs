//! What all instances of one backend share, across restarts.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rdd_plugin_contract::{BackendLimits, BackendPermits, ExitKind, ExitReason, MemoryBudget};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backend_library::BackendLibrary;
use crate::host_context::HostContext;
use crate::thread_tracker::ThreadTracker;

/// The maximum number of threads of one backend that were given up and have not
/// returned. Each keeps its memory, and may use a processor.
const MAX_ABANDONED_THREADS: usize = 64;
/// How often the watchdog looks at the threads, as a part of the time that they
/// may spend in a function.
const CHECKS_PER_LIMIT: u32 = 8;

/// What all instances of one backend share.
pub(crate) struct BackendContext {
    pub(crate) library: Arc<BackendLibrary>,
    pub(crate) limits: BackendLimits,
    pub(crate) host: Arc<HostContext>,
    pub(crate) shutdown: CancellationToken,
    /// The threads of all instances, and the other tasks.
    pub(crate) tasks: TaskTracker,
    pub(crate) permits: BackendPermits,
    /// What the host holds for the control instances. The library's own memory is
    /// part of the daemon's.
    pub(crate) control_memory: Arc<MemoryBudget>,
    pub(crate) abandoned_threads: Arc<AtomicUsize>,
    threads: Mutex<Vec<Weak<WatchedThread>>>,
}

/// The thread of an instance, as the watchdog sees it.
pub(crate) struct WatchedThread {
    pub(crate) tracker: Arc<ThreadTracker>,
    pub(crate) exit: watch::Sender<Option<ExitReason>>,
}

impl WatchedThread {
    /// Publishes why the instance ended, unless that was published before.
    pub(crate) fn publish_exit(&self, reason: ExitReason) {
        self.exit.send_if_modified(|exit| {
            let is_first = exit.is_none();
            if is_first {
                *exit = Some(reason);
            }
            is_first
        });
    }
}

impl BackendContext {
    pub(crate) fn new(
        library: Arc<BackendLibrary>,
        limits: BackendLimits,
        host: Arc<HostContext>,
    ) -> Arc<Self> {
        Arc::new(Self {
            library,
            permits: BackendPermits::new(&host.name, &limits),
            host,
            control_memory: MemoryBudget::new(usize::MAX),
            shutdown: CancellationToken::new(),
            tasks: TaskTracker::new(),
            abandoned_threads: Arc::default(),
            threads: Mutex::default(),
            limits,
        })
    }

    /// Fails if too many threads have not returned from the library.
    pub(crate) fn check_abandoned_threads(&self) -> Result<(), String> {
        let count = self.abandoned_threads.load(Ordering::Relaxed);
        if count < MAX_ABANDONED_THREADS {
            return Ok(());
        }
        Err(format!(
            "has {count} threads that have not returned from its library; restart the daemon"
        ))
    }

    /// Lets the watchdog watch a thread for as long as it has a reference.
    pub(crate) fn watch_thread(&self, thread: &Arc<WatchedThread>) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|thread| thread.strong_count() > 0);
        threads.push(Arc::downgrade(thread));
    }

    /// Gives up the threads that have been in one function of the library for too
    /// long. Never returns.
    pub(crate) async fn run_watchdog(&self) {
        let limit = self.limits.yield_timeout;
        let pause = (limit / CHECKS_PER_LIMIT).max(Duration::from_millis(1));
        loop {
            tokio::time::sleep(pause).await;
            let threads: Vec<_> = {
                let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
                threads.iter().filter_map(Weak::upgrade).collect()
            };
            for thread in threads {
                if let Some(site) = thread.tracker.abandon_after(limit) {
                    let _entered = self.host.span.enter();
                    tracing::error!(
                        function = %site,
                        ?limit,
                        "the library has not returned; giving up its thread"
                    );
                    let message = format!("has not returned from {site} for {limit:?}");
                    let exit = ExitReason::guest_fault(message);
                    thread.publish_exit(exit.with_kind(ExitKind::Unresponsive));
                }
            }
        }
    }
}
