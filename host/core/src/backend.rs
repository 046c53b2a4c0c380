//! Which backends there are, and in what state.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::{ContainerEngine, text};

/// The form of a container's full ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum IdFormat {
    /// Exactly so many lower-case hexadecimal digits.
    LowerHex(u32),
    /// A letter or digit, then letters, digits, `_`, `.` or `-`; at most so many bytes.
    Identifier(u32),
}

impl IdFormat {
    /// Whether `id` has this form.
    pub fn matches(self, id: &str) -> bool {
        match self {
            Self::LowerHex(digits) => text::is_lower_hex(id, digits as usize),
            Self::Identifier(max_bytes) => text::is_identifier(id, max_bytes as usize),
        }
    }
}

impl std::fmt::Display for IdFormat {
    /// For an error message: what an ID looks like.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::LowerHex(len) => write!(f, "{len} lower-case hexadecimal digits"),
            Self::Identifier(max) => {
                write!(
                    f,
                    "a letter or digit, then letters, digits, '_', '.' or '-', at most {max} in all"
                )
            }
        }
    }
}

/// What a backend can do beyond watching and inspecting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// [`ContainerEngine::get_logs`] works.
    pub logs: bool,
    /// [`ContainerEngine::act`] works.
    pub actions: bool,
    /// [`ContainerEngine::remove`] works.
    pub removals: bool,
}

/// What a backend says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackendInfo {
    /// The name that selects it.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// The engine's name for people.
    pub engine: String,
    /// The form of its container IDs.
    pub id_form: IdFormat,
    /// The namespaces that always exist.
    pub namespaces: Vec<String>,
    /// What it can do.
    pub capabilities: Capabilities,
}

/// A backend that can be called.
#[derive(Clone)]
pub struct LoadedBackend {
    /// Call it.
    pub engine: Arc<dyn ContainerEngine>,
    /// Moves with every restart of the backend, so that whoever holds an
    /// older number knows that its streams are gone.
    pub generation: u64,
}

impl std::fmt::Debug for LoadedBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded")
            .field("backend", &self.engine.info().name)
            .field("generation", &self.generation)
            .finish()
    }
}

/// The state of one backend.
#[derive(Clone, Debug)]
pub enum BackendState {
    /// No usable plugin of that name: absent, disabled, refused, or given up after repeated failures.
    NotInstalled {
        /// One sentence: why, and the remedy.
        reason: String,
    },
    /// It crashed and is about to be started again.
    Restarting {
        /// One sentence: what it died of.
        reason: String,
    },
    /// Ready to be called.
    Loaded(LoadedBackend),
}

/// All backends that the host knows, read as a snapshot.
pub trait BackendRegistry: Send + Sync + 'static {
    /// The state of the backend of this name now. Never waits.
    fn state(&self, name: &str) -> BackendState;

    /// Every name that is installed, sorted.
    fn names(&self) -> Vec<String>;

    /// A channel whose value moves whenever any backend's state does.
    fn changes(&self) -> watch::Receiver<u64>;
}
