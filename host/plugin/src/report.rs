//! What people are told about plugins.

use std::path::PathBuf;

use rdd_core::Capabilities;
use serde::{Deserialize, Serialize};

/// What has become of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PluginState {
    /// It is being read and compiled.
    Loading,
    /// It can be called.
    Ready,
    /// It failed and is about to be started again.
    Restarting,
    /// It failed again and again and is left alone until the daemon restarts.
    Parked,
    /// It cannot be used as it is.
    Refused,
}

impl std::fmt::Display for PluginState {
    /// The word that people read, the same as in JSON.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Loading => "loading",
            Self::Ready => "ready",
            Self::Restarting => "restarting",
            Self::Parked => "parked",
            Self::Refused => "refused",
        })
    }
}

/// A line of `rdd plugin list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PluginReport {
    /// The name that selects it; the name of its directory when it has none.
    pub name: String,
    /// From its manifest; `None` when that cannot be read.
    pub version: Option<String>,
    /// Its directory.
    pub path: PathBuf,
    /// What has become of it.
    pub state: PluginState,
    /// One sentence, the cause and the remedy; empty while it is ready.
    pub reason: String,
    /// What it can do; `None` until it first ran.
    pub capabilities: Option<Capabilities>,
    /// Moves with each start.
    pub generation: u64,
}
