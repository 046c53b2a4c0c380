//! The exports of the `backend` world, in terms of [`Backend`].

use std::future::IntoFuture;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;

use futures::FutureExt;
use futures::future::{Either, LocalBoxFuture, select};
use wit_bindgen::{FutureReader, StreamReader, StreamWriter};

use crate::bindings::exports::rancher_desktop::engine::{engine, lifecycle};
use crate::bindings::{wit_future, wit_stream};
use crate::sink::RawSink;
use crate::types::{
    Action, BackendInfo, Error, Event, Inspection, LogChunk, LogOptions, ObjectRef, Removal,
};
use crate::{Backend, Responder};

/// A crate that [`export_backend!`](crate::export_backend) was called in.
pub trait Plugin: 'static {
    /// Its backend.
    type Backend: Backend;

    /// The instance's one backend, made at the first call.
    fn backend() -> Rc<Self::Backend>;
}

/// Implements the exports for a [`Plugin`].
pub struct Component<P>(PhantomData<P>);

/// A stream and the result beside it, as the contract has them.
type Answer<T> = (StreamReader<T>, FutureReader<Result<(), Error>>);

impl<P: Plugin> engine::Guest for Component<P> {
    fn describe() -> BackendInfo {
        P::Backend::describe()
    }

    async fn watch(stop: FutureReader<()>) -> Result<Answer<Event>, Error> {
        let backend = P::backend();
        serve(stop, wit_stream::new(), |responder| async move {
            backend.watch(responder).await
        })
        .await
    }

    async fn ping() -> Result<(), Error> {
        P::backend().ping().await
    }

    async fn inspect(object: ObjectRef) -> Result<Inspection, Error> {
        P::backend().inspect(object).await
    }

    async fn get_logs(
        id: String,
        options: LogOptions,
        stop: FutureReader<()>,
    ) -> Result<Answer<LogChunk>, Error> {
        let backend = P::backend();
        serve(stop, wit_stream::new(), |responder| async move {
            backend.get_logs(id, options, responder).await
        })
        .await
    }
}

impl<P: Plugin> lifecycle::Guest for Component<P> {
    async fn act(id: String, action: Action) -> Result<(), Error> {
        P::backend().act(id, action).await
    }

    async fn remove(target: Removal) -> Result<(), Error> {
        P::backend().remove(target).await
    }
}

/// Runs a stream call: answers once the backend has accepted or failed, and
/// goes on in a task of its own until the backend ends or the host stops it.
async fn serve<T, F>(
    stop: FutureReader<()>,
    (writer, reader): (StreamWriter<T>, StreamReader<T>),
    call: impl FnOnce(Responder<T>) -> F,
) -> Result<Answer<T>, Error>
where
    T: 'static,
    F: Future<Output = Result<(), Error>> + 'static,
{
    let (responder, accepted) = Responder::new(Box::new(writer));
    // Dropping the backend's future withdraws its reads and writes and closes
    // its connections.
    let mut work: LocalBoxFuture<'static, Ending> = select(
        call(responder).boxed_local(),
        stop.into_future().boxed_local(),
    )
    .map(|first| match first {
        Either::Left((result, _)) => Ending::Backend(result),
        Either::Right(_) => Ending::Stopped,
    })
    .boxed_local();
    let mut accepted = accepted.fuse();
    let ended = match select(Pin::new(&mut work), &mut accepted).await {
        Either::Left((ended, _)) => Some(ended),
        // Dropped without acceptance: the backend is about to end.
        Either::Right((Err(_), _)) => Some((&mut work).await),
        Either::Right((Ok(()), _)) => None,
    };
    let was_accepted = ended.is_none() || accepted.now_or_never().is_some_and(|r| r.is_ok());
    if let Some(Ending::Backend(Err(error))) = &ended
        && !was_accepted
    {
        return Err(error.clone());
    }
    let (end, end_reader) = wit_future::new(|| Err(Error::internal("the backend gave no result")));
    wit_bindgen::spawn_local(async move {
        let ended = match ended {
            Some(ended) => ended,
            None => work.await,
        };
        let result = match ended {
            Ending::Backend(result) => result,
            Ending::Stopped => Err(Error::cancelled("the host stopped the call")),
        };
        // A host that does not want the result is no failure of ours.
        end.write(result).await.ok();
    });
    Ok((reader, end_reader))
}

/// How a stream call came to its end.
enum Ending {
    /// The backend's own result.
    Backend(Result<(), Error>),
    /// The host resolved `stop`.
    Stopped,
}

impl<T: 'static> RawSink<T> for StreamWriter<T> {
    fn write(&mut self, items: Vec<T>) -> LocalBoxFuture<'_, bool> {
        async { self.write_all(items).await.is_empty() }.boxed_local()
    }
}
