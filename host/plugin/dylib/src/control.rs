//! The control instance: the calls of the engine and changes to it.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use rdd_core::{BackendInfo, EngineError, WatchEvent};
use rdd_plugin_contract::validation::WatchValidator;
use rdd_plugin_contract::{BackendLimits, InstanceMemory, QueueCounter};
use rdd_sdk_abi as abi;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;

use crate::library_call::LibraryCall;
use crate::library_fault::{CallError, LibraryFault};
use crate::library_instance::LibraryInstance;
use crate::library_stream::{ItemView, LibraryStream, QueuedMemory};
use crate::stream_batch::{BatchLimits, BatchSender, pump};
use crate::stream_call::OpenReply;
use crate::stream_item;

/// A request to the control instance.
pub(crate) struct ControlRequest {
    pub(crate) call: ControlCall,
    /// Cancels the call in the library.
    pub(crate) stop: CancellationToken,
    /// Given back when the call has ended in the library.
    pub(crate) permit: OwnedSemaphorePermit,
}

/// A call of the control instance.
pub(crate) enum ControlCall {
    /// A call with one result.
    Single {
        /// The name of the function.
        name: &'static str,
        function: abi::StartCall,
        parameters: String,
        /// Decodes the result and replies. Fails if the result is not valid.
        complete: CompleteCall,
    },
    /// The watch.
    Watch {
        batches: BatchSender<WatchEvent>,
        reply: OpenReply,
    },
}

/// What takes the result of a call.
pub(crate) type CompleteCall =
    Box<dyn FnOnce(Result<String, EngineError>) -> Result<(), LibraryFault> + Send>;

/// The number of calls that have not ended in the library.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallCounter(Arc<AtomicUsize>);

impl CallCounter {
    /// Returns the number of calls.
    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn count(&self) -> CallGuard {
        self.0.fetch_add(1, Ordering::Relaxed);
        CallGuard(self.clone())
    }
}

/// Counts one call until it is dropped.
struct CallGuard(CallCounter);

impl Drop for CallGuard {
    fn drop(&mut self) {
        (self.0).0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What runs the calls of a control instance.
pub(crate) struct ControlTask {
    pub(crate) info: BackendInfo,
    pub(crate) calls: CallCounter,
    pub(crate) limits: BackendLimits,
    /// What the host holds for the instance.
    pub(crate) memory: Arc<InstanceMemory>,
    pub(crate) queued_events: QueueCounter,
}

impl ControlTask {
    /// Runs the requests until a call shows a fault of the library, or the handle
    /// is dropped.
    pub(crate) async fn serve(
        &self,
        instance: Rc<LibraryInstance>,
        mut requests: mpsc::Receiver<ControlRequest>,
    ) -> Result<(), LibraryFault> {
        let mut running = FuturesUnordered::new();
        loop {
            tokio::select! {
                request = requests.recv() => match request {
                    Some(request) => running.push(run(&instance, self, self.calls.count(), request)),
                    None => return Ok(()),
                },
                Some(ended) = running.next() => ended?,
            }
        }
    }
}

async fn run(
    instance: &Rc<LibraryInstance>,
    task: &ControlTask,
    _call: CallGuard,
    request: ControlRequest,
) -> Result<(), LibraryFault> {
    let ControlRequest {
        call,
        stop,
        permit: _permit,
    } = request;
    match call {
        ControlCall::Single {
            name,
            function,
            parameters,
            complete,
        } => {
            let result = async {
                let call = LibraryCall::start(instance, name, function, &parameters)?;
                tokio::select! {
                    biased;
                    result = call => result,
                    () = stop.cancelled() => Err(CallError::cancelled()),
                }
            };
            match result.await {
                Ok(text) => complete(Ok(text)),
                Err(CallError::Failed(error)) => complete(Err(error)),
                Err(CallError::Fault(fault)) => Err(fault),
            }
        }
        ControlCall::Watch { batches, reply } => {
            tokio::select! {
                result = watch(instance, task, &batches, reply) => result,
                () = stop.cancelled() => Ok(()),
            }
        }
    }
}

async fn watch(
    instance: &Rc<LibraryInstance>,
    task: &ControlTask,
    batches: &BatchSender<WatchEvent>,
    reply: OpenReply,
) -> Result<(), LibraryFault> {
    let opened = async {
        let stream = LibraryStream::start(instance, "watch", instance.functions().watch, "{}")?;
        stream.open().await?;
        Ok(stream)
    };
    let stream = match opened.await {
        Ok(stream) => stream,
        Err(CallError::Failed(error)) => {
            // If the caller is gone, it needs no reply.
            reply.send(Err(error)).ok();
            return Ok(());
        }
        Err(CallError::Fault(fault)) => return Err(fault),
    };
    // If the caller is gone, the watch is about to be stopped.
    reply.send(Ok(())).ok();
    let ControlTask {
        info,
        limits,
        memory,
        queued_events,
        ..
    } = task;
    let mut validator = WatchValidator::new(info, limits, memory);
    let convert = |item: ItemView<'_>| {
        let mut event = stream_item::event(&item, &mut validator)?;
        event.queued = Some(QueuedMemory {
            _queued: queued_events.enter(1),
            _held: memory.hold(event.bytes).map_err(LibraryFault::Memory)?,
        });
        Ok(event)
    };
    pump(&stream, batches, BatchLimits::EVENTS, convert).await?;
    Ok(())
}
