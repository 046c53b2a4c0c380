//! A host whose engine is real and listens on a unix socket.

use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use hyper_util::rt::TokioIo;

use crate::types::{Credentials, Error, LogLevel, Timestamp};
use crate::{BoxConnection, Host, HostApi};

/// A host whose engine listens on a unix socket. Needs a runtime with I/O, such
/// as that of [`run_live`](super::run_live).
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
