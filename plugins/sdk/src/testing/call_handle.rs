//! A stream call in progress.

use futures::channel::mpsc;
use futures::future::{Either, select};
use futures::{FutureExt, StreamExt};
use tokio::task::{JoinError, JoinHandle};

use crate::StreamResponder;
use crate::types::Error;

/// A handle to a stream call in progress. Dropping it stops the call.
///
/// The functions of the [module](super) start the calls of a backend; this type
/// also starts any other:
///
/// ```
/// use rdd_sdk::testing::{self, CallHandle};
/// use rdd_sdk::types::Event;
///
/// testing::run(async {
///     let mut call = CallHandle::start(|responder| async move {
///         responder.accept().send(vec![Event::InitBegin]).await
///     })
///     .await
///     .unwrap();
///     assert_eq!(call.next().await, Some(vec![Event::InitBegin]));
///     assert_eq!(call.next().await, None);
///     call.result().await.unwrap();
/// });
/// ```
pub struct CallHandle<T, R = ()> {
    items: mpsc::Receiver<Vec<T>>,
    task: JoinHandle<Result<R, Error>>,
}

impl<T: 'static, R: 'static> CallHandle<T, R> {
    /// Starts a stream call and waits for its response, as a host does.
    ///
    /// # Errors
    ///
    /// Fails with the error of the call, or with `internal` if the call ends
    /// without a response.
    pub async fn start<F>(call: impl FnOnce(StreamResponder<T>) -> F) -> Result<Self, Error>
    where
        F: Future<Output = Result<R, Error>> + 'static,
    {
        // A write completes when its batch is read, as on a component's stream.
        let (sender, items) = mpsc::channel(0);
        let (responder, accepted) = StreamResponder::new(Box::new(sender));
        let task = tokio::task::spawn_local(call(responder));
        match select(task, accepted).await {
            Either::Left((ended, accepted)) => {
                let result = join_result(ended);
                if accepted.now_or_never().is_none_or(|fired| fired.is_err()) {
                    return Err(result.err().unwrap_or_else(no_response));
                }
                let task = tokio::task::spawn_local(async { result });
                Ok(Self { items, task })
            }
            Either::Right((Ok(()), task)) => Ok(Self { items, task }),
            Either::Right((Err(_), task)) => {
                join_result(task.await)?;
                Err(no_response())
            }
        }
    }

    /// Returns the next batch of items, or `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Vec<T>> {
        self.items.next().await
    }

    /// Stops the call as a host does, and waits until everything that it owns
    /// is dropped.
    ///
    /// # Panics
    ///
    /// Panics if the backend has panicked.
    pub async fn cancel(mut self) {
        self.task.abort();
        match (&mut self.task).await {
            // The call may have ended by itself.
            Ok(_) => {}
            Err(error) if error.is_cancelled() => {}
            Err(error) => panic!("the backend panicked: {error}"),
        }
    }

    /// Waits for the call to end and returns the result that accompanies its
    /// stream. Items that were not read are dropped.
    ///
    /// # Errors
    ///
    /// Fails with the error of the stream.
    pub async fn result(mut self) -> Result<R, Error> {
        self.items.close();
        join_result((&mut self.task).await)
    }
}

impl<T, R> Drop for CallHandle<T, R> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn no_response() -> Error {
    Error::internal("the backend returned without accepting the call")
}

fn join_result<R>(ended: Result<Result<R, Error>, JoinError>) -> Result<R, Error> {
    ended.unwrap_or_else(|error| Err(Error::internal(format!("the backend panicked: {error}"))))
}
