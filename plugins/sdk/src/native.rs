//! Runs a backend natively over a unix socket, in a `tokio` current-thread
//! runtime with a `LocalSet`: for tests and tools.

use std::path::PathBuf;
use std::time::Duration;

use futures::FutureExt;
use futures::channel::mpsc;
use futures::future::{Either, LocalBoxFuture, select};
use futures::{SinkExt, StreamExt};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;

use crate::sink::RawSink;
use crate::types::{Error, LogLevel, Timestamp};
use crate::{BoxConnection, Host, HostApi, Responder};

/// A host whose engine listens on a unix socket.
pub struct UnixHost {
    socket: PathBuf,
    log: fn(LogLevel, &str),
}

impl UnixHost {
    /// For the engine at this path. `log` gets the backend's log lines.
    pub fn new(socket: impl Into<PathBuf>, log: fn(LogLevel, &str)) -> Self {
        Self {
            socket: socket.into(),
            log,
        }
    }

    /// As the handle that a backend takes.
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
                    "no engine at {}: {error}",
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
        // A clock before 1970 is taken for one at 1970.
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp {
            seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            nanoseconds: since.subsec_nanos(),
        }
    }

    fn log(&self, level: LogLevel, message: &str) {
        (self.log)(level, message);
    }
}

/// A stream call in progress. Dropping it stops the call.
pub struct Running<T> {
    items: mpsc::Receiver<Vec<T>>,
    task: JoinHandle<Result<(), Error>>,
}

impl<T: 'static> Running<T> {
    /// Starts a stream call and waits for its answer, as a host does.
    pub async fn start<F>(call: impl FnOnce(Responder<T>) -> F) -> Result<Self, Error>
    where
        F: Future<Output = Result<(), Error>> + 'static,
    {
        // A writer waits until its batch is taken, as on a component's stream.
        let (sender, items) = mpsc::channel(0);
        let (responder, accepted) = Responder::new(Box::new(sender));
        let task = tokio::task::spawn_local(call(responder));
        match select(task, accepted).await {
            Either::Left((ended, accepted)) => {
                let result = flatten(ended);
                if accepted.now_or_never().is_none_or(|fired| fired.is_err()) {
                    result?;
                    return Err(Error::internal("the backend ended without an answer"));
                }
                let task = tokio::task::spawn_local(async { result });
                Ok(Self { items, task })
            }
            Either::Right((Ok(()), task)) => Ok(Self { items, task }),
            Either::Right((Err(_), task)) => {
                flatten(task.await)?;
                Err(Error::internal("the backend ended without an answer"))
            }
        }
    }

    /// The next batch; `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Vec<T>> {
        self.items.next().await
    }

    /// The result beside the stream, once the stream has ended.
    pub async fn result(mut self) -> Result<(), Error> {
        self.items.close();
        flatten((&mut self.task).await)
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn flatten(ended: Result<Result<(), Error>, tokio::task::JoinError>) -> Result<(), Error> {
    ended.unwrap_or_else(|error| Err(Error::internal(format!("the backend panicked: {error}"))))
}

impl<T> RawSink<T> for mpsc::Sender<Vec<T>> {
    fn write(&mut self, items: Vec<T>) -> LocalBoxFuture<'_, bool> {
        async { self.send(items).await.is_ok() }.boxed_local()
    }
}
