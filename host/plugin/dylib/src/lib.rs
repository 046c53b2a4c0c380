//! Loads engine backends that are dynamic libraries, by the C ABI of
//! `plugins/sdk/include/rdd_backend.h`.
//!
//! A library has every right of the daemon: nothing here confines it. What this
//! crate adds is that mistakes have consequences that can be understood. What a
//! library returns is checked before it is used; a function that does not return
//! blocks only its own thread; a caught panic or a violation of the contract ends
//! one instance, and becomes an error of its calls.
//!
//! Invariant: only threads of instances call into a library, each instance has
//! one, and its objects are closed before it is destroyed. So no code of a
//! library runs on a thread of the runtime, except in wakers.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use rdd_core::{ContainerEngine as _, ContainerRef, LogOptions};
//! use rdd_plugin_contract::{BackendLimits, BackendServices, EngineTransport};
//! use rdd_plugin_dylib::{BackendLibrary, LibraryBackend};
//!
//! # async fn example(transport: Arc<dyn EngineTransport>) -> Result<(), Box<dyn std::error::Error>> {
//! // Loading runs code of the library, and blocks.
//! let library = BackendLibrary::load("/usr/lib/rdd/plugins/toy/libtoy.so".as_ref())?;
//! let services = BackendServices::new(transport);
//! let backend = LibraryBackend::new("toy", library, BackendLimits::default(), services);
//! let handle = backend.launch().await?;
//! println!("engine: {}", handle.info().engine);
//! let container = ContainerRef::new("default", "web");
//! let _log = handle.get_logs(&container, &LogOptions::default()).await?;
//! # Ok(())
//! # }
//! ```
#![allow(
    unsafe_code,
    reason = "the boundary to native code; each block names what it relies on"
)]

// In layers: each module uses only those after it.

mod engine_calls;
mod library_backend;

mod library_handle;

mod probe;

mod control;
mod exec_session;

mod stream_call;

mod instance_reply;
mod instance_thread;
mod stream_reader;

mod backend_context;
mod stream_batch;
mod stream_item;

mod library_call;
mod library_stream;

mod library_instance;

mod backend_library;
mod instance_host;

mod host_call;
mod host_connection;

mod host_context;
mod host_function;

mod foreign;
mod json;

mod library_fault;
mod thread_tracker;

pub use backend_library::{AbiVersion, BackendLibrary, LibraryLoadError};
pub use library_backend::LibraryBackend;
pub use library_handle::LibraryHandle;
