//! A store with one instance of a component.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rdd_plugin_contract::validation::WatchFault;
use rdd_plugin_contract::{
    BackendLimits, ContractError, ExitKind, ExitReason, InstanceMemory, MemoryError,
    ProgressCounter,
};
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use wasmtime::component::{Accessor, FutureConsumer, FutureReader, Lift, Source, StreamReader};
use wasmtime::{Store, StoreContextMut, Trap};

use crate::bindings::engine;
use crate::call_tracker::CallTracker;
use crate::epoch::{EpochWatchdog, YieldTimeout};
use crate::exports::InstanceExports;
use crate::guest_fault::GuestFault;
use crate::guest_time::meter_guest_time;
use crate::host_context::HostContext;
use crate::host_state::HostState;
use crate::limits::{MAX_HANDLES, StoreLimiter, TRANSFER_BYTES};
use crate::runtime::LinkedComponent;
use crate::wasi::{BlockingWatch, WasiState, limit_blocking};

/// An error that ends a store from within its event loop.
pub(crate) enum RunError {
    /// A trap of the guest, or an error of wasmtime.
    Guest(wasmtime::Error),
    /// A decision of the host.
    Host(ExitReason),
}

impl From<wasmtime::Error> for RunError {
    fn from(error: wasmtime::Error) -> Self {
        Self::Guest(error)
    }
}

/// A store with an instance in it. Dropping it frees the guest's memory, timers,
/// and connections.
pub(crate) struct PluginInstance {
    store: Store<HostState>,
    exports: InstanceExports,
    watchdog: EpochWatchdog,
    /// Only a component that imports WASI has it.
    blocking: Option<BlockingWatch>,
    max_blocking: Duration,
    busy_window: Duration,
    component: LinkedComponent,
}

impl PluginInstance {
    /// Instantiates `component` in a new store, whose memory is part of `memory`.
    pub(crate) async fn instantiate(
        component: &LinkedComponent,
        limits: &BackendLimits,
        host: Arc<HostContext>,
        memory: Arc<InstanceMemory>,
    ) -> Result<Self, ExitReason> {
        let wasi = match component.imports_wasi {
            true => Some(WasiState::new(&host)?),
            false => None,
        };
        let blocking = wasi.as_ref().map(WasiState::blocking);
        let limiter = StoreLimiter::new(memory);
        let state = HostState::new(host, limiter, wasi);
        let progress = state.progress.clone();
        let mut store = Store::new(&component.runtime.engine, state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(TRANSFER_BYTES);
        store.set_max_component_handles(MAX_HANDLES);
        let watchdog = EpochWatchdog::default();
        watchdog.attach(&mut store, limits.yield_timeout, progress);
        let instantiated = {
            let instantiate = async {
                let instance = component.pre.instantiate_async(&mut store).await?;
                component.exports.load(&mut store, &instance)
            };
            let instantiate = component.runtime.ticker.with_epoch_ticks(instantiate);
            tokio::time::timeout(limits.start_timeout, instantiate).await
        };
        match instantiated {
            Ok(Ok(exports)) => Ok(Self {
                store,
                exports,
                watchdog,
                blocking,
                max_blocking: limits.stall_timeout,
                busy_window: limits.busy_window,
                component: component.clone(),
            }),
            Ok(Err(error)) => match store.data().limiter.memory_denial() {
                // Not a fault of this instance, which has not begun.
                Some(denial @ MemoryError::Budget { .. }) => Err(denial.clone().into()),
                _ => Err(exit_reason(&store, &error)),
            },
            Err(_) => Err(ExitReason::timed_out(
                "its instantiation",
                limits.start_timeout,
            )),
        }
    }

    /// Returns the tracker of the calls in this store.
    pub(crate) fn calls(&self) -> Arc<CallTracker> {
        self.store.data().calls.clone()
    }

    /// Returns the permits for further sleeps, out of
    /// [`MAX_SLEEPS`](crate::host_state::MAX_SLEEPS).
    pub(crate) fn sleep_permits(&self) -> Arc<Semaphore> {
        self.store.data().sleep_permits.clone()
    }

    /// Returns the account of the store's memory.
    pub(crate) fn memory(&self) -> Arc<InstanceMemory> {
        self.store.data().limiter.memory().clone()
    }

    /// Returns the counter of the progress that the guest makes.
    pub(crate) fn progress(&self) -> Arc<ProgressCounter> {
        self.store.data().progress.clone()
    }

    /// Sets the registry whose credentials the guest may ask for.
    pub(crate) fn set_registry(&mut self, registry: Option<String>) {
        self.store.data_mut().registry = registry;
    }

    /// Calls the export `describe`.
    pub(crate) async fn describe(
        &mut self,
        limit: Duration,
    ) -> Result<engine::BackendInfo, ExitReason> {
        let Self {
            store,
            exports,
            component,
            ..
        } = self;
        let described = {
            let call = exports.engine.call_describe(&mut *store);
            let call = component.runtime.ticker.with_epoch_ticks(call);
            tokio::time::timeout(limit, call).await
        };
        match described {
            Ok(Ok(info)) => {
                self.watchdog.reset();
                Ok(info)
            }
            Ok(Err(error)) => Err(exit_reason(&self.store, &error)),
            Err(_) => Err(ExitReason::timed_out("describe", limit)),
        }
    }

    /// Runs the store's event loop until `body` completes or the guest fails.
    pub(crate) async fn run<R>(
        &mut self,
        body: impl AsyncFnOnce(&Accessor<HostState>, &InstanceExports) -> Result<R, RunError>,
    ) -> Result<R, ExitReason> {
        let Self {
            store,
            exports,
            watchdog,
            blocking,
            max_blocking,
            busy_window,
            component,
        } = self;
        let (metrics, progress) = (
            store.data().host.metrics.clone(),
            store.data().progress.clone(),
        );
        let blocking = blocking.as_ref();
        let run = store.run_concurrent(async |accessor| {
            let mut body = pin!(body(accessor, exports));
            poll_fn(|cx| {
                // Polled only while no guest code runs.
                watchdog.reset();
                if let Some(blocking) = blocking {
                    blocking.reset();
                }
                body.as_mut().poll(cx)
            })
            .await
        });
        let run = component.runtime.ticker.with_epoch_ticks(run);
        let run = meter_guest_time(run, &metrics, &progress, *busy_window);
        let result = match blocking {
            None => run.await?,
            Some(blocking) => limit_blocking(run, blocking, *max_blocking)
                .await
                .ok_or_else(|| ExitReason::blocked(*max_blocking))??,
        };
        match result {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(RunError::Host(exit))) => Err(exit),
            Ok(Err(RunError::Guest(error))) | Err(error) => Err(exit_reason(&self.store, &error)),
        }
    }
}

