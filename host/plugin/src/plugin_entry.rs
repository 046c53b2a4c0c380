//! The state of one plugin, as everybody reads it.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rdd_core::{BackendState, Capabilities, LoadedBackend};
use tokio::sync::watch;

use crate::discovery::Found;
use crate::{PluginReport, PluginState};

/// The state of one plugin. Its supervisor alone writes it.
pub(crate) struct Slot {
    pub(crate) name: String,
    version: Option<String>,
    path: PathBuf,
    current: ArcSwap<Current>,
    changes: watch::Sender<u64>,
}

/// A snapshot.
#[derive(Clone)]
struct Current {
    state: PluginState,
    reason: String,
    loaded: Option<LoadedBackend>,
    capabilities: Option<Capabilities>,
    generation: u64,
}

impl Slot {
    /// A slot for what was found: refused, or about to be loaded.
    pub(crate) fn new(found: &Found, changes: watch::Sender<u64>) -> Self {
        let (state, reason, version) = match &found.manifest {
            Ok(manifest) => (
                PluginState::Loading,
                "it is being loaded; the first time it is compiled, which takes seconds".to_owned(),
                Some(manifest.version.clone()),
            ),
            Err(reason) => (PluginState::Refused, reason.clone(), None),
        };
        Self {
            name: found.name.clone(),
            version,
            path: found.path.clone(),
            current: ArcSwap::from_pointee(Current {
                state,
                reason,
                loaded: None,
                capabilities: None,
                generation: 0,
            }),
            changes,
        }
    }

    /// It can be called from now on.
    pub(crate) fn ready(&self, loaded: LoadedBackend) {
        self.set(Current {
            state: PluginState::Ready,
            reason: String::new(),
            capabilities: Some(loaded.engine.info().capabilities),
            generation: loaded.generation,
            loaded: Some(loaded),
        });
    }

    /// It cannot be called: restarting, parked or refused.
    pub(crate) fn down(&self, state: PluginState, reason: String) {
        let before = self.current.load();
        self.set(Current {
            state,
            reason,
            loaded: None,
            capabilities: before.capabilities,
            generation: before.generation,
        });
    }

    fn set(&self, current: Current) {
        self.current.store(Arc::new(current));
        self.changes.send_modify(|changes| *changes += 1);
    }

    pub(crate) fn is_loading(&self) -> bool {
        self.current.load().state == PluginState::Loading
    }

    pub(crate) fn is_installed(&self) -> bool {
        !matches!(
            self.current.load().state,
            PluginState::Refused | PluginState::Parked
        )
    }

    pub(crate) fn state(&self) -> BackendState {
        let current = self.current.load();
        let sentence = || {
            format!(
                "the backend {} is not usable: {}",
                self.name, current.reason
            )
        };
        match (current.state, &current.loaded) {
            (PluginState::Ready, Some(loaded)) => BackendState::Loaded(loaded.clone()),
            (PluginState::Refused | PluginState::Parked, _) => {
                BackendState::NotInstalled { reason: sentence() }
            }
            (PluginState::Loading | PluginState::Restarting | PluginState::Ready, _) => {
                BackendState::Restarting { reason: sentence() }
            }
        }
    }

    pub(crate) fn report(&self) -> PluginReport {
        let Current {
            state,
            reason,
            capabilities,
            generation,
            ..
        } = Current::clone(&self.current.load());
        PluginReport {
            name: self.name.clone(),
            version: self.version.clone(),
            path: self.path.clone(),
            state,
            reason,
            capabilities,
            generation,
        }
    }
}
