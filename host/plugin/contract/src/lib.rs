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

mod version;

mod backend;
mod exit_reason;
mod services;
mod transport;

mod limits;
mod permits;

pub mod liveness;
pub mod log_limiter;

mod arguments;
pub mod validation;

pub use arguments::ArgumentValidator;
pub use backend::{BackendInstance, LaunchError, PluginBackend, UsageSnapshot};
pub use exit_reason::ExitReason;
pub use limits::BackendLimits;
pub use permits::{BackendPermits, StreamPermits};
pub use services::{BackendServices, GrantedDirectory, image_registry};
pub use transport::{EngineConnection, EngineTransport};
pub use validation::{ContractError, is_backend_name};
pub use version::{
    CONTRACT_VERSIONS, CURRENT_VERSION, INTERFACE, PACKAGE, VersionError, check_version,
};
