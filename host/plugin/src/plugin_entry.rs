//! The entry of one plugin in the host's table.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rdd_core::{BackendState, Capabilities, LoadedBackend};
use tokio::sync::watch;

use crate::discovery::DiscoveredPlugin;
use crate::{PluginReport, PluginState};

/// The name, version, and current state of one plugin. Only the plugin's
/// supervisor writes it; readers take a snapshot.
pub(crate) struct PluginEntry {
    pub(crate) name: String,
    version: Option<String>,
    path: PathBuf,
    current: ArcSwap<EntrySnapshot>,
    changes: watch::Sender<u64>,
}

/// The state of a plugin at one moment.
#[derive(Clone)]
struct EntrySnapshot {
    state: PluginState,
    reason: String,
    loaded: Option<LoadedBackend>,
    capabilities: Option<Capabilities>,
    generation: u64,
}

impl PluginEntry {
    /// Creates an entry that is either refused or about to be loaded.
    pub(crate) fn new(plugin: &DiscoveredPlugin, changes: watch::Sender<u64>) -> Self {
        let (state, reason, version) = match &plugin.manifest {
            Ok(manifest) => (
                PluginState::Loading,
                "it is being loaded; compiling it for the first time takes a few seconds"
                    .to_owned(),
                Some(manifest.version.clone()),
            ),
            Err(error) => (PluginState::Refused, error.to_string(), None),
        };
        Self {
            name: plugin.name.clone(),
            version,
            path: plugin.path.clone(),
            current: ArcSwap::from_pointee(EntrySnapshot {
                state,
                reason,
                loaded: None,
                capabilities: None,
                generation: 0,
            }),
            changes,
        }
    }

    /// Marks the plugin as ready for calls.
    pub(crate) fn set_ready(&self, loaded: LoadedBackend) {
        self.store(EntrySnapshot {
            state: PluginState::Ready,
            reason: String::new(),
            capabilities: Some(loaded.engine.info().capabilities),
            generation: loaded.generation,
            loaded: Some(loaded),
        });
    }

    /// Marks the plugin as restarting, failed, or refused.
    pub(crate) fn set_unavailable(&self, state: PluginState, reason: String) {
        let before = self.current.load();
        self.store(EntrySnapshot {
            state,
            reason,
            loaded: None,
            capabilities: before.capabilities,
            generation: before.generation,
        });
    }

    fn store(&self, snapshot: EntrySnapshot) {
        self.current.store(Arc::new(snapshot));
        self.changes.send_modify(|changes| *changes += 1);
    }

    pub(crate) fn is_loading(&self) -> bool {
        self.current.load().state == PluginState::Loading
    }

    pub(crate) fn is_installed(&self) -> bool {
        !matches!(
            self.current.load().state,
            PluginState::Refused | PluginState::Failed
        )
    }

    pub(crate) fn backend_state(&self) -> BackendState {
        let current = self.current.load();
        let reason = || {
            format!(
                "the backend {} is not available: {}",
                self.name, current.reason
            )
        };
        match (current.state, &current.loaded) {
            (PluginState::Ready, Some(loaded)) => BackendState::Loaded(loaded.clone()),
            (PluginState::Refused | PluginState::Failed, _) => {
                BackendState::NotInstalled { reason: reason() }
            }
            (PluginState::Loading | PluginState::Restarting | PluginState::Ready, _) => {
                BackendState::Restarting { reason: reason() }
            }
        }
    }

    pub(crate) fn report(&self) -> PluginReport {
        let EntrySnapshot {
            state,
            reason,
            capabilities,
            generation,
            ..
        } = EntrySnapshot::clone(&self.current.load());
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
