//! What is measured about each plugin, for `/metrics`.

use std::sync::Arc;

use rdd_plugin_contract::{BackendMetrics, UsageSnapshot};

use crate::PluginState;

/// What is measured about one plugin.
#[derive(Clone, Debug)]
pub struct PluginSample {
    /// The name that selects the plugin.
    pub name: String,
    /// The current state.
    pub state: PluginState,
    /// What the plugin uses now; nothing if it is not ready.
    pub usage: UsageSnapshot,
    /// What was counted since the plugin was installed or the daemon was started.
    /// It survives restarts and upgrades.
    pub metrics: Arc<BackendMetrics>,
}
