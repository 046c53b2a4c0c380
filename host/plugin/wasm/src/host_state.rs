//! What a store knows, and the imports that need no connection.

use std::sync::Arc;
use std::time::Duration;

use rdd_core::{EngineError, ErrorCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::AsContextMut;
use wasmtime::component::{Accessor, HasSelf};

use crate::activity::{Activity, Progress, caller};
use crate::bindings::host::{self, LogLevel};
use crate::bindings::types::{self, Timestamp};
use crate::limits::StoreLimiter;
use crate::liveness::Liveness;
use crate::throttle::Throttle;
use crate::transport::Transport;

/// The longest line that a backend may write to the daemon's log.
const MAX_LOG_LINE: usize = 8 * 1024;
/// The longest sleep that the contract allows.
const MAX_SLEEP: Duration = Duration::from_secs(3600);
/// Sleeps of one store at once. An SDK sleeps once or twice for each call
/// and connection.
pub(crate) const MAX_SLEEPS: usize = 4_096;

/// What all stores of one backend share.
pub(crate) struct Grants {
    /// The backend's name.
    pub(crate) name: String,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) connections: Arc<Semaphore>,
    pub(crate) max_connections: usize,
    /// One more connection, for a probe: an engine must not be taken for lost
    /// because all others are in use and silent.
    pub(crate) probe_connection: Arc<Semaphore>,
    pub(crate) liveness: Arc<Liveness>,
    pub(crate) log_throttle: Throttle,
}

/// The data of one store.
pub(crate) struct HostState {
    pub(crate) grants: Arc<Grants>,
    pub(crate) limiter: StoreLimiter,
    pub(crate) activity: Arc<Activity>,
    /// One permit for each sleep that does not run.
    pub(crate) sleeps: Arc<Semaphore>,
}

impl HostState {
    pub(crate) fn new(grants: Arc<Grants>, limiter: StoreLimiter) -> Self {
        Self {
            grants,
            limiter,
            activity: Arc::default(),
            sleeps: Arc::new(Semaphore::new(MAX_SLEEPS)),
        }
    }

    /// Leave for one more connection, on behalf of this call.
    pub(crate) fn connect(
        &self,
        call: Option<&Progress>,
    ) -> Result<(OwnedSemaphorePermit, Arc<dyn Transport>), EngineError> {
        let Grants {
            transport,
            connections,
            max_connections,
            probe_connection,
            ..
        } = &*self.grants;
        let mut lease = connections.clone().try_acquire_owned();
        if lease.is_err() && call.is_some_and(Progress::is_probe) {
            lease = probe_connection.clone().try_acquire_owned();
        }
        match lease {
            Ok(permit) => Ok((permit, transport.clone())),
            Err(_) => Err(EngineError::new(
                ErrorCode::Unavailable,
                format!(
                    "{max_connections} connections to the engine are open, the most that a backend may have"
                ),
            )),
        }
    }
}

impl types::Host for HostState {}

impl host::Host for HostState {
    fn log(&mut self, level: LogLevel, message: String) {
        let Grants {
            name, log_throttle, ..
        } = &*self.grants;
        let Some(missed) = log_throttle.pass() else {
            return;
        };
        if missed > 0 {
            tracing::warn!(backend = %name, missed, "the backend logged too much; lines were left out");
        }
        let message = rdd_core::text::truncate(&message, MAX_LOG_LINE);
        match level {
            LogLevel::Trace => tracing::trace!(backend = %name, "{message}"),
            LogLevel::Debug => tracing::debug!(backend = %name, "{message}"),
            LogLevel::Info => tracing::info!(backend = %name, "{message}"),
            LogLevel::Warn => tracing::warn!(backend = %name, "{message}"),
            LogLevel::Error => tracing::error!(backend = %name, "{message}"),
        }
    }

    fn now(&mut self) -> Timestamp {
        crate::convert::to_time(jiff::Timestamp::now().into())
    }
}

impl host::HostWithStore<HostState> for HasSelf<HostState> {
    async fn sleep(accessor: &Accessor<HostState, Self>, nanoseconds: u64) -> wasmtime::Result<()> {
        // Given back however this ends: most sleeps are cancelled.
        let (_permit, _wait) = accessor.with(|mut access| {
            let task = caller(&mut access.as_context_mut());
            let HostState {
                activity, sleeps, ..
            } = access.get();
            let permit = sleeps.clone().try_acquire_owned();
            let wait = activity.of(task).map(|call| call.wait());
            permit
                .map(|permit| (permit, wait))
                .map_err(|_| TooManySleeps)
        })?;
        tokio::time::sleep(Duration::from_nanos(nanoseconds).min(MAX_SLEEP)).await;
        Ok(())
    }
}

/// A guest made timers without end.
#[derive(Debug, thiserror::Error)]
#[error("had {MAX_SLEEPS} calls of host.sleep running at once")]
struct TooManySleeps;
