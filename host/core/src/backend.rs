//! The installed backends and their states.

use std::sync::Arc;

use tokio::sync::watch;

use crate::ContainerEngine;

/// A backend that is ready to be called.
#[derive(Clone)]
pub struct LoadedBackend {
    /// The engine to call.
    pub engine: Arc<dyn ContainerEngine>,
    /// A number that changes with each restart of the backend. A stream that
    /// was opened under another generation has ended.
    pub generation: u64,
}

impl std::fmt::Debug for LoadedBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedBackend")
            .field("backend", &self.engine.info().name)
            .field("generation", &self.generation)
            .finish()
    }
}

/// The state of one backend.
#[derive(Clone, Debug)]
pub enum BackendState {
    /// There is no usable plugin of that name: it is missing, disabled,
    /// rejected, or given up after repeated failures.
    NotInstalled {
        /// One sentence with the cause and the remedy.
        reason: String,
    },
    /// The backend failed and is about to be restarted.
    Restarting {
        /// One sentence with the cause of the failure.
        reason: String,
    },
    /// The backend is ready to be called.
    Loaded(LoadedBackend),
}

/// The backends of the host, read as a snapshot.
pub trait BackendRegistry: Send + Sync + 'static {
    /// Returns the current state of the backend of this name. Never waits.
    fn state(&self, name: &str) -> BackendState;

    /// Returns the names of all installed backends, sorted.
    fn names(&self) -> Vec<String>;

    /// Returns a channel whose value changes with the state of any backend.
    fn changes(&self) -> watch::Receiver<u64>;
}
