//! The host of a library (`rdd_host`).

use std::future::ready;
use std::ptr;
use std::time::Duration;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use rdd_sdk_abi as abi;

use super::connection::HostConnection;
use super::guard::read_error;
use super::host_call::{HostCall, missing};
use crate::types::{Credentials, Error, LogLevel, Timestamp};
use crate::{BoxConnection, HostApi};

/// The host of one instance.
pub(super) struct LibraryHost(*const abi::Host);

impl LibraryHost {
    /// Takes the host of an instance.
    ///
    /// # Safety
    ///
    /// `host` remains valid for as long as the instance.
    pub(super) unsafe fn new(host: *const abi::Host) -> Self {
        Self(host)
    }

    fn functions(&self) -> &abi::Host {
        // SAFETY: valid for as long as the instance, and never changed.
        unsafe { &*self.0 }
    }

    fn open(&self) -> Result<HostConnection, Error> {
        let connect = self.functions().connect.ok_or_else(|| missing("connect"))?;
        let mut connection = ptr::null_mut();
        let mut error = abi::Error::new();
        // SAFETY: the host is valid, and so are the pointers.
        match unsafe { connect(self.0, &raw mut connection, &raw mut error) } {
            // SAFETY: the host has just returned the connection.
            abi::READY => Ok(unsafe { HostConnection::new(connection) }),
            // SAFETY: the error is valid until the next call of the host.
            _ => Err(unsafe { read_error(&error) }),
        }
    }

    fn start_sleep(&self, duration: Duration) -> Result<HostCall, Error> {
        let sleep = self.functions().sleep.ok_or_else(|| missing("sleep"))?;
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let mut timer = ptr::null_mut();
        let mut error = abi::Error::new();
        // SAFETY: the host is valid, and so are the pointers.
        match unsafe { sleep(self.0, nanoseconds, &raw mut timer, &raw mut error) } {
            // SAFETY: the host has just returned the timer.
            abi::READY => Ok(unsafe { HostCall::new(timer) }),
            // SAFETY: the error is valid until the next call of the host.
            _ => Err(unsafe { read_error(&error) }),
        }
    }

    fn request_credentials(&self, registry: &str) -> Result<HostCall, Error> {
        let get_credentials = self
            .functions()
            .get_credentials
            .ok_or_else(|| missing("get_credentials"))?;
        let registry = abi::Bytes::new(registry.as_bytes());
        let mut call = ptr::null_mut();
        let mut error = abi::Error::new();
        // SAFETY: the host is valid, and so are the pointers.
        match unsafe { get_credentials(self.0, registry, &raw mut call, &raw mut error) } {
            // SAFETY: the host has just returned the call.
            abi::READY => Ok(unsafe { HostCall::new(call) }),
            // SAFETY: the error is valid until the next call of the host.
            _ => Err(unsafe { read_error(&error) }),
        }
    }
}

impl HostApi for LibraryHost {
    fn connect(&self) -> LocalBoxFuture<'static, Result<BoxConnection, Error>> {
        let opened = self.open();
        async {
            let mut connection = opened?;
            connection.connect().await?;
            Ok(Box::new(connection) as BoxConnection)
        }
        .boxed_local()
    }

    /// # Panics
    ///
    /// Panics if the instance has too many timers or the duration is more than an
    /// hour, where a component traps.
    #[allow(
        clippy::panic,
        reason = "the function has no error, and the panic becomes one at the boundary"
    )]
    fn sleep(&self, duration: Duration) -> LocalBoxFuture<'static, ()> {
        match self.start_sleep(duration) {
            // A timer cannot fail.
            Ok(timer) => timer.map(|_| ()).boxed_local(),
            Err(error) => panic!("cannot sleep: {}", error.message),
        }
    }

    fn now(&self) -> Timestamp {
        let (mut seconds, mut nanoseconds) = (0, 0);
        if let Some(now) = self.functions().now {
            // SAFETY: the host is valid, and so are the pointers.
            unsafe { now(self.0, &raw mut seconds, &raw mut nanoseconds) };
        }
        Timestamp {
            seconds,
            nanoseconds,
        }
    }

    fn monotonic_now(&self) -> Duration {
        let nanoseconds = match self.functions().monotonic_now {
            // SAFETY: the host is valid.
            Some(monotonic_now) => unsafe { monotonic_now(self.0) },
            None => 0,
        };
        Duration::from_nanos(nanoseconds)
    }

    fn random(&self) -> u64 {
        match self.functions().random {
            // SAFETY: the host is valid.
            Some(random) => unsafe { random(self.0) },
            None => 0,
        }
    }

    fn credentials(
        &self,
        registry: String,
    ) -> LocalBoxFuture<'static, Result<Option<Credentials>, Error>> {
        let call = match self.request_credentials(&registry) {
            Ok(call) => call,
            Err(error) => return ready(Err(error)).boxed_local(),
        };
        async {
            let text = call.await?;
            serde_json::from_slice(&text).map_err(|error| {
                // The error names the position only, not the content.
                Error::internal(format!(
                    "the host returned invalid credentials at column {}",
                    error.column()
                ))
            })
        }
        .boxed_local()
    }

    fn log(&self, level: LogLevel, message: &str) {
        let level = match level {
            LogLevel::Trace => abi::log_level::TRACE,
            LogLevel::Debug => abi::log_level::DEBUG,
            LogLevel::Info => abi::log_level::INFO,
            LogLevel::Warn => abi::log_level::WARN,
            LogLevel::Error => abi::log_level::ERROR,
        };
        if let Some(log) = self.functions().log {
            // SAFETY: the host is valid, and so is the message.
            unsafe { log(self.0, level, abi::Bytes::new(message.as_bytes())) };
        }
    }
}
