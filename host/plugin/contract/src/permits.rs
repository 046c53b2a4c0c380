//! The permits for the streams of a backend.

use std::sync::Arc;

use rdd_core::{EngineError, ErrorCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::BackendLimits;

/// The permits for the streams of one backend, across its restarts.
#[derive(Debug)]
pub struct BackendPermits {
    /// The permits for logs.
    pub logs: StreamPermits,
    /// The permits for processes.
    pub execs: StreamPermits,
    /// The permits for pulls and pushes.
    pub transfers: StreamPermits,
}

/// The permits for one kind of stream.
#[derive(Debug)]
pub struct StreamPermits {
    permits: Arc<Semaphore>,
    max: usize,
    /// What the streams are called in the error.
    streams: &'static str,
    backend: String,
}

impl BackendPermits {
    /// Creates the permits that `limits` allow the backend of this name.
    ///
    /// ```
    /// use rdd_plugin_contract::{BackendLimits, BackendPermits};
    ///
    /// let limits = BackendLimits { max_execs: 1, ..BackendLimits::default() };
    /// let permits = BackendPermits::new("moby", &limits);
    /// let permit = permits.execs.acquire()?;
    /// assert!(permits.execs.acquire().is_err());
    /// drop(permit);
    /// assert_eq!(permits.execs.used(), 0);
    /// # Ok::<(), rdd_core::EngineError>(())
    /// ```
    pub fn new(backend: &str, limits: &BackendLimits) -> Self {
        let permits = |max, streams| StreamPermits {
            permits: Arc::new(Semaphore::new(max)),
            max,
            streams,
            backend: backend.to_owned(),
        };
        Self {
            logs: permits(limits.max_log_streams, "log streams"),
            execs: permits(limits.max_execs, "exec sessions"),
            transfers: permits(limits.max_transfers, "pulls and pushes"),
        }
    }
}

impl BackendPermits {
    /// Returns whether no stream is open.
    pub fn is_idle(&self) -> bool {
        let Self {
            logs,
            execs,
            transfers,
        } = self;
        [logs, execs, transfers].iter().all(|it| it.used() == 0)
    }
}

impl StreamPermits {
    /// Acquires the permit for another stream, without waiting.
    ///
    /// # Errors
    ///
    /// Fails with `LimitReached` if all permits are in use.
    pub fn acquire(&self) -> Result<OwnedSemaphorePermit, EngineError> {
        self.permits.clone().try_acquire_owned().map_err(|_| {
            let Self {
                max,
                streams,
                backend,
                ..
            } = self;
            EngineError::new(
                ErrorCode::LimitReached,
                format!(
                    "{max} {streams} of the backend {backend} are open, the maximum; close some and try again"
                ),
            )
        })
    }

    /// Returns the number of permits in use.
    pub fn used(&self) -> usize {
        self.max.saturating_sub(self.permits.available_permits())
    }
}
