//! The stream calls of a backend, made as a host makes them.

use std::rc::Rc;

use super::call_handle::CallHandle;
use super::watch_reader::WatchReader;
use crate::types::{
    ContainerRef, EntryBatch, EntryOptions, Error, ExecOptions, LogOptions, OutputChunk,
    OutputSource,
};
use crate::{Backend, ExecInput};

/// Starts a watch.
///
/// # Errors
///
/// Fails with the error of the call.
pub async fn watch<B: Backend>(backend: &Rc<B>) -> Result<WatchReader, Error> {
    let backend = Rc::clone(backend);
    let call = CallHandle::start(|to| async move { backend.watch(to).await }).await?;
    Ok(WatchReader::new(call))
}

/// Starts to read a log as bytes. [`collect_output`] reads it to its end.
///
/// # Errors
///
/// Fails with the error of the call.
pub async fn get_logs<B: Backend>(
    backend: &Rc<B>,
    container: ContainerRef,
    options: LogOptions,
) -> Result<CallHandle<OutputChunk>, Error> {
    let backend = Rc::clone(backend);
    CallHandle::start(|to| async move { backend.get_logs(container, options, to).await }).await
}

/// Starts to read a log as entries.
///
/// # Errors
///
/// Fails with the error of the call.
pub async fn get_entries<B: Backend>(
    backend: &Rc<B>,
    container: ContainerRef,
    options: EntryOptions,
) -> Result<CallHandle<EntryBatch>, Error> {
    let backend = Rc::clone(backend);
    CallHandle::start(|to| async move { backend.get_entries(container, options, to).await }).await
}

/// Starts a process. [`collect_output`] reads its output and its exit code.
///
/// # Errors
///
/// Fails with the error of the call.
pub async fn exec<B: Backend>(
    backend: &Rc<B>,
    container: ContainerRef,
    options: ExecOptions,
    input: ExecInput,
) -> Result<CallHandle<OutputChunk, i32>, Error> {
    let backend = Rc::clone(backend);
    CallHandle::start(|to| async move { backend.exec(container, options, input, to).await }).await
}

/// The whole output of a call, and its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallOutcome<R = ()> {
    /// The standard output.
    pub stdout: Vec<u8>,
    /// The standard error.
    pub stderr: Vec<u8>,
    /// The result that accompanies the stream, such as an exit code.
    pub result: Result<R, Error>,
}

/// Reads a log, or the output of a process, to its end.
pub async fn collect_output<R: 'static>(mut call: CallHandle<OutputChunk, R>) -> CallOutcome<R> {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    while let Some(chunks) = call.next().await {
        for chunk in chunks {
            match chunk.source {
                OutputSource::Stdout => stdout.extend(chunk.bytes),
                OutputSource::Stderr => stderr.extend(chunk.bytes),
            }
        }
    }
    CallOutcome {
        stdout,
        stderr,
        result: call.result().await,
    }
}
