//! The thread of an instance.
//!
//! Each instance has a thread of its own, because the functions of a library may
//! block although they must not, and nothing can interrupt native code. The
//! threads of the runtime never call a library.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use rdd_core::{EngineError, ErrorCode};
use rdd_plugin_contract::ExitReason;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::backend_context::{BackendContext, WatchedThread};
use crate::host_context::InstanceKind;
use crate::instance_host::InstanceHost;
use crate::library_fault::{CallError, LibraryFault};
use crate::library_instance::LibraryInstance;
use crate::thread_tracker::ThreadTracker;

/// The stack of a thread in bytes, which docs/abi.md promises. Only what is used
/// of it takes memory.
const STACK_BYTES: usize = 2 * 1024 * 1024;

/// An instance to start.
pub(crate) struct InstanceSpec {
    pub(crate) kind: InstanceKind,
    /// The permits for timers of the instance.
    pub(crate) timer_permits: Arc<Semaphore>,
    /// Ends the instance.
    pub(crate) stop: CancellationToken,
}

/// Starts a thread that creates an instance, runs `work` with it, and destroys
/// it. Returns the channel on which the reason for its end is published.
///
/// # Errors
///
/// Fails if the operating system has no thread left.
pub(crate) fn spawn<W, F>(
    context: &Arc<BackendContext>,
    spec: InstanceSpec,
    work: W,
) -> Result<watch::Receiver<Option<ExitReason>>, EngineError>
where
    W: FnOnce(Rc<LibraryInstance>) -> F + Send + 'static,
    F: Future<Output = Result<(), LibraryFault>>,
{
    let (exit, receiver) = watch::channel(None);
    let tracker = Arc::new(ThreadTracker::new(
        context.abandoned_threads.clone(),
        context.host.metrics.clone(),
        context.limits.busy_window,
    ));
    let thread = Arc::new(WatchedThread { tracker, exit });
    context.watch_thread(&thread);
    let token = context.tasks.token();
    let name = format!("lib-{}", context.host.name);
    let owned = context.clone();
    let body = move || {
        let _token = token;
        let span = owned.host.span.clone();
        let _entered = span.enter();
        let runtime = owned.host.runtime.clone();
        let run = || runtime.block_on(run_instance(&owned, &thread, spec, work));
        let reason = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
            // The panic was logged when it happened.
            ExitReason::task_panicked()
        });
        thread.tracker.end();
        thread.publish_exit(reason);
    };
    match std::thread::Builder::new()
        .name(name)
        .stack_size(STACK_BYTES)
        .spawn(body)
    {
        Ok(_) => Ok(receiver),
        Err(error) => Err(EngineError::new(
            ErrorCode::Unavailable,
            format!(
                "cannot start a thread for the backend {}: {error}",
                context.host.name
            ),
        )),
    }
}

async fn run_instance<W, F>(
    context: &BackendContext,
    thread: &WatchedThread,
    spec: InstanceSpec,
    work: W,
) -> ExitReason
where
    W: FnOnce(Rc<LibraryInstance>) -> F,
    F: Future<Output = Result<(), LibraryFault>>,
{
    let InstanceSpec {
        kind,
        timer_permits,
        stop,
    } = spec;
    let tracker = thread.tracker.clone();
    let host = InstanceHost::new(context.host.clone(), tracker, kind, timer_permits);
    let functions = *context.library.functions();
    let instance = match LibraryInstance::create(functions, thread.tracker.clone(), host) {
        Ok(instance) => instance,
        Err(CallError::Failed(error)) => {
            return ExitReason::guest_fault(format!("failed to create an instance: {error}"));
        }
        Err(CallError::Fault(fault)) => return ExitReason::from(&fault),
    };
    // When a branch is chosen, the others are dropped, which closes the objects.
    tokio::select! {
        biased;
        () = stop.cancelled() => ExitReason::shutdown(),
        result = work(instance) => match result {
            Ok(()) => ExitReason::shutdown(),
            Err(fault) => ExitReason::from(&fault),
        },
        error = thread.tracker.wait_until_busy() => error.into(),
        // It has returned after all; the reason was published before.
        () = thread.tracker.wait_until_abandoned() => ExitReason::shutdown(),
    }
}
