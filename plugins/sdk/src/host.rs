//! What a backend may ask of its host.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures::future::{Either, LocalBoxFuture, select};

use crate::types::{Error, LogLevel, Timestamp};

/// A duplex of bytes to the engine. Shutting down the writing half
/// half-closes it, dropping it closes it.
pub trait Connection: hyper::rt::Read + hyper::rt::Write + Unpin {}

impl<T: hyper::rt::Read + hyper::rt::Write + Unpin + ?Sized> Connection for T {}

/// A [`Connection`] of whatever kind the host gives.
pub type BoxConnection = Box<dyn Connection>;

/// The host's side of [`Host`]: one implementation for each form of a plugin,
/// and one for each test that scripts a host.
pub trait HostApi: 'static {
    /// Opens a connection of its own to the engine. Fails with `unavailable`,
    /// `permission-denied` or `timeout`.
    fn connect(&self) -> LocalBoxFuture<'static, Result<BoxConnection, Error>>;

    /// Waits for this long by the monotonic clock, at the least.
    fn sleep(&self, duration: Duration) -> LocalBoxFuture<'static, ()>;

    /// The wall clock. May jump.
    fn now(&self) -> Timestamp;

    /// Writes a line to the daemon's log.
    fn log(&self, level: LogLevel, message: &str);
}

/// A handle on the host. Cheap to clone.
#[derive(Clone)]
pub struct Host(Rc<dyn HostApi>);

impl Host {
    /// Wraps an implementation.
    pub fn new(api: impl HostApi) -> Self {
        Self(Rc::new(api))
    }

    /// Opens a connection of its own to the engine. Fails with `unavailable`,
    /// `permission-denied` or `timeout`.
    pub async fn connect(&self) -> Result<BoxConnection, Error> {
        self.0.connect().await
    }

    /// Waits for this long by the monotonic clock, at the least.
    pub async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration).await;
    }

    /// The wall clock. May jump: for a span of time, [`sleep`](Self::sleep).
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }

    /// Writes a line to the daemon's log under the backend's name. Never
    /// container output, never credentials.
    pub fn log(&self, level: LogLevel, message: &str) {
        self.0.log(level, message);
    }

    /// Gives `work` up after `limit` with `timeout`, naming what took so long.
    pub async fn timeout<T>(
        &self,
        limit: Duration,
        what: &str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        match select(pin!(work), self.0.sleep(limit)).await {
            Either::Left((result, _)) => result,
            Either::Right(((), _)) => Err(Error::timeout(format!(
                "the engine did not answer {what} within {} s",
                limit.as_secs()
            ))),
        }
    }
}
