//! The exports of the `backend` world, implemented by a [`Backend`].

use std::future::IntoFuture;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;

use futures::FutureExt;
use futures::future::{Either, LocalBoxFuture, select};
use wit_bindgen::{FutureReader, StreamReader, StreamWriter};

use crate::bindings::exports::rancher_desktop::engine::{engine, lifecycle};
use crate::bindings::{wit_future, wit_stream};
use crate::types::{
    Action, BackendInfo, Error, Event, Inspection, LogChunk, LogOptions, ObjectRef, Removal,
};
use crate::{Backend, SinkWriter, StreamResponder};

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
type StreamResponse<T> = (StreamReader<T>, FutureReader<Result<(), Error>>);

impl<I: BackendInstance> engine::Guest for ComponentExports<I> {
    fn describe() -> BackendInfo {
        I::Backend::describe()
    }

    async fn watch(stop: FutureReader<()>) -> Result<StreamResponse<Event>, Error> {
        let backend = I::backend();
        run_stream_call(stop, wit_stream::new(), |responder| async move {
            backend.watch(responder).await
        })
        .await
    }

    async fn ping() -> Result<(), Error> {
        I::backend().ping().await
    }

    async fn inspect(object: ObjectRef) -> Result<Inspection, Error> {
        I::backend().inspect(object).await
    }

    async fn get_logs(
        id: String,
        options: LogOptions,
        stop: FutureReader<()>,
    ) -> Result<StreamResponse<LogChunk>, Error> {
        let backend = I::backend();
        run_stream_call(stop, wit_stream::new(), |responder| async move {
            backend.get_logs(id, options, responder).await
        })
        .await
    }
}

impl<I: BackendInstance> lifecycle::Guest for ComponentExports<I> {
    async fn act(id: String, action: Action) -> Result<(), Error> {
        I::backend().act(id, action).await
    }

    async fn remove(target: Removal) -> Result<(), Error> {
        I::backend().remove(target).await
    }
}

/// Runs a stream call. Returns once the backend has accepted it or failed; then
/// a task continues it until the backend returns or the host stops it.
async fn run_stream_call<T, F>(
    stop: FutureReader<()>,
    (writer, reader): (StreamWriter<T>, StreamReader<T>),
    call: impl FnOnce(StreamResponder<T>) -> F,
) -> Result<StreamResponse<T>, Error>
where
    T: 'static,
    F: Future<Output = Result<(), Error>> + 'static,
{
    let (responder, accepted) = StreamResponder::new(Box::new(writer));
    // When the host stops the call, `select` drops the backend's future. That
    // cancels its reads and writes and closes its connections.
    let mut work: LocalBoxFuture<'static, CallOutcome> = select(
        call(responder).boxed_local(),
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
    let (end, end_reader) =
        wit_future::new(|| Err(Error::internal("the backend ended without a result")));
    wit_bindgen::spawn_local(async move {
        let ended = match ended {
            Some(ended) => ended,
            None => work.await,
        };
        let result = match ended {
            CallOutcome::Returned(result) => result,
            CallOutcome::Stopped => Err(Error::cancelled("the host stopped the call")),
        };
        // The host may have dropped the future without reading it.
        end.write(result).await.ok();
    });
    Ok((reader, end_reader))
}

/// The outcome of a stream call.
enum CallOutcome {
    /// The backend returned this result.
    Returned(Result<(), Error>),
    /// The host resolved `stop`.
    Stopped,
}

impl<T: 'static> SinkWriter<T> for StreamWriter<T> {
    fn write(&mut self, items: Vec<T>) -> LocalBoxFuture<'_, bool> {
        async { self.write_all(items).await.is_empty() }.boxed_local()
    }
}
