//! Processes, each with an instance of its own.

use std::future::pending;
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use futures::{FutureExt as _, StreamExt as _};
use rdd_core::{EngineError, ErrorCode, ExecOptions, ExecSession, OutputChunk, TerminalSize};
use rdd_plugin_contract::ExitReason;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::backend_context::BackendContext;
use crate::instance_host::MAX_TIMERS;
use crate::instance_reply::receive_reply;
use crate::instance_thread::{self, InstanceSpec};
use crate::library_fault::{CallError, LibraryFault};
use crate::library_stream::{ItemView, LibraryStream, WriteProgress};
use crate::stream_batch::{self, BatchLimits, BatchSender, pump};
use crate::stream_call::{StreamCall, check_threads, start, wait_for_reply};
use crate::stream_item;
use crate::stream_reader::{StreamReader, stream_error};

/// The number of messages to the standard input that wait for the library. The
/// caller limits their size.
const MAX_QUEUED_INPUTS: usize = 4;
/// The ends of the channels of a session that the instance has.
struct SessionChannels {
    input: mpsc::Receiver<Bytes>,
    sizes: watch::Receiver<Option<TerminalSize>>,
    output: BatchSender<OutputChunk>,
    exit_code: oneshot::Sender<Result<i32, EngineError>>,
    has_input: bool,
    has_terminal: bool,
}

/// Begins a process in an instance of its own. Returns once it has been started.
pub(crate) async fn open(
    context: &Arc<BackendContext>,
    call: StreamCall,
    options: &ExecOptions,
) -> Result<ExecSession, EngineError> {
    let name = call.stream;
    let (stdin, input) = mpsc::channel(MAX_QUEUED_INPUTS);
    let (resizes, sizes) = watch::channel(None);
    let (output, received) = stream_batch::channel();
    let (exit_code, exited) = oneshot::channel();
    let (reply, replied) = oneshot::channel();
    let channels = SessionChannels {
        input,
        sizes,
        output,
        exit_code,
        has_input: options.stdin,
        has_terminal: options.tty,
    };
    let stop = context.shutdown.child_token();
    // Dropped if the caller stops waiting, which ends the instance.
    let guard = stop.clone().drop_guard();
    let spec = InstanceSpec {
        kind: call.kind.clone(),
        timer_permits: Arc::new(Semaphore::new(MAX_TIMERS)),
        stop: stop.clone(),
    };
    check_threads(context)?;
    let exit = instance_thread::spawn(context, spec, async move |instance| {
        match start(&instance, &call, reply).await? {
            Some(stream) => channels.serve(&stream).await,
            None => Ok(()),
        }
    })?;
    wait_for_reply(context, name, replied, exit.clone()).await?;
    guard.disarm();
    let backend = context.host.name.clone();
    let is_closed = {
        let (stop, shutdown) = (stop.clone(), context.shutdown.clone());
        move || stop.is_cancelled() && !shutdown.is_cancelled()
    };
    let reader = StreamReader::new(&backend, Some(name), received, exit.clone(), stop);
    Ok(ExecSession {
        stdin,
        resizes,
        // The error that ends the output is the result of `exit`.
        output: reader
            .into_stream()
            .take_while(|item| std::future::ready(item.is_ok()))
            .boxed(),
        exit: wait_for_exit_code(exited, exit, name, backend, is_closed).boxed(),
    })
}

async fn wait_for_exit_code(
    exited: oneshot::Receiver<Result<i32, EngineError>>,
    mut exit: watch::Receiver<Option<ExitReason>>,
    name: &'static str,
    backend: String,
    is_closed: impl Fn() -> bool,
) -> Result<i32, EngineError> {
    match receive_reply(exited, exit.wait_for(Option::is_some)).await {
        Some(result) => result,
        None => {
            let exit = ExitReason::wait(&mut exit).await;
            // After a fault, the reader of the output has closed the session, too.
            if !exit.is_guest_fault && is_closed() {
                return Err(EngineError::new(
                    ErrorCode::Cancelled,
                    "the session was closed before the process exited",
                ));
            }
            Err(stream_error(&exit, Some(name), &backend))
        }
    }
}

impl SessionChannels {
    /// Runs the session until the process has exited.
    async fn serve(self, stream: &LibraryStream) -> Result<(), LibraryFault> {
        let Self {
            input,
            sizes,
            output,
            exit_code,
            has_input,
            has_terminal,
        } = self;
        let output = send_output(stream, output, exit_code);
        let side = async {
            let input = write_input(stream, input, has_input);
            let sizes = async {
                if has_terminal {
                    set_sizes(stream, sizes).await?;
                }
                Ok(())
            };
            tokio::try_join!(input, sizes)?;
            pending().await
        };
        tokio::select! {
            result = output => result,
            result = side => result,
        }
    }
}

/// Sends the output and then the exit code.
async fn send_output(
    stream: &LibraryStream,
    output: BatchSender<OutputChunk>,
    mut exit_code: oneshot::Sender<Result<i32, EngineError>>,
) -> Result<(), LibraryFault> {
    let chunk = |item: ItemView<'_>| stream_item::chunk(&item);
    let result = match pump(stream, &output, BatchLimits::OUTPUT, chunk).await? {
        // The reader is gone, and the instance is about to be stopped.
        None => return Ok(()),
        Some(Err(error)) => Err(error),
        Some(Ok(())) => tokio::select! {
            result = stream.exit() => match result {
                Ok(code) => Ok(code),
                Err(CallError::Failed(error)) => Err(error),
                Err(CallError::Fault(fault)) => return Err(fault),
            },
            () = exit_code.closed() => return Ok(()),
        },
    };
    // If nobody waits for the exit code, it is not needed.
    exit_code.send(result).ok();
    Ok(())
}

/// Writes the standard input and ends it.
async fn write_input(
    stream: &LibraryStream,
    mut input: mpsc::Receiver<Bytes>,
    has_input: bool,
) -> Result<(), LibraryFault> {
    if !has_input {
        input.close();
    }
    while let Some(mut bytes) = input.recv().await {
        while has_input && !bytes.is_empty() {
            match stream.write(&bytes).await {
                Ok(WriteProgress::Accepted(count)) => bytes.advance(count),
                Ok(WriteProgress::Closed) => return Ok(()),
                Err(CallError::Failed(error)) => {
                    tracing::debug!(%error, "cannot write the input of a process");
                    return Ok(());
                }
                Err(CallError::Fault(fault)) => return Err(fault),
            }
        }
    }
    match stream.shut_down().await {
        Ok(()) => Ok(()),
        Err(CallError::Failed(error)) => {
            tracing::debug!(%error, "cannot end the input of a process");
            Ok(())
        }
        Err(CallError::Fault(fault)) => Err(fault),
    }
}

/// Passes on the sizes of the terminal.
async fn set_sizes(
    stream: &LibraryStream,
    mut sizes: watch::Receiver<Option<TerminalSize>>,
) -> Result<(), LibraryFault> {
    loop {
        let size = *sizes.borrow_and_update();
        if let Some(size) = size {
            stream.resize(size)?;
        }
        if sizes.changed().await.is_err() {
            return Ok(());
        }
    }
}
