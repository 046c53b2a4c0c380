//! One store with one instance in it, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use rdd_core::{EngineError, ErrorCode};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use wasmtime::component::{Accessor, FutureConsumer, FutureReader, Lift, Source, StreamReader};
use wasmtime::{Store, StoreContextMut, Trap};

use crate::activity::Activity;
use crate::bindings::Backend as Bindings;
use crate::check::Violation;
use crate::clock::{Spun, Watchdog};
use crate::limits::{BackendLimits, MemoryBudget, StoreLimiter, TRANSFER_BYTES};
use crate::runtime::Program;
use crate::state::{Grants, HostState};

/// Handles (streams, futures, tasks) that a guest may hold at once. A call
/// takes about five; a connection four.
const MAX_HANDLES: usize = 20_000;

/// Why a store is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// Ends a sentence that begins with the backend's name, such as
    /// `trapped: …`.
    pub reason: String,
    /// Whether it is the backend's fault, which gets it parked in the end.
    pub blamed: bool,
}

impl Death {
    pub(crate) fn blamed(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            blamed: true,
        }
    }

    pub(crate) fn blameless(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            blamed: false,
        }
    }

    /// What a store died of, once it has: the channels of its calls close a
    /// moment before its death is known.
    pub(crate) async fn of(death: &mut watch::Receiver<Option<Self>>) -> Self {
        match death.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(death)) => death.clone(),
            Ok(None) | Err(_) => Self::untold(),
        }
    }

    /// The task that owned the store ended without a word: it panicked, for
    /// where it is dropped with its runtime there is nobody left to ask. To
    /// blame the backend has it parked in the end, whatever made the task
    /// panic; else it would be started again and again for ever.
    pub(crate) fn untold() -> Self {
        Self::blamed("was given up by a panic in the daemon, which its log shows: report this")
    }

    /// The error of a log stream that was cut short by a death of its own
    /// store; where the backend ends as a whole, that of every other call.
    pub(crate) fn stream_error(&self, backend: &str) -> EngineError {
        if !self.blamed {
            return self.error(backend);
        }
        EngineError::new(
            ErrorCode::StreamFailed,
            format!("the log stream of the backend {backend} {}", self.reason),
        )
    }

    /// The error of every call that was cut short.
    pub(crate) fn error(&self, backend: &str) -> EngineError {
        EngineError::new(
            ErrorCode::PluginFailed,
            format!("the backend {backend} {}", self.reason),
        )
    }
}

/// The end of a call that waits for nothing.
pub(crate) fn hangs(what: &str, limit: Duration) -> Death {
    Death::blamed(format!(
        "hangs: {what} has waited for neither the engine nor a timer for {limit:?}"
    ))
}

/// What ends a store from within its event loop.
pub(crate) enum Failure {
    /// The guest, or the runtime on its behalf.
    Guest(wasmtime::Error),
    /// A rule of ours.
    Ours(Death),
}

impl From<wasmtime::Error> for Failure {
    fn from(error: wasmtime::Error) -> Self {
        Self::Guest(error)
    }
}

/// A store with an instance in it. Dropping it frees all that the guest held:
/// memory, timers, connections.
pub(crate) struct Guest {
    store: Store<HostState>,
    bindings: Bindings,
    watchdog: Watchdog,
    program: Program,
}

impl Guest {
    /// Makes a fresh store of at most `memory` bytes.
    pub(crate) async fn start(
        program: &Program,
        limits: &BackendLimits,
        memory: usize,
        grants: Arc<Grants>,
        budget: Arc<MemoryBudget>,
    ) -> Result<Self, Death> {
        let state = HostState::new(grants, StoreLimiter::new(memory, budget));
        let mut store = Store::new(&program.runtime.engine, state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(TRANSFER_BYTES);
        store.set_max_component_handles(MAX_HANDLES);
        let watchdog = Watchdog::default();
        watchdog.guard(&mut store, limits.spin);
        let made = {
            let making = program.pre.instantiate_async(&mut store);
            let making = program.runtime.clock.while_polled(making);
            tokio::time::timeout(limits.start, making).await
        };
        match made {
            Ok(Ok(bindings)) => Ok(Self {
                store,
                bindings,
                watchdog,
                program: program.clone(),
            }),
            Ok(Err(error)) => Err(death(&store, &error)),
            Err(_) => Err(slow("its start", limits.start)),
        }
    }

    /// What the calls in this store wait for.
    pub(crate) fn activity(&self) -> Arc<Activity> {
        self.store.data().activity.clone()
    }

    /// The sleeps that may yet begin, of [`MAX_SLEEPS`](crate::state::MAX_SLEEPS).
    pub(crate) fn sleeps(&self) -> Arc<Semaphore> {
        self.store.data().sleeps.clone()
    }

    /// Asks what the backend is.
    pub(crate) async fn describe(
        &mut self,
        limit: Duration,
    ) -> Result<crate::bindings::engine::BackendInfo, Death> {
        let Self {
            store,
            bindings,
            program,
            ..
        } = self;
        let described = {
            let asking = bindings
                .rancher_desktop_engine_engine()
                .call_describe(&mut *store);
            let asking = program.runtime.clock.while_polled(asking);
            tokio::time::timeout(limit, asking).await
        };
        match described {
            Ok(Ok(info)) => {
                self.watchdog.pause();
                Ok(info)
            }
            Ok(Err(error)) => Err(death(&self.store, &error)),
            Err(_) => Err(slow("describe", limit)),
        }
    }

    /// Runs the store's event loop until `body` is done or the guest fails.
    pub(crate) async fn run<R>(
        &mut self,
        body: impl AsyncFnOnce(&Accessor<HostState>, &Bindings) -> Result<R, Failure>,
    ) -> Result<R, Death> {
        let Self {
            store,
            bindings,
            watchdog,
            program,
        } = self;
        let running = store.run_concurrent(async |accessor| {
            let mut body = std::pin::pin!(body(accessor, bindings));
            std::future::poll_fn(|cx| {
                // Polled only between two turns of the guest.
                watchdog.pause();
                body.as_mut().poll(cx)
            })
            .await
        });
        match program.runtime.clock.while_polled(running).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(Failure::Ours(death))) => Err(death),
            Ok(Err(Failure::Guest(error))) | Err(error) => Err(death(&self.store, &error)),
        }
    }
}

