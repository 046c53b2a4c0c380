//! A fake registry of backends.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdd_core::{BackendRegistry, BackendState, ContainerEngine, LoadedBackend};
use tokio::sync::watch;

/// A [`BackendRegistry`] whose content a test sets. Clones share one state.
#[derive(Clone)]
pub struct FakeBackends {
    states: Arc<Mutex<BTreeMap<String, BackendState>>>,
    changes: watch::Sender<u64>,
}

impl Default for FakeBackends {
    /// Returns a registry without backends.
    fn default() -> Self {
        Self {
            states: Arc::default(),
            changes: watch::Sender::new(0),
        }
    }
}

impl FakeBackends {
    /// Returns a registry with one loaded backend.
    pub fn with(engine: impl ContainerEngine) -> Self {
        let backends = Self::default();
        backends.load(engine);
        backends
    }

    /// Loads a backend under the name in its info, with a new generation.
    pub fn load(&self, engine: impl ContainerEngine) {
        let engine: Arc<dyn ContainerEngine> = Arc::new(engine);
        let name = engine.info().name.clone();
        // The change counter only grows, so it can serve as the generation.
        let generation = *self.changes.borrow() + 1;
        self.set(
            &name,
            BackendState::Loaded(LoadedBackend { engine, generation }),
        );
    }

    /// Marks a backend as restarting after a failure.
    pub fn crash(&self, name: &str, reason: &str) {
        let reason = reason.to_owned();
        self.set(name, BackendState::Restarting { reason });
    }

    /// Removes a backend.
    pub fn uninstall(&self, name: &str, reason: &str) {
        let reason = reason.to_owned();
        self.set(name, BackendState::NotInstalled { reason });
    }

    fn set(&self, name: &str, state: BackendState) {
        self.lock().insert(name.to_owned(), state);
        self.changes.send_modify(|version| *version += 1);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, BackendState>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BackendRegistry for FakeBackends {
    fn state(&self, name: &str) -> BackendState {
        self.lock()
            .get(name)
            .cloned()
            .unwrap_or_else(|| BackendState::NotInstalled {
                reason: format!("no plugin is named {name:?}"),
            })
    }

    fn names(&self) -> Vec<String> {
        self.lock()
            .iter()
            .filter(|(_, state)| !matches!(state, BackendState::NotInstalled { .. }))
            .map(|(name, _)| name.clone())
            .collect()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
