//! The public report about each plugin, as `rdd plugin list` prints it.

use std::path::PathBuf;

use rdd_core::Capabilities;
use serde::{Deserialize, Serialize};

/// The state of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PluginState {
    /// The plugin is being read and compiled.
    Loading,
    /// The plugin accepts calls.
    Ready,
    /// The plugin failed and will be started again after a back-off delay.
    Restarting,
    /// The plugin failed too often in a row. It is not started again until the
    /// daemon restarts.
    Failed,
    /// The plugin is not usable as installed.
    Refused,
    /// The user disabled the plugin.
    Disabled,
}

impl std::fmt::Display for PluginState {
    /// Writes the same word as in JSON.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Loading => "loading",
            Self::Ready => "ready",
            Self::Restarting => "restarting",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Disabled => "disabled",
        })
    }
}

/// One line of `rdd plugin list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PluginReport {
    /// The name that selects the plugin; the directory's name if the plugin has
    /// no valid name.
    pub name: String,
    /// The version in the manifest; `None` if the manifest cannot be read.
    pub version: Option<String>,
    /// The plugin's directory.
    pub path: PathBuf,
    /// The current state.
    pub state: PluginState,
    /// One sentence with the cause and the remedy; empty while the plugin is
    /// ready.
    pub reason: String,
    /// The optional operations that the plugin supports; `None` until it has
    /// run once.
    pub capabilities: Option<Capabilities>,
    /// The number of starts so far.
    pub generation: u64,
}
