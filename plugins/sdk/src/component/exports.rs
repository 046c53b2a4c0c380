//! The exports of the `backend` world, implemented by a [`Backend`].

use std::future::IntoFuture;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{Either, LocalBoxFuture, select};
use wit_bindgen::{FutureReader, FutureWriter, StreamReader, StreamResult, StreamWriter};

use super::call_scope::CallScope;
use crate::bindings::exports::rancher_desktop::engine::{
    engine, images, lifecycle, logs, processes,
};
use crate::bindings::{wit_future, wit_stream};
use crate::types::{
    Action, BackendInfo, ContainerRef, ContainerSpec, EntryBatch, EntryOptions, Error, Event,
    ExecOptions, Inspection, LogOptions, ObjectRef, OutputChunk, PullSpec, PushSpec, Removal,
    TerminalSize, TransferProgress, VolumeSpec,
};
use crate::{Backend, ExecInput, InputReader, InputStream, SinkWriter, StreamResponder};

/// The maximum size of one read of the standard input.
const READ_BYTES: usize = 64 * 1024;

/// The backend of this component instance. Implemented by
/// [`export_backend!`](crate::export_backend).
pub trait BackendInstance: 'static {
    /// The type of the backend.
    type Backend: Backend;

    /// Returns the backend, which is created by the first call.
    fn backend() -> Rc<Self::Backend>;
}

/// The exports of a component, for a [`BackendInstance`].
pub struct ComponentExports<I>(PhantomData<I>);

/// A stream and the result that accompanies it.
type StreamResponse<T, R = ()> = (StreamReader<T>, FutureReader<Result<R, Error>>);

/// Both ends of the result that accompanies a stream.
type EndFuture<R> = (
    FutureWriter<Result<R, Error>>,
    FutureReader<Result<R, Error>>,
);

impl<I: BackendInstance> engine::Guest for ComponentExports<I> {
    fn describe() -> BackendInfo {
        I::Backend::describe()
    }

    async fn watch(stop: FutureReader<()>) -> Result<StreamResponse<Event>, Error> {
        let backend = I::backend();
        let end = wit_future::new(no_result);
        run_stream_call(stop, wit_stream::new(), end, |responder| async move {
            backend.watch(responder).await
        })
        .await
    }

    async fn ping() -> Result<(), Error> {
        let backend = I::backend();
        let scope = CallScope::new();
        scope.part(backend.ping().boxed_local()).await
    }

    async fn inspect(object: ObjectRef, stop: FutureReader<()>) -> Result<Inspection, Error> {
        run_call(stop, I::backend().inspect(object)).await
    }
}

impl<I: BackendInstance> logs::Guest for ComponentExports<I> {
    async fn get_logs(
        container: ContainerRef,
        options: LogOptions,
        stop: FutureReader<()>,
    ) -> Result<StreamResponse<OutputChunk>, Error> {
        let backend = I::backend();
        let end = wit_future::new(no_result);
        run_stream_call(stop, wit_stream::new(), end, |responder| async move {
            backend.get_logs(container, options, responder).await
        })
        .await
    }

    async fn get_entries(
        container: ContainerRef,
        options: EntryOptions,
        stop: FutureReader<()>,
    ) -> Result<StreamResponse<EntryBatch>, Error> {
        let backend = I::backend();
        let end = wit_future::new(no_result);
        run_stream_call(stop, wit_stream::new(), end, |responder| async move {
            backend.get_entries(container, options, responder).await
        })
        .await
    }
}

impl<I: BackendInstance> lifecycle::Guest for ComponentExports<I> {
    async fn act(
        container: ContainerRef,
        action: Action,
        stop: FutureReader<()>,
    ) -> Result<(), Error> {
        run_call(stop, I::backend().act(container, action)).await
    }

    async fn remove(removal: Removal, stop: FutureReader<()>) -> Result<(), Error> {
        run_call(stop, I::backend().remove(removal)).await
    }

    async fn create_container(
        spec: ContainerSpec,
        stop: FutureReader<()>,
    ) -> Result<String, Error> {
        run_call(stop, I::backend().create_container(spec)).await
    }

    async fn create_volume(spec: VolumeSpec, stop: FutureReader<()>) -> Result<String, Error> {
        run_call(stop, I::backend().create_volume(spec)).await
    }
}

impl<I: BackendInstance> processes::Guest for ComponentExports<I> {
    async fn exec(
        container: ContainerRef,
        options: ExecOptions,
        stdin: StreamReader<u8>,
        resizes: StreamReader<TerminalSize>,
        stop: FutureReader<()>,
    ) -> Result<StreamResponse<OutputChunk, i32>, Error> {
        let backend = I::backend();
        let input = ExecInput {
            stdin: InputStream::new(Box::new(StdinReader(stdin))),
            resizes: InputStream::new(Box::new(ResizeReader(resizes))),
        };
        let end = wit_future::new(no_result);
        run_stream_call(stop, wit_stream::new(), end, |responder| async move {
            backend.exec(container, options, input, responder).await
        })
        .await
    }
}

