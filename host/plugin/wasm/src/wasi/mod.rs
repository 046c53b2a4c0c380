//! WASI 0.2, for components of toolchains that need it.
//!
//! A component gets clocks, random numbers, and the directories that it was
//! granted, for reading. What it writes to its standard output and standard error
//! goes to the daemon's log. Everything else is linked, because the runtimes of
//! languages import it, and denied: arguments, environment, and standard input are
//! empty, and there is no network. See `docs/adr/028-other-toolchains.md`.
//!
//! A call of WASI blocks the whole instance, unlike one of the contract. So a
//! store that does not return to its event loop has a time limit: see
//! [`BlockingWatch`].

mod blocking;
mod line_buffer;
mod standard_stream;

use std::sync::Arc;

use rdd_plugin_contract::{ExitReason, GrantedDirectory};
use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use crate::bindings::host::LogLevel;
use crate::host_context::HostContext;

pub(crate) use blocking::{BlockingWatch, limit_blocking};
use standard_stream::StandardStream;

/// The interfaces that are linked, without their version.
const INTERFACES: [&str; 27] = [
    "cli/environment",
    "cli/exit",
    "cli/stderr",
    "cli/stdin",
    "cli/stdout",
    "cli/terminal-input",
    "cli/terminal-output",
    "cli/terminal-stderr",
    "cli/terminal-stdin",
    "cli/terminal-stdout",
    "clocks/monotonic-clock",
    "clocks/wall-clock",
    "filesystem/preopens",
    "filesystem/types",
    "io/error",
    "io/poll",
    "io/streams",
    "random/insecure",
    "random/insecure-seed",
    "random/random",
    "sockets/instance-network",
    "sockets/ip-name-lookup",
    "sockets/network",
    "sockets/tcp",
    "sockets/tcp-create-socket",
    "sockets/udp",
    "sockets/udp-create-socket",
];

/// The maximum number of open files, streams, and other resources of WASI in one
/// store. It bounds the files that a backend keeps open, and the memory of the
/// host.
const MAX_RESOURCES: usize = 1_000;

/// The maximum number of random bytes that one call may request.
const MAX_RANDOM_BYTES: u64 = 64 * 1024;

/// Whether the import `name` of a component is an interface that is linked.
pub(crate) fn is_linked(name: &str) -> bool {
    name.strip_prefix("wasi:")
        .and_then(|name| name.split_once("@0.2."))
        .is_some_and(|(interface, _)| INTERFACES.contains(&interface))
}

/// Adds the interfaces to `linker`.
pub(crate) fn add_to_linker<T: WasiView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)
}

/// What one store with a component that imports WASI needs for it.
pub(crate) struct WasiState {
    ctx: WasiCtx,
    table: ResourceTable,
    blocking: BlockingWatch,
}

impl WasiState {
    /// Opens the directories that the backend was granted.
    pub(crate) fn new(host: &Arc<HostContext>) -> Result<Self, ExitReason> {
        let mut builder = denying_builder(host);
        for GrantedDirectory { name, path } in &host.directories {
            builder
                .preopened_dir(path, name, FsPerms::ReadOnly)
                .map_err(|error| {
                    ExitReason::guest_fault(format!(
                        "cannot read the directory {} that it was granted as {name:?}: {}",
                        path.display(),
                        error.root_cause()
                    ))
                })?;
        }
        Ok(Self::from_builder(builder))
    }

    /// Returns the state of a component that calls nothing of WASI.
    pub(crate) fn unused(host: &Arc<HostContext>) -> Self {
        Self::from_builder(denying_builder(host))
    }

    fn from_builder(mut builder: WasiCtxBuilder) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        Self {
            ctx: builder.build(),
            table,
            blocking: BlockingWatch::default(),
        }
    }

    /// Returns what a call of WASI uses, and records that one begins.
    pub(crate) fn begin_call(&mut self) -> WasiCtxView<'_> {
        let Self {
            ctx,
            table,
            blocking,
        } = self;
        blocking.enter();
        WasiCtxView { ctx, table }
    }

    /// Returns the watch over calls that block the store.
    pub(crate) fn blocking(&self) -> BlockingWatch {
        self.blocking.clone()
    }
}

/// Returns a builder that denies everything but clocks, random numbers, and output.
fn denying_builder(host: &Arc<HostContext>) -> WasiCtxBuilder {
    let mut builder = WasiCtx::builder();
    builder
        .stdout(StandardStream::new(host.clone(), LogLevel::Info))
        .stderr(StandardStream::new(host.clone(), LogLevel::Warn))
        .max_random_size(MAX_RANDOM_BYTES)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false);
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linked_interfaces_are_recognized_in_each_version_of_wasi_0_2() {
        assert!(is_linked("wasi:cli/stdout@0.2.0"));
        assert!(is_linked("wasi:filesystem/types@0.2.12"));
        for name in [
            "wasi:cli/stdout@0.3.0",
            "wasi:cli/stdout",
            "wasi:http/types@0.2.0",
            "wasi:cli/environment-x@0.2.0",
            "evil:cli/stdout@0.2.0",
        ] {
            assert!(!is_linked(name), "{name}");
        }
    }
}
