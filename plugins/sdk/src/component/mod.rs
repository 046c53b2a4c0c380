//! A backend as a WebAssembly component: its exports and its host.

mod exports;
mod stream_connection;

use std::time::Duration;

use futures::FutureExt;
use futures::future::LocalBoxFuture;

pub use exports::{BackendInstance, ComponentExports};

use crate::bindings::rancher_desktop::engine::{host, transport};
use crate::bindings::wit_stream;
use crate::types::{Error, LogLevel, Timestamp};
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

    fn log(&self, level: LogLevel, message: &str) {
        host::log(level, message);
    }
}
