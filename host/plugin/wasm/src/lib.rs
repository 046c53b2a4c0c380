//! Runs engine backends that are WebAssembly components.
//!
//! Owns the compiler and its cache, the stores of the component instances, the
//! imports that a component gets, and the validation of everything that a
//! component returns.
//!
//! Invariant: the effects of a component that traps, spins, allocates without
//! end, never returns, or returns invalid data end at its own store. A call into
//! it returns a result or an [`EngineError`](rdd_core::EngineError). A call may
//! take as long as the engine does while the engine responds; a call that waits
//! for nothing has a time limit.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use rdd_core::{ContainerEngine as _, ContainerRef, LogOptions};
//! use rdd_plugin_contract::{
//!     BackendInstance as _, BackendLimits, BackendServices, EngineTransport,
//! };
//! use rdd_plugin_wasm::{ComponentBackend, ComponentCache, ComponentRuntime};
//!
//! # async fn example(
//! #     bytes: Vec<u8>,
//! #     digest: &str,
//! #     transport: Arc<dyn EngineTransport>,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let cache = ComponentCache::open("/var/cache/rdd/plugins".as_ref())?;
//! let runtime = ComponentRuntime::new(Some(cache))?;
//! // Compiling blocks: call `load` from a blocking thread.
//! let component = runtime.load(&bytes, digest)?;
//! let services = BackendServices::new(transport);
//! let backend = ComponentBackend::new("moby", component, BackendLimits::default(), services);
//! let handle = backend.launch().await?;
//! println!("engine: {}", handle.info().engine);
//! let container = ContainerRef::new("moby", "0123456789ab");
//! let _log = handle.get_logs(&container, &LogOptions::default()).await?;
//! println!("the backend {}", handle.wait_for_exit().await.message);
//! # Ok(())
//! # }
//! ```

// In layers: each module uses only those after it.

mod backend;

mod backend_handle;

mod control;
mod probe;
mod stream_call;

mod backend_context;
mod control_request;
mod exec_input;
mod item_stream;
mod plugin_instance;

mod call_counter;
mod guest_fault;
mod guest_time;
mod runtime;
mod watch_stream;

mod cache;
mod exports;
mod registry;
mod transport;

mod connection_tracker;
mod epoch;
mod host_state;

mod call_tracker;
mod limits;
mod wasi;

mod convert;
mod host_context;

mod bindings;

// Shared by all forms of backends.
use rdd_plugin_contract::{liveness, log_limiter};

pub use backend::ComponentBackend;
pub use backend_handle::BackendHandle;
pub use cache::{CacheError, ComponentCache};
pub use runtime::{
    CompilerError, ComponentCompiler, ComponentRuntime, LinkedComponent, LoadError, RuntimeError,
    compile,
};
