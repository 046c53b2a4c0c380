//! A loaded backend of any form, as its supervisor runs it.

use std::sync::Arc;

use async_trait::async_trait;
use rdd_core::ContainerEngine;

use crate::ExitReason;

/// A loaded backend, which starts one instance after another.
#[async_trait]
pub trait PluginBackend: Send + Sync + 'static {
    /// Starts a new instance and calls `describe`. Streams that were opened
    /// through an earlier instance may continue.
    ///
    /// # Errors
    ///
    /// Fails if the instance ends, or if the backend does not match its manifest
    /// or the contract.
    async fn launch(&self) -> Result<Arc<dyn BackendInstance>, LaunchError>;

    /// Ends all instances and waits until their tasks have ended.
    async fn shutdown(&self);
}

/// A running instance of a backend.
#[async_trait]
pub trait BackendInstance: ContainerEngine {
    /// Waits until the instance has ended and returns the reason.
    async fn wait_for_exit(&self) -> ExitReason;

    /// Returns the resources in use now.
    fn usage(&self) -> UsageSnapshot;
}

/// A backend cannot be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LaunchError {
    /// Its instance ended during the start. A retry may succeed.
    #[error("the backend {backend} {}", exit.message)]
    Exited {
        /// The name in the manifest.
        backend: String,
        /// Why the instance ended.
        exit: ExitReason,
    },
    /// The backend does not match its manifest or the contract. A retry cannot
    /// succeed.
    #[error("the backend {backend} {problem}")]
    Incompatible {
        /// The name in the manifest.
        backend: String,
        /// The end of a sentence that begins with the backend's name.
        problem: String,
    },
}

/// The resources that a backend holds at one moment, for finding leaks. Except
/// for the memory, all are zero while nothing uses the backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageSnapshot {
    /// Calls that have not ended in the backend, other than streams in stores of
    /// their own.
    pub calls: usize,
    /// Permits for reads in use. Reads that wait for a permit do not count.
    pub reads: usize,
    /// Permits for changes in use. Changes that wait for a permit do not count.
    pub changes: usize,
    /// Watches; at most one.
    pub watches: usize,
    /// Timers of the backend.
    pub sleeps: usize,
    /// Log streams of the backend, including those from before a restart.
    pub log_streams: usize,
    /// Processes that run through the backend.
    pub execs: usize,
    /// Pulls and pushes.
    pub transfers: usize,
    /// Connections to the engine.
    pub connections: usize,
    /// Memory of the backend in bytes, as far as its form can tell.
    pub memory_bytes: usize,
    /// Memory in bytes that the host holds for the backend: objects and events of
    /// its watch, and what is reserved for the buffers of its streams.
    pub held_bytes: usize,
}