/// Converts the error that ended a store to a message.
fn exit_reason(store: &Store<HostState>, error: &wasmtime::Error) -> ExitReason {
    tracing::debug!(?error, "store ended");
    let chain = || error.chain();
    if let Some(error) = chain().find_map(|cause| cause.downcast_ref::<ContractError>()) {
        return ExitReason::violation(error.to_string());
    }
    if let Some(fault) = chain().find_map(|cause| cause.downcast_ref::<WatchFault>()) {
        return match fault {
            WatchFault::Contract(error) => ExitReason::violation(error.to_string()),
            WatchFault::Memory(error) => error.clone().into(),
            WatchFault::Flood { .. } => {
                ExitReason::guest_fault(fault.to_string()).with_kind(ExitKind::Flood)
            }
        };
    }
    if let Some(error) = chain().find_map(|cause| cause.downcast_ref::<MemoryError>()) {
        return error.clone().into();
    }
    if let Some(error) = chain().find_map(|cause| cause.downcast_ref::<YieldTimeout>()) {
        return ExitReason::guest_fault(error.to_string()).with_kind(ExitKind::Unresponsive);
    }
    let limiter = &store.data().limiter;
    if let Some(denial) = limiter.memory_denial() {
        // Whichever limit it was: an instance that goes on without memory fails.
        return ExitReason {
            is_guest_fault: true,
            ..denial.clone().into()
        };
    }
    if let Some(denial) = limiter.table_denial() {
        return ExitReason::guest_fault(denial).with_kind(ExitKind::Memory);
    }
    if let Some(trap) = chain().find_map(|cause| cause.downcast_ref::<Trap>()) {
        let trap = trap.to_string();
        let trap = trap.strip_prefix("wasm trap: ").unwrap_or(&trap);
        return ExitReason::guest_fault(format!("trapped: {trap}")).with_kind(ExitKind::Trap);
    }
    match GuestFault::of(error) {
        Some(fault) => fault.into(),
        None => ExitReason::guest_fault(format!("failed: {}", error.root_cause())),
    }
}

/// Creates a future for the guest that resolves when `stop` is canceled.
pub(crate) fn stop_future(
    accessor: &Accessor<HostState>,
    stop: &CancellationToken,
) -> wasmtime::Result<FutureReader<()>> {
    let stop = stop.clone();
    accessor.with(|mut access| {
        FutureReader::new(&mut access, async move {
            stop.cancelled_owned().await;
            // Never complete when the guest begins to read: componentize-py 0.25
            // cannot read a complete future that has no value.
            tokio::task::yield_now().await;
            wasmtime::error::Ok(())
        })
    })
}

/// Closes the stream and the future that a guest returned after its caller went
/// away.
pub(crate) fn close_streams<T: 'static, U: 'static>(
    accessor: &Accessor<HostState>,
    mut stream: StreamReader<T>,
    mut future: FutureReader<U>,
) -> wasmtime::Result<()> {
    accessor.with(|mut access| {
        stream.close(&mut access)?;
        future.close(&mut access)
    })
}

/// Returns `grace` after `stop` was canceled.
pub(crate) async fn stop_overdue(stop: &CancellationToken, grace: Duration) {
    stop.cancelled().await;
    tokio::time::sleep(grace).await;
}

/// Sends the value of a guest's future to a channel.
pub(crate) struct OneshotConsumer<T>(Option<oneshot::Sender<T>>);

impl<T> OneshotConsumer<T> {
    pub(crate) fn new(sender: oneshot::Sender<T>) -> Self {
        Self(Some(sender))
    }
}

impl<D, T: Lift + Send + Sync + 'static> FutureConsumer<D> for OneshotConsumer<T> {
    type Item = T;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<D>,
        mut source: Source<'_, T>,
        _: bool,
    ) -> Poll<wasmtime::Result<()>> {
        let mut value = None;
        source.read(store, &mut value)?;
        if let (Some(sender), Some(value)) = (self.0.take(), value) {
            // Fails if the receiver is no longer interested.
            sender.send(value).ok();
        }
        Poll::Ready(Ok(()))
    }
}
