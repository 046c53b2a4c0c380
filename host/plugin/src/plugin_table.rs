//! The plugins of the host, as a snapshot that readers take without waiting.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rdd_core::BackendState;
use tokio::sync::watch;

use crate::PluginReport;
use crate::plugin_entry::PluginEntry;
use crate::plugin_sample::PluginSample;

/// The entries of all plugins. Only the reloader writes it.
#[derive(Default)]
pub(crate) struct PluginTable {
    current: ArcSwap<TableSnapshot>,
    changes: watch::Sender<u64>,
}

/// The plugins at one moment.
#[derive(Default)]
struct TableSnapshot {
    entries: BTreeMap<String, Arc<PluginEntry>>,
    /// Plugins that are never used.
    unused: Vec<PluginReport>,
}

impl PluginTable {
    /// Returns the channel that each change of a plugin is sent to.
    pub(crate) fn changes(&self) -> &watch::Sender<u64> {
        &self.changes
    }

    /// Replaces all entries.
    pub(crate) fn replace(
        &self,
        entries: BTreeMap<String, Arc<PluginEntry>>,
        unused: Vec<PluginReport>,
    ) {
        self.current
            .store(Arc::new(TableSnapshot { entries, unused }));
        self.changes.send_modify(|changes| *changes += 1);
    }

    pub(crate) fn is_any_loading(&self) -> bool {
        let current = self.current.load();
        current.entries.values().any(|entry| entry.is_loading())
    }

    pub(crate) fn is_loading(&self, name: &str) -> bool {
        let current = self.current.load();
        current
            .entries
            .get(name)
            .is_some_and(|entry| entry.is_loading())
    }

    pub(crate) fn backend_state(&self, name: &str) -> Option<BackendState> {
        let current = self.current.load();
        Some(current.entries.get(name)?.backend_state())
    }

    pub(crate) fn installed_names(&self) -> Vec<String> {
        let current = self.current.load();
        current
            .entries
            .values()
            .filter(|entry| entry.is_installed())
            .map(|entry| entry.name.clone())
            .collect()
    }

    /// Returns what is measured about each plugin that may be used, sorted by name.
    pub(crate) fn samples(&self) -> Vec<PluginSample> {
        let current = self.current.load();
        current
            .entries
            .values()
            .map(|entry| entry.sample())
            .collect()
    }

    /// Returns the reports of all plugins, sorted by name.
    pub(crate) fn reports(&self) -> Vec<PluginReport> {
        let current = self.current.load();
        let mut reports: Vec<_> = current
            .entries
            .values()
            .map(|entry| entry.report())
            .chain(current.unused.iter().cloned())
            .collect();
        reports.sort_by(|a, b| (&a.name, &a.path).cmp(&(&b.name, &b.path)));
        reports
    }
}
