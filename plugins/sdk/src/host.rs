//! The functions of the host that a backend may call.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures::future::{Either, LocalBoxFuture, select};

use crate::types::{Credentials, Error, LogLevel, Timestamp};

/// A bidirectional byte stream to the engine. Shutting down its writing half
/// half-closes the connection; dropping it closes the connection.
pub trait EngineConnection: hyper::rt::Read + hyper::rt::Write + Unpin {}

impl<T: hyper::rt::Read + hyper::rt::Write + Unpin + ?Sized> EngineConnection for T {}

/// An [`EngineConnection`] of any type.
pub type BoxConnection = Box<dyn EngineConnection>;

/// The implementation of a [`Host`]: one for each form of a plugin, and one for
/// each test that scripts a host.
pub trait HostApi: 'static {
    /// Opens a new connection to the engine. Fails with `unavailable`,
    /// `permission-denied`, or `timeout`.
    fn connect(&self) -> LocalBoxFuture<'static, Result<BoxConnection, Error>>;

    /// Waits for at least `duration` by the monotonic clock.
    fn sleep(&self, duration: Duration) -> LocalBoxFuture<'static, ()>;

    /// Returns the time of the wall clock, which may jump.
    fn now(&self) -> Timestamp;

    /// Returns the time since an arbitrary moment, by a clock that never jumps.
    fn monotonic_now(&self) -> Duration;

    /// Returns 64 random bits that nobody can predict.
    fn random(&self) -> u64;

    /// Returns the user's credentials for a registry.
    fn credentials(
        &self,
        registry: String,
    ) -> LocalBoxFuture<'static, Result<Option<Credentials>, Error>>;

    /// Writes a line to the daemon's log.
    fn log(&self, level: LogLevel, message: &str);
}

/// A handle to the host. Cheap to clone.
///
/// ```
/// use std::time::Duration;
///
/// use rdd_sdk::Host;
/// use rdd_sdk::types::{Error, LogLevel};
///
/// /// Retries a request, and logs why.
/// async fn retry<T>(host: &Host, mut request: impl AsyncFnMut() -> Result<T, Error>) -> Result<T, Error> {
///     for seconds in [1, 2, 4] {
///         match request().await {
///             Ok(response) => return Ok(response),
///             Err(error) => host.log(LogLevel::Warn, &format!("retry in {seconds} s: {}", error.message)),
///         }
///         host.sleep(Duration::from_secs(seconds)).await;
///     }
///     host.timeout(Duration::from_secs(10), "a response", request()).await
/// }
/// ```
#[derive(Clone)]
pub struct Host(Rc<dyn HostApi>);

impl Host {
    /// Wraps an implementation.
    pub fn new(api: impl HostApi) -> Self {
        Self(Rc::new(api))
    }

    /// Opens a new connection to the engine.
    ///
    /// # Errors
    ///
    /// Fails with `unavailable`, `permission-denied`, or `timeout`.
    pub async fn connect(&self) -> Result<BoxConnection, Error> {
        self.0.connect().await
    }

    /// Waits for at least `duration` by the monotonic clock. In a plugin, the
    /// maximum is one hour.
    pub async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration).await;
    }

    /// Returns the time of the wall clock, which may jump. To wait, use
    /// [`sleep`](Self::sleep).
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }

    /// Returns the time since an arbitrary moment, by a clock that never jumps.
    /// Compare only values of one instance.
    pub fn monotonic_now(&self) -> Duration {
        self.0.monotonic_now()
    }

    /// Returns 64 random bits that nobody can predict, such as for an ID.
    pub fn random(&self) -> u64 {
        self.0.random()
    }

    /// Returns the user's credentials for the registry of the image that this
    /// call pulls or pushes; `None` if the user has none. `registry` is a host
    /// name with an optional port, and `docker.io` for Docker Hub.
    ///
    /// # Errors
    ///
    /// Fails with `permission-denied` for another registry or outside of a pull
    /// or push, and with `unavailable` or `timeout` if the user's configuration
    /// or credential helper fails.
    pub async fn credentials(&self, registry: &str) -> Result<Option<Credentials>, Error> {
        self.0.credentials(registry.to_owned()).await
    }

    /// Writes a line to the daemon's log under the backend's name. Do not log
    /// container output or credentials.
    pub fn log(&self, level: LogLevel, message: &str) {
        self.0.log(level, message);
    }

    /// Runs `work` with a time limit. `what` completes the message "the engine
    /// did not send …".
    ///
    /// # Errors
    ///
    /// Fails with the error of `work`, or with `timeout` after `limit`.
    pub async fn timeout<T>(
        &self,
        limit: Duration,
        what: &str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        match select(pin!(work), self.0.sleep(limit)).await {
            Either::Left((result, _)) => result,
            Either::Right(((), _)) => Err(Error::timeout(format!(
                "the engine did not send {what} within {} s",
                limit.as_secs()
            ))),
        }
    }
}
