//! The host state of a store, and the imports of the interface `host`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdd_core::{EngineError, ErrorCode};
use rdd_plugin_contract::{EngineTransport, ProgressCounter};
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::AsContextMut;
use wasmtime::component::{Accessor, HasSelf};
use wasmtime_wasi::{WasiCtxView, WasiView};

use crate::bindings::host::{self, LogLevel};
use crate::bindings::types::{self, Timestamp};
use crate::call_tracker::{CallState, CallTracker, calling_task};
use crate::host_context::HostContext;
use crate::limits::StoreLimiter;
use crate::wasi::WasiState;

/// The longest sleep that the contract allows.
const MAX_SLEEP: Duration = Duration::from_secs(3600);
/// The maximum number of concurrent sleeps in one store. The SDK sleeps once or
/// twice for each call and connection.
pub(crate) const MAX_SLEEPS: usize = 4_096;

/// The data of one store.
pub(crate) struct HostState {
    pub(crate) host: Arc<HostContext>,
    pub(crate) limiter: StoreLimiter,
    pub(crate) calls: Arc<CallTracker>,
    pub(crate) sleep_permits: Arc<Semaphore>,
    /// The progress that the guest makes.
    pub(crate) progress: Arc<ProgressCounter>,
    /// The registry whose credentials the guest may ask for: that of the pull or
    /// push that runs in this store.
    pub(crate) registry: Option<String>,
    /// The zero of the guest's monotonic clock.
    created_at: Instant,
    random: SystemRandom,
    /// Only a component that imports WASI has it.
    wasi: Option<Box<WasiState>>,
}

impl HostState {
    pub(crate) fn new(
        host: Arc<HostContext>,
        limiter: StoreLimiter,
        wasi: Option<WasiState>,
    ) -> Self {
        Self {
            host,
            limiter,
            wasi: wasi.map(Box::new),
            calls: Arc::default(),
            sleep_permits: Arc::new(Semaphore::new(MAX_SLEEPS)),
            progress: Arc::default(),
            registry: None,
            created_at: Instant::now(),
            random: SystemRandom::new(),
        }
    }

    /// Acquires the permit for another connection on behalf of `call`.
    pub(crate) fn acquire_connection(
        &self,
        call: Option<&CallState>,
    ) -> Result<(OwnedSemaphorePermit, Arc<dyn EngineTransport>), EngineError> {
        let HostContext {
            transport,
            connection_permits,
            max_connections,
            probe_permit,
            ..
        } = &*self.host;
        let mut permit = connection_permits.clone().try_acquire_owned();
        if permit.is_err() && call.is_some_and(CallState::is_probe) {
            permit = probe_permit.clone().try_acquire_owned();
        }
        match permit {
            Ok(permit) => Ok((permit, transport.clone())),
            Err(_) => Err(EngineError::new(
                ErrorCode::Unavailable,
                format!(
                    "{max_connections} connections to the engine are open, the maximum for a backend"
                ),
            )),
        }
    }
}

impl WasiView for HostState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let Self { host, wasi, .. } = self;
        wasi.get_or_insert_with(|| Box::new(WasiState::unused(host)))
            .begin_call()
    }
}

impl types::Host for HostState {}

impl host::Host for HostState {
    fn log(&mut self, level: LogLevel, message: String) {
        self.host.log(level, &message);
    }

    fn now(&mut self) -> Timestamp {
        crate::convert::to_time(jiff::Timestamp::now().into())
    }

    fn monotonic_now(&mut self) -> u64 {
        u64::try_from(self.created_at.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn random(&mut self) -> wasmtime::Result<u64> {
        let mut bytes = [0; size_of::<u64>()];
        self.random.fill(&mut bytes).map_err(|_| RandomError)?;
        Ok(u64::from_ne_bytes(bytes))
    }
}

impl host::HostWithStore<HostState> for HasSelf<HostState> {
    async fn sleep(accessor: &Accessor<HostState, Self>, nanoseconds: u64) -> wasmtime::Result<()> {
        // Both are released however the sleep ends: most sleeps are canceled.
        let (_permit, _wait) = accessor.with(|mut access| {
            let task = calling_task(&mut access.as_context_mut());
            let HostState {
                calls,
                sleep_permits,
                ..
            } = access.get();
            let permit = sleep_permits.clone().try_acquire_owned();
            let wait = calls.get(task).map(|call| call.begin_wait());
            permit
                .map(|permit| (permit, wait))
                .map_err(|_| SleepLimitError)
        })?;
        tokio::time::sleep(Duration::from_nanos(nanoseconds).min(MAX_SLEEP)).await;
        Ok(())
    }
}

/// The operating system gave no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random numbers")]
struct RandomError;

/// A guest started too many sleeps.
#[derive(Debug, thiserror::Error)]
#[error("more than {MAX_SLEEPS} concurrent calls of host.sleep")]
struct SleepLimitError;
