//! A small container engine in memory, served on a Unix socket: for authors of
//! backends, and for tests without Docker.
//!
//! Its containers follow scripts instead of running processes. Its protocol is
//! the simplest one that covers the contract; `docs/toy-engine.md` describes it.
//! [`ToyEngine`] is the handle with which a test in the same process acts as the
//! engine's own user, disturbs it, and counts its connections.
//!
//! ```
//! use rdd_core::{ContainerAction, ContainerSpec, OutputSource};
//! use rdd_toy_engine::ToyEngine;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("toy.sock");
//! let engine = ToyEngine::new();
//! let server = engine.listen(&path)?;
//! let spec = ContainerSpec {
//!     args: vec!["sleep".to_owned()],
//!     ..ContainerSpec::new("main", "toy:latest")
//! };
//! let container = engine.create_container(&spec)?;
//! engine.act(&container, ContainerAction::Start)?;
//! engine.write(&container, OutputSource::Stdout, "hello\n")?;
//! // … connect to the socket …
//! server.shutdown().await;
//! # Ok(())
//! # }
//! ```

// In layers: each module uses only those after it.

mod demo;

mod control;

mod server;

mod connection;

mod log_response;
mod request;
mod watch_response;

mod exec_process;
mod program;
mod transfer;

mod connection_input;
mod creation;
mod object_lines;

mod state;

mod clock;
mod container_log;

pub mod protocol;

pub use control::ToyEngine;
pub use server::{ListenError, ToyServer};

/// The default namespace.
pub const DEFAULT_NAMESPACE: &str = "main";

/// The second namespace that always exists.
pub const OTHER_NAMESPACE: &str = "other";

/// The image that both namespaces have.
pub const TOY_IMAGE: &str = "toy:latest";