fn slow(what: &str, limit: Duration) -> Death {
    Death::blamed(format!("did not finish {what} within {limit:?}"))
}

/// Puts into words what a store died of.
fn death(store: &Store<HostState>, error: &wasmtime::Error) -> Death {
    tracing::debug!(
        backend = %store.data().grants.name,
        "the store of a backend ended: {error:?}"
    );
    let chain = || error.chain();
    if let Some(violation) = chain().find_map(|cause| cause.downcast_ref::<Violation>()) {
        return Death::blamed(violation.to_string());
    }
    if let Some(spun) = chain().find_map(|cause| cause.downcast_ref::<Spun>()) {
        return Death::blamed(spun.to_string());
    }
    if let Some(denied) = store.data().limiter.denied() {
        return Death::blamed(denied);
    }
    if let Some(trap) = chain().find_map(|cause| cause.downcast_ref::<Trap>()) {
        let trap = trap.to_string();
        let trap = trap.strip_prefix("wasm trap: ").unwrap_or(&trap);
        return Death::blamed(format!("trapped: {trap}"));
    }
    Death::blamed(format!("failed: {}", error.root_cause()))
}

/// A future that a guest gets, and that resolves when `stop` is cancelled.
pub(crate) fn stop_future(
    accessor: &Accessor<HostState>,
    stop: &CancellationToken,
) -> wasmtime::Result<FutureReader<()>> {
    let stop = stop.clone();
    accessor.with(|mut access| {
        FutureReader::new(&mut access, async move {
            stop.cancelled_owned().await;
            wasmtime::error::Ok(())
        })
    })
}

/// Closes what a guest returned to a caller who is not there any more.
pub(crate) fn close<T: 'static, U: 'static>(
    accessor: &Accessor<HostState>,
    mut stream: StreamReader<T>,
    mut future: FutureReader<U>,
) -> wasmtime::Result<()> {
    accessor.with(|mut access| {
        stream.close(&mut access)?;
        future.close(&mut access)
    })
}

/// Resolves `grace` after `stop` was cancelled.
pub(crate) async fn overdue(stop: &CancellationToken, grace: Duration) {
    stop.cancelled().await;
    tokio::time::sleep(grace).await;
}

/// Carries the value of a guest's future to a channel.
pub(crate) struct Resolve<T>(pub(crate) Option<tokio::sync::oneshot::Sender<T>>);

impl<D, T: Lift + Send + Sync + 'static> FutureConsumer<D> for Resolve<T> {
    type Item = T;

    fn poll_consume(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        store: StoreContextMut<D>,
        mut source: Source<'_, T>,
        _: bool,
    ) -> std::task::Poll<wasmtime::Result<()>> {
        let mut value = None;
        source.read(store, &mut value)?;
        if let (Some(sender), Some(value)) = (self.0.take(), value) {
            // Nobody may be waiting any more.
            sender.send(value).ok();
        }
        std::task::Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_store_whose_task_panicked_is_no_store_that_was_shut_down() {
        let (dying, mut death) = watch::channel(None);
        let task = tokio::spawn(async move {
            let _dying = dying;
            panic!("injected");
        });
        task.await.unwrap_err();
        let told = Death::of(&mut death).await;
        assert!(told.blamed, "{told:?}");
        assert!(told.reason.contains("panic"), "{told:?}");
    }
}
