//! The calls that return a stream and have an instance of their own: logs and
//! transfers.

use std::rc::Rc;
use std::sync::Arc;

use rdd_core::EngineError;
use rdd_plugin_contract::ExitReason;
use rdd_sdk_abi as abi;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use crate::backend_context::BackendContext;
use crate::host_context::InstanceKind;
use crate::instance_host::MAX_TIMERS;
use crate::instance_reply::receive_reply;
use crate::instance_thread::{self, InstanceSpec};
use crate::library_fault::{CallError, LibraryFault};
use crate::library_instance::LibraryInstance;
use crate::library_stream::{ItemView, LibraryStream, SizedItem};
use crate::stream_batch::{self, BatchLimits, pump};
use crate::stream_reader::{StreamReader, stream_error};

/// A call to begin.
pub(crate) struct StreamCall {
    /// The name of the function.
    pub(crate) name: &'static str,
    /// What an error message calls the stream.
    pub(crate) stream: &'static str,
    pub(crate) function: abi::StartStream,
    pub(crate) parameters: String,
    pub(crate) kind: InstanceKind,
    /// Given back when the call has ended in the library.
    pub(crate) _permit: OwnedSemaphorePermit,
}

/// The reply to a call that returns a stream.
pub(crate) type OpenReply = oneshot::Sender<Result<(), EngineError>>;

/// Begins a call in an instance of its own. Returns once the engine has begun to
/// respond.
pub(crate) async fn open<T: Send + 'static>(
    context: &Arc<BackendContext>,
    call: StreamCall,
    mut convert: impl FnMut(ItemView<'_>) -> Result<SizedItem<T>, LibraryFault> + Send + 'static,
) -> Result<StreamReader<T>, EngineError> {
    let stream = call.stream;
    let (batches, received) = stream_batch::channel();
    let (reply, replied) = oneshot::channel();
    // Dropped if the caller stops waiting, which ends the instance.
    let stop = context.shutdown.child_token();
    let guard = stop.clone().drop_guard();
    let spec = InstanceSpec {
        kind: call.kind.clone(),
        timer_permits: Arc::new(Semaphore::new(MAX_TIMERS)),
        stop: stop.clone(),
    };
    check_threads(context)?;
    let exit = instance_thread::spawn(context, spec, async move |instance| {
        let Some(stream) = start(&instance, &call, reply).await? else {
            return Ok(());
        };
        pump(&stream, &batches, BatchLimits::OUTPUT, &mut convert).await?;
        Ok(())
    })?;
    wait_for_reply(context, stream, replied, exit.clone()).await?;
    guard.disarm();
    let backend = &context.host.name;
    Ok(StreamReader::new(
        backend,
        Some(stream),
        received,
        exit,
        stop,
    ))
}

/// Fails if too many threads of the library have not returned.
pub(crate) fn check_threads(context: &BackendContext) -> Result<(), EngineError> {
    context
        .check_abandoned_threads()
        .map_err(|problem| ExitReason::guest_fault(problem).to_error(&context.host.name))
}

/// Waits for the reply of an instance that was started for one call.
pub(crate) async fn wait_for_reply(
    context: &BackendContext,
    stream: &'static str,
    replied: oneshot::Receiver<Result<(), EngineError>>,
    mut exit: watch::Receiver<Option<ExitReason>>,
) -> Result<(), EngineError> {
    match receive_reply(replied, exit.wait_for(Option::is_some)).await {
        Some(result) => result,
        None => {
            let exit = ExitReason::wait(&mut exit).await;
            Err(stream_error(&exit, Some(stream), &context.host.name))
        }
    }
}

/// Begins the call and waits until the engine has begun to respond. Returns
/// `None` if the call failed, after it has replied.
pub(crate) async fn start(
    instance: &Rc<LibraryInstance>,
    call: &StreamCall,
    reply: OpenReply,
) -> Result<Option<LibraryStream>, LibraryFault> {
    let opened = async {
        let stream = LibraryStream::start(instance, call.name, call.function, &call.parameters)?;
        stream.open().await?;
        Ok(stream)
    };
    let (result, stream) = match opened.await {
        Ok(stream) => (Ok(()), Some(stream)),
        Err(CallError::Failed(error)) => (Err(error), None),
        Err(CallError::Fault(fault)) => return Err(fault),
    };
    // If the caller is gone, the instance is about to be stopped.
    reply.send(result).ok();
    Ok(stream)
}
