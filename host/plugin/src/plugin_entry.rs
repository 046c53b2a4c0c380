//! The entry of one plugin in the host's table.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use rdd_core::{BackendState, Capabilities, LoadedBackend};
use rdd_plugin_contract::{BackendInstance, BackendMetrics};
use tokio::sync::watch;

use crate::discovery::DiscoveredPlugin;
use crate::discovery_error::DiscoveryError;
use crate::plugin_sample::PluginSample;
use crate::{PluginReport, PluginState};

/// The name, version, and current state of one plugin. Only the plugin's
/// supervisor writes it; readers take a snapshot.
pub(crate) struct PluginEntry {
    pub(crate) name: String,
    version: Option<String>,
    path: PathBuf,
    current: ArcSwap<EntrySnapshot>,
    changes: watch::Sender<u64>,
    /// The generation of the latest start of a plugin of this name. It never
    /// decreases, also across upgrades, so that readers notice each start.
    generations: Arc<AtomicU64>,
    /// What is counted, across upgrades.
    metrics: Arc<BackendMetrics>,
}

/// The state of a plugin at one moment.
#[derive(Clone)]
struct EntrySnapshot {
    state: PluginState,
    reason: String,
    loaded: Option<LoadedBackend>,
    instance: Option<Arc<dyn BackendInstance>>,
    capabilities: Option<Capabilities>,
    generation: u64,
}

impl PluginEntry {
    /// Creates an entry that is either refused, disabled, or about to be loaded.
    /// `generations` and `metrics` are those of the plugin's name.
    pub(crate) fn new(
        plugin: &DiscoveredPlugin,
        generations: Arc<AtomicU64>,
        metrics: Arc<BackendMetrics>,
        changes: watch::Sender<u64>,
    ) -> Self {
        let (state, reason) = match &plugin.plugin {
            Ok(_) => (
                PluginState::Loading,
                "it is being loaded; compiling it for the first time may take a while".to_owned(),
            ),
            Err(error @ DiscoveryError::Disabled(_)) => (PluginState::Disabled, error.to_string()),
            Err(error) => (PluginState::Refused, error.to_string()),
        };
        Self {
            name: plugin.name.clone(),
            version: plugin.version.clone(),
            path: plugin.path.clone(),
            current: ArcSwap::from_pointee(EntrySnapshot {
                state,
                reason,
                loaded: None,
                instance: None,
                capabilities: None,
                generation: generations.load(Ordering::Relaxed),
            }),
            changes,
            generations,
            metrics,
        }
    }

    /// Returns what is counted about the plugin.
    pub(crate) fn metrics(&self) -> &Arc<BackendMetrics> {
        &self.metrics
    }

    /// Returns what is measured about the plugin now.
    pub(crate) fn sample(&self) -> PluginSample {
        let current = self.current.load();
        PluginSample {
            name: self.name.clone(),
            state: current.state,
            usage: current
                .instance
                .as_ref()
                .map(|instance| instance.usage())
                .unwrap_or_default(),
            metrics: self.metrics.clone(),
        }
    }

    /// Returns the generation of the start that follows.
    pub(crate) fn next_generation(&self) -> u64 {
        self.generations.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Marks the plugin as ready for calls. `instance` is the one behind `loaded`.
    pub(crate) fn set_ready(&self, loaded: LoadedBackend, instance: Arc<dyn BackendInstance>) {
        self.store(EntrySnapshot {
            state: PluginState::Ready,
            reason: String::new(),
            capabilities: Some(loaded.engine.info().capabilities),
            generation: loaded.generation,
            loaded: Some(loaded),
            instance: Some(instance),
        });
    }

    /// Marks the plugin as restarting, failed, or refused.
    pub(crate) fn set_unavailable(&self, state: PluginState, reason: String) {
        let before = self.current.load();
        self.store(EntrySnapshot {
            state,
            reason,
            loaded: None,
            instance: None,
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
            PluginState::Refused | PluginState::Failed | PluginState::Disabled
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
            (PluginState::Refused | PluginState::Failed | PluginState::Disabled, _) => {
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
