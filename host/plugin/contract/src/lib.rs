//! What all forms of engine backends share: the versions of the contract, the
//! connection to the engine, the limits, and the validation of what a backend
//! returns.
//!
//! A form (WebAssembly component, dynamic library) loads a backend and converts
//! its values to the types of [`rdd_core`]. Everything that the contract requires
//! beyond the shapes of these types is checked here, once for all forms.
//!
//! ```
//! use rdd_core::{EngineObject, IdFormat};
//! use rdd_plugin_contract::validation;
//!
//! let mut object = EngineObject::Namespace("../etc".to_owned());
//! let error = validation::object(IdFormat::LowerHex(64), &mut object).unwrap_err();
//! assert!(error.to_string().starts_with("violated the contract: the namespace"));
//! ```

// In layers: each module uses only those after it.

mod arguments;
mod metered_engine;
mod metered_transport;
mod services;
mod version;

pub mod liveness;
pub mod log_limiter;
pub mod validation;

mod backend;
mod metrics;
mod permits;
mod transport;

mod exit_reason;

mod limits;
mod memory;
mod progress;

pub use arguments::ArgumentValidator;
pub use backend::{BackendInstance, LaunchError, PluginBackend, UsageSnapshot};
pub use exit_reason::{ExitKind, ExitReason};
pub use limits::BackendLimits;
pub use memory::{HeldMemory, InstanceMemory, MemoryBudget, MemoryError};
pub use metered_engine::MeteredEngine;
pub use metered_transport::MeteredTransport;
pub use metrics::{
    BackendMetrics, CallMethod, CallResult, MethodMetrics, QueueCounter, QueueGuard,
};
pub use permits::{BackendPermits, StreamPermits};
pub use progress::{BusyError, BusyWatchdog, ProgressCounter};
pub use services::{BackendServices, GrantedDirectory, image_registry};
pub use transport::{EngineConnection, EngineTransport};
pub use validation::{ContractError, is_backend_name};
pub use version::{
    CONTRACT_VERSIONS, CURRENT_VERSION, INTERFACE, PACKAGE, VersionError, check_version,
};
