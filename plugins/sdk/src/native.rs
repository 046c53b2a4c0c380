//! A native host for a backend, over a unix socket: for tests and tools. It
//! must run in a [`tokio::task::LocalSet`] on a current-thread runtime.

use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::StreamExt;
use futures::channel::mpsc;
use futures::future::{Either, LocalBoxFuture, select};
use hyper_util::rt::TokioIo;
use tokio::task::{JoinError, JoinHandle};

use crate::types::{Credentials, Error, LogLevel, Timestamp};
use crate::{BoxConnection, Host, HostApi, StreamResponder};

/// A host whose engine listens on a unix socket.
pub struct UnixHost {
    socket: PathBuf,
    log: fn(LogLevel, &str),
    created_at: Instant,
    credentials: Option<Credentials>,
}

impl UnixHost {
    /// Creates a host for the engine at the path `socket`. `log` receives the
    /// backend's log lines.
    pub fn new(socket: impl Into<PathBuf>, log: fn(LogLevel, &str)) -> Self {
        Self {
            socket: socket.into(),
            log,
            created_at: Instant::now(),
            credentials: None,
        }
    }

    /// Sets the credentials for every registry.
    #[must_use]
    pub fn with_credentials(self, credentials: Credentials) -> Self {
        Self {
            credentials: Some(credentials),
            ..self
        }
    }

    /// Returns the handle that a backend takes.
    pub fn handle(self) -> Host {
        Host::new(self)
    }
}

impl HostApi for UnixHost {
    fn connect(&self) -> LocalBoxFuture<'static, Result<BoxConnection, Error>> {
        let socket = self.socket.clone();
        async move {
            match tokio::net::UnixStream::connect(&socket).await {
                Ok(stream) => Ok(Box::new(TokioIo::new(stream)) as BoxConnection),
                Err(error) => Err(Error::unavailable(format!(
                    "cannot connect to the engine at {}: {error}",
                    socket.display()
                ))),
            }
        }
        .boxed_local()
    }

    fn sleep(&self, duration: Duration) -> LocalBoxFuture<'static, ()> {
        tokio::time::sleep(duration).boxed_local()
    }

    fn now(&self) -> Timestamp {
        // A clock before the epoch counts as the epoch.
        let since_epoch = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp {
            seconds: i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX),
            nanoseconds: since_epoch.subsec_nanos(),
        }
    }

    fn monotonic_now(&self) -> Duration {
        self.created_at.elapsed()
    }

    fn random(&self) -> u64 {
        // Each `RandomState` has keys of its own. Good enough for tests.
        RandomState::new().hash_one(())
    }

    fn credentials(
        &self,
        _: String,
    ) -> LocalBoxFuture<'static, Result<Option<Credentials>, Error>> {
        std::future::ready(Ok(self.credentials.clone())).boxed_local()
    }

    fn log(&self, level: LogLevel, message: &str) {
        (self.log)(level, message);
    }
}

/// A handle to a stream call in progress. Dropping it stops the call.
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
