//! A backend as a WebAssembly component: its exports and its host.

mod call_scope;
mod exports;
mod stream_connection;

use std::time::Duration;

use futures::FutureExt;
use futures::future::LocalBoxFuture;

pub use exports::{BackendInstance, ComponentExports};

use crate::bindings::rancher_desktop::engine::{host, registry, transport};
use crate::bindings::wit_stream;
use crate::types::{Credentials, Error, LogLevel, Timestamp};
use crate::{BoxConnection, Host, HostApi};
use stream_connection::StreamConnection;

/// Returns a handle to the component's host.
pub fn host() -> Host {
    Host::new(ComponentHost)
}

struct ComponentHost;

impl HostApi for ComponentHost {
    fn connect(&self) -> LocalBoxFuture<'static, Result<BoxConnection, Error>> {
        async {
            let (tx, outgoing) = wit_stream::new();
            let (rx, end) = transport::connect(outgoing).await?;
            Ok(Box::new(StreamConnection::new(tx, rx, end)) as BoxConnection)
        }
        .boxed_local()
    }

    fn sleep(&self, duration: Duration) -> LocalBoxFuture<'static, ()> {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        host::sleep(nanoseconds).boxed_local()
    }

    fn now(&self) -> Timestamp {
        host::now()
    }

    fn monotonic_now(&self) -> Duration {
        Duration::from_nanos(host::monotonic_now())
    }

    fn random(&self) -> u64 {
        host::random()
    }

    fn credentials(
        &self,
        registry: String,
    ) -> LocalBoxFuture<'static, Result<Option<Credentials>, Error>> {
        registry::get_credentials(registry).boxed_local()
    }

    fn log(&self, level: LogLevel, message: &str) {
        host::log(level, message);
    }
}