impl<I: BackendInstance> images::Guest for ComponentExports<I> {
    async fn pull(
        spec: PullSpec,
        stop: FutureReader<()>,
    ) -> Result<StreamResponse<TransferProgress>, Error> {
        let backend = I::backend();
        let end = wit_future::new(no_result);
        run_stream_call(stop, wit_stream::new(), end, |responder| async move {
            backend.pull(spec, responder).await
        })
        .await
    }

    async fn push(
        spec: PushSpec,
        stop: FutureReader<()>,
    ) -> Result<StreamResponse<TransferProgress>, Error> {
        let backend = I::backend();
        let end = wit_future::new(no_result);
        run_stream_call(stop, wit_stream::new(), end, |responder| async move {
            backend.push(spec, responder).await
        })
        .await
    }
}

/// The result of a call whose task ended early. The host gets it if the writer of
/// the result is dropped.
fn no_result<R>() -> Result<R, Error> {
    Err(Error::internal("the backend ended without a result"))
}

/// Runs a call with one result. When the host stops the call, `select` drops the
/// backend's future.
async fn run_call<R>(
    stop: FutureReader<()>,
    call: impl Future<Output = Result<R, Error>>,
) -> Result<R, Error> {
    let scope = CallScope::new();
    let call = scope.part(call.boxed_local());
    match select(call, stop.into_future().boxed_local()).await {
        Either::Left((result, _)) => result,
        Either::Right((_, call)) => {
            // Closes what the call has opened, before the scope ends.
            drop(call);
            Err(stopped())
        }
    }
}

fn stopped() -> Error {
    Error::cancelled("the host stopped the call")
}

/// Runs a stream call. Returns once the backend has accepted it or failed; then
/// a task continues it until the backend returns or the host stops it.
async fn run_stream_call<T, R, F>(
    stop: FutureReader<()>,
    (writer, reader): (StreamWriter<T>, StreamReader<T>),
    (end, end_reader): EndFuture<R>,
    call: impl FnOnce(StreamResponder<T>) -> F,
) -> Result<StreamResponse<T, R>, Error>
where
    T: 'static,
    R: 'static,
    F: Future<Output = Result<R, Error>> + 'static,
{
    let scope = CallScope::new();
    let (responder, accepted) = StreamResponder::new(Box::new(writer));
    // When the host stops the call, `select` drops the backend's future. That
    // cancels its reads and writes and closes its connections.
    let mut work: LocalBoxFuture<'static, CallOutcome<R>> = select(
        scope.part(call(responder).boxed_local()),
        stop.into_future().boxed_local(),
    )
    .map(|first| match first {
        Either::Left((result, _)) => CallOutcome::Returned(result),
        Either::Right(_) => CallOutcome::Stopped,
    })
    .boxed_local();
    let mut accepted = accepted.fuse();
    let ended = match select(Pin::new(&mut work), &mut accepted).await {
        Either::Left((ended, _)) => Some(ended),
        // The responder was dropped: the backend is about to return.
        Either::Right((Err(_), _)) => Some((&mut work).await),
        Either::Right((Ok(()), _)) => None,
    };
    let was_accepted = ended.is_none() || accepted.now_or_never().is_some_and(|r| r.is_ok());
    if let Some(CallOutcome::Returned(Err(error))) = &ended
        && !was_accepted
    {
        return Err(error.clone());
    }
    wit_bindgen::spawn_local(async move {
        let ended = match ended {
            Some(ended) => ended,
            None => work.await,
        };
        // Before the host learns of the end.
        drop(scope);
        let result = match ended {
            CallOutcome::Returned(result) => result,
            CallOutcome::Stopped => Err(stopped()),
        };
        // The host may have dropped the future without reading it.
        end.write(result).await.ok();
    });
    Ok((reader, end_reader))
}

/// The outcome of a stream call.
enum CallOutcome<R> {
    /// The backend returned this result.
    Returned(Result<R, Error>),
    /// The host resolved `stop`.
    Stopped,
}

impl<T: 'static> SinkWriter<T> for StreamWriter<T> {
    fn write(&mut self, items: Vec<T>) -> LocalBoxFuture<'_, bool> {
        async { self.write_all(items).await.is_empty() }.boxed_local()
    }
}

/// The standard input of a process.
struct StdinReader(StreamReader<u8>);

impl InputReader<Bytes> for StdinReader {
    fn next(&mut self) -> LocalBoxFuture<'_, Option<Bytes>> {
        async {
            let (result, bytes) = self.0.read(Vec::with_capacity(READ_BYTES)).await;
            match result {
                StreamResult::Dropped if bytes.is_empty() => None,
                _ => Some(Bytes::from(bytes)),
            }
        }
        .boxed_local()
    }
}

/// The sizes of the terminal of a process.
struct ResizeReader(StreamReader<TerminalSize>);

impl InputReader<TerminalSize> for ResizeReader {
    fn next(&mut self) -> LocalBoxFuture<'_, Option<TerminalSize>> {
        async { self.0.next().await }.boxed_local()
    }
}
