//! A backend as a WASM component: its exports and its host.

mod exports;
mod io;

use std::time::Duration;

use futures::FutureExt;
use futures::future::LocalBoxFuture;

pub use exports::{Component, Plugin};

use crate::bindings::rancher_desktop::engine::{host, transport};
use crate::bindings::wit_stream;
use crate::types::{Error, LogLevel, Timestamp};
use crate::{BoxConnection, Host, HostApi};

/// The component's host.
pub fn host() -> Host {
    Host::new(ComponentHost)
}

struct ComponentHost;

impl HostApi for ComponentHost {
    fn connect(&self) -> LocalBoxFuture<'static, Result<BoxConnection, Error>> {
        async {
            let (tx, outgoing) = wit_stream::new();
            let (rx, end) = transport::connect(outgoing).await?;
            Ok(Box::new(io::Io::new(tx, rx, end)) as BoxConnection)
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
