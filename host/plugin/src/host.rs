//! All plugins of one daemon.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use rdd_core::{BackendRegistry, BackendState};
use rdd_plugin_wasm::{
    BackendLimits, ComponentCache, ComponentCompiler, Runtime, RuntimeError, Transport,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::discovery::{self, Discovered};
use crate::slot::Slot;
use crate::supervisor::Supervisor;
use crate::supervisor_tasks::SupervisorTasks;
use crate::{EngineDialer, EngineEndpoint, PluginReport, RestartPolicy, TransportError};

/// What the host of the plugins needs.
#[derive(Clone, Debug)]
pub struct PluginHostOptions {
    /// Where plugins lie, as `<dir>/<name>/plugin.toml`; the first one of a
    /// name wins. A directory that is not there holds none.
    pub plugin_dirs: Vec<PathBuf>,
    /// Where compiled components are kept; a directory of its own. Without
    /// one they are compiled at each start.
    pub cache_dir: Option<PathBuf>,
    /// Who fills the cache, in a process of its own; without one the daemon
    /// does, and keeps the memory that this took.
    pub compiler: Option<Arc<dyn ComponentCompiler>>,
    /// Where the engine listens.
    pub endpoint: EngineEndpoint,
    /// Where the engines of single backends listen, by the backend's name.
    pub endpoints: BTreeMap<String, EngineEndpoint>,
    /// What a backend may use that asks for nothing else.
    pub limits: BackendLimits,
    /// When a failed backend is started again.
    pub restarts: RestartPolicy,
}

impl PluginHostOptions {
    /// The usual limits, and one engine for all backends.
    pub fn new(plugin_dirs: Vec<PathBuf>, cache_dir: PathBuf, endpoint: EngineEndpoint) -> Self {
        Self {
            plugin_dirs,
            cache_dir: Some(cache_dir),
            compiler: None,
            endpoint,
            endpoints: BTreeMap::new(),
            limits: BackendLimits::default(),
            restarts: RestartPolicy::default(),
        }
    }
}

/// The host cannot start. What is wrong with a single plugin is no such
/// error: it is the plugin's state.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An endpoint can never be reached.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// This machine cannot run components.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// Looking for plugins failed in a way that is a bug.
    #[error("looking for plugins failed: {0}; report this")]
    Discovery(String),
}

/// All plugins of one daemon, each with its supervisor.
pub struct PluginHost {
    slots: BTreeMap<String, Arc<Slot>>,
    unused: Vec<PluginReport>,
    plugin_dirs: Vec<PathBuf>,
    changes: watch::Sender<u64>,
    closing: CancellationToken,
    supervisors: SupervisorTasks,
}

impl PluginHost {
    /// Finds the plugins and begins to load them side by side; returns before
    /// they are loaded, see [`PluginHost::loaded`].
    pub async fn start(options: PluginHostOptions) -> Result<Self, StartError> {
        let PluginHostOptions {
            plugin_dirs,
            cache_dir,
            compiler,
            endpoint,
            mut endpoints,
            limits,
            restarts,
        } = options;
        let shared: Arc<dyn Transport> = Arc::new(EngineDialer::new(endpoint)?);
        let looked_in = plugin_dirs.clone();
        let prepared = tokio::task::spawn_blocking(move || {
            let cache = cache_dir.and_then(|dir| {
                ComponentCache::open(&dir)
                    .inspect_err(|error| {
                        tracing::warn!(%error, "components are compiled at each start");
                    })
                    .ok()
            });
            let runtime = Runtime::with_compiler(cache, compiler);
            (discovery::discover(&looked_in), runtime)
        });
        let (Discovered { first, rest }, runtime) = prepared
            .await
            .map_err(|error| StartError::Discovery(error.to_string()))?;
        let runtime = runtime?;
        let (changes, _) = watch::channel(0);
        let closing = CancellationToken::new();
        let supervisors = SupervisorTasks::default();
        let mut slots = BTreeMap::new();
        for (name, found) in first {
            let slot = Arc::new(Slot::new(&found, changes.clone()));
            match found.manifest {
                Ok(manifest) => {
                    let transport = match endpoints.remove(&name) {
                        Some(endpoint) => Arc::new(EngineDialer::new(endpoint)?),
                        None => shared.clone(),
                    };
                    let supervisor = Supervisor {
                        slot: slot.clone(),
                        path: found.path,
                        manifest,
                        limits: limits.clone(),
                        policy: restarts.clone(),
                        runtime: runtime.clone(),
                        transport,
                        closing: closing.clone(),
                    };
                    supervisors.spawn(&name, supervisor.run());
                }
                Err(reason) => {
                    tracing::error!(backend = %name, path = %found.path.display(), reason, "the plugin is refused");
                }
            }
            slots.insert(name, slot);
        }
        let unused = rest
            .iter()
            .map(|found| Slot::new(found, changes.clone()).report())
            .inspect(|report| {
                tracing::warn!(path = %report.path.display(), reason = report.reason, "a plugin is not used");
            })
            .collect();
        Ok(Self {
            slots,
            unused,
            plugin_dirs,
            changes,
            closing,
            supervisors,
        })
    }

    /// Waits until every plugin has been loaded or refused, or until the host
    /// has failed.
    pub async fn loaded(&self) {
        let mut changes = self.changes.subscribe();
        let loaded = async {
            while self.slots.values().any(|slot| slot.is_loading()) {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = loaded => {}
            _ = self.failed() => {}
        }
    }

    /// What has become of every plugin that was found, sorted by name.
    pub fn reports(&self) -> Vec<PluginReport> {
        let mut reports: Vec<_> = self
            .slots
            .values()
            .map(|slot| slot.report())
            .chain(self.unused.iter().cloned())
            .collect();
        reports.sort_by(|a, b| (&a.name, &a.path).cmp(&(&b.name, &b.path)));
        reports
    }

    /// Returns when the supervisor of a backend has panicked, and says which.
    /// Nobody starts that backend again: the host cannot be trusted any more.
    pub async fn failed(&self) -> String {
        self.supervisors.failed().await
    }

    /// Ends all backends and waits until nothing of them runs.
    pub async fn shutdown(&self) {
        self.closing.cancel();
        self.supervisors.ended().await;
    }
}

impl Drop for PluginHost {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

impl BackendRegistry for PluginHost {
    fn state(&self, name: &str) -> BackendState {
        match self.slots.get(name) {
            Some(slot) => slot.state(),
            None => {
                let names = self.names();
                let installed = if names.is_empty() {
                    "none is".to_owned()
                } else {
                    format!("installed: {}", names.join(", "))
                };
                let dirs: Vec<String> = self
                    .plugin_dirs
                    .iter()
                    .map(|dir| dir.display().to_string())
                    .collect();
                BackendState::NotInstalled {
                    reason: format!(
                        "no backend of the name {name:?} is installed ({installed}); put its directory into {} and restart the daemon",
                        dirs.join(" or ")
                    ),
                }
            }
        }
    }

    fn names(&self) -> Vec<String> {
        self.slots
            .values()
            .filter(|slot| slot.is_installed())
            .map(|slot| slot.name.clone())
            .collect()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
