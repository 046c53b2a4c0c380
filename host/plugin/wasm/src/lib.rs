//! Runs engine backends that are WebAssembly components.
//!
//! Owns the compiler and its cache, the stores that instances live in, the
//! imports that a component is given, and the check of all that it says.
//!
//! Invariant: nothing that a component does (trap, spin, eat memory, never
//! answer, answer nonsense) reaches further than its own store. A call into
//! it ends in an answer or in an [`EngineError`](rdd_core::EngineError): it has
//! as much time as the engine takes, as long as that shows signs of life, and
//! a named time when it waits for nothing.

mod activity;
mod backend;
mod bindings;
mod cache;
mod check;
mod clock;
mod control;
mod convert;
mod guest;
mod instance;
mod limits;
mod link;
mod liveness;
mod logs;
mod probe;
mod reflector;
mod runtime;
mod state;
mod throttle;
mod transport;
mod watch;

pub use backend::{Backend, LaunchError};
pub use cache::{CacheError, ComponentCache};
pub use check::is_backend_name;
pub use guest::Death;
pub use instance::{Instance, Usage};
pub use limits::BackendLimits;
pub use runtime::{
    ComponentCompiler, INTERFACE, LoadError, Program, Runtime, RuntimeError, compile,
};
pub use transport::{Connection, Transport};
