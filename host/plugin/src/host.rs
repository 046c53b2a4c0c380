//! The plugin host: all plugins of one daemon.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use rdd_core::{BackendRegistry, BackendState};
use rdd_plugin_contract::{BackendLimits, EngineTransport};
use rdd_plugin_wasm::{ComponentCache, ComponentCompiler, ComponentRuntime, RuntimeError};
use tokio::sync::watch;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, info_span};

use crate::discovery::{self, PluginSet};
use crate::plugin_entry::PluginEntry;
use crate::supervisor::BackendSupervisor;
use crate::supervisor_tracker::SupervisorTracker;
use crate::{EngineDialer, EngineEndpoint, PluginReport, RestartPolicy, TransportError};

/// The configuration of a [`PluginHost`].
#[derive(Clone, Debug)]
pub struct PluginHostOptions {
    /// The directories that contain plugins as `<dir>/<name>/plugin.toml`. The
    /// first plugin of a name wins. A missing directory counts as empty.
    pub plugin_dirs: Vec<PathBuf>,
    /// The directory of the compiled components, used for nothing else. With
    /// `None`, components are compiled at each start.
    pub cache_dir: Option<PathBuf>,
    /// Fills the cache from a separate process. With `None`, the daemon
    /// compiles components itself and keeps the memory that this allocated.
    pub compiler: Option<Arc<dyn ComponentCompiler>>,
    /// The endpoint of the engine.
    pub endpoint: EngineEndpoint,
    /// Endpoints that replace `endpoint` for single backends, by the backend's
    /// name.
    pub endpoints: BTreeMap<String, EngineEndpoint>,
    /// The limits of a backend whose manifest does not request others.
    pub limits: BackendLimits,
    /// When and how often a failed backend is started again.
    pub restarts: RestartPolicy,
}

impl PluginHostOptions {
    /// Returns options with the default limits and one engine for all backends.
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

/// The host cannot start. A problem with a single plugin is not an error of the
/// host; it is reported as the plugin's state.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An endpoint cannot be used on this machine.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// This machine cannot run components.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The search for plugins panicked, which is a bug.
    #[error("the search for plugins failed; please report this")]
    Discovery(#[source] JoinError),
}

/// All plugins of one daemon, each run by its supervisor.
///
/// ```no_run
/// use rdd_core::{BackendRegistry as _, BackendState};
/// use rdd_plugin::{EngineEndpoint, PluginHost, PluginHostOptions};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let host = PluginHost::start(PluginHostOptions::new(
///     vec!["/usr/lib/rdd/plugins".into()],
///     "/var/cache/rdd/plugins".into(),
///     EngineEndpoint::parse("unix:///var/run/docker.sock")?,
/// ))
/// .await?;
/// host.wait_until_loaded().await;
/// match host.state("moby") {
///     BackendState::Loaded(backend) => println!("engine: {}", backend.engine.info().engine),
///     BackendState::Restarting { reason } | BackendState::NotInstalled { reason } => {
///         eprintln!("{reason}");
///     }
/// }
/// host.shutdown().await;
/// # Ok(())
/// # }
/// ```
pub struct PluginHost {
    entries: BTreeMap<String, Arc<PluginEntry>>,
    unused: Vec<PluginReport>,
    plugin_dirs: Vec<PathBuf>,
    changes: watch::Sender<u64>,
    shutdown: CancellationToken,
    supervisors: SupervisorTracker,
}

impl PluginHost {
    /// Finds the plugins and starts to load them concurrently. Returns before
    /// they are loaded; see [`PluginHost::wait_until_loaded`].
    ///
    /// # Errors
    ///
    /// Fails if an endpoint cannot be used on this machine, or if this machine
    /// cannot run components.
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
        let default_transport: Arc<dyn EngineTransport> = Arc::new(EngineDialer::new(endpoint)?);
        let dirs = plugin_dirs.clone();
        let prepare = tokio::task::spawn_blocking(move || {
            let cache = cache_dir.and_then(|dir| {
                ComponentCache::open(&dir)
                    .inspect_err(|error| {
                        tracing::warn!(%error, "no component cache; compiling at each start");
                    })
                    .ok()
            });
            let runtime = ComponentRuntime::with_compiler(cache, compiler);
            (discovery::discover(&dirs), runtime)
        });
        let (PluginSet { by_name, unused }, runtime) =
            prepare.await.map_err(StartError::Discovery)?;
        let runtime = runtime?;
        let (changes, _) = watch::channel(0);
        let shutdown = CancellationToken::new();
        let supervisors = SupervisorTracker::default();
        let mut entries = BTreeMap::new();
        for (name, plugin) in by_name {
            let entry = Arc::new(PluginEntry::new(&plugin, changes.clone()));
            match plugin.manifest {
                Ok(manifest) => {
                    let transport = match endpoints.remove(&name) {
                        Some(endpoint) => Arc::new(EngineDialer::new(endpoint)?),
                        None => default_transport.clone(),
                    };
                    let supervisor = BackendSupervisor {
                        entry: entry.clone(),
                        path: plugin.path,
                        manifest,
                        limits: limits.clone(),
                        restarts: restarts.clone(),
                        runtime: runtime.clone(),
                        transport,
                        shutdown: shutdown.clone(),
                    };
                    let span = info_span!("backend", name);
                    supervisors.spawn(&name, supervisor.run().instrument(span));
                }
                Err(error) => {
                    tracing::error!(
                        %error,
                        backend = name,
                        path = %plugin.path.display(),
                        "plugin refused"
                    );
                }
            }
            entries.insert(name, entry);
        }
        let unused = unused
            .iter()
            .map(|plugin| PluginEntry::new(plugin, changes.clone()).report())
            .inspect(|report| {
                tracing::warn!(
                    error = report.reason,
                    path = %report.path.display(),
                    "plugin ignored"
                );
            })
            .collect();
        Ok(Self {
            entries,
            unused,
            plugin_dirs,
            changes,
            shutdown,
            supervisors,
        })
    }

    /// Waits until every plugin has been loaded or refused, or until a
    /// supervisor has panicked.
    pub async fn wait_until_loaded(&self) {
        let mut changes = self.changes.subscribe();
        let loaded = async {
            while self.entries.values().any(|entry| entry.is_loading()) {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = loaded => {}
            _ = self.wait_for_panic() => {}
        }
    }

    /// Returns the reports of all plugins that were found, sorted by name.
    pub fn reports(&self) -> Vec<PluginReport> {
        let mut reports: Vec<_> = self
            .entries
            .values()
            .map(|entry| entry.report())
            .chain(self.unused.iter().cloned())
            .collect();
        reports.sort_by(|a, b| (&a.name, &a.path).cmp(&(&b.name, &b.path)));
        reports
    }

    /// Waits for the supervisor of a backend to panic and returns a message that
    /// names the backend. Nothing restarts that backend, so the host must be
    /// shut down.
    pub async fn wait_for_panic(&self) -> String {
        self.supervisors.wait_for_panic().await
    }

    /// Stops all backends and waits until their tasks have ended.
    pub async fn shutdown(&self) {
        self.shutdown.cancel();
        self.supervisors.wait().await;
    }
}

impl Drop for PluginHost {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl BackendRegistry for PluginHost {
    fn state(&self, name: &str) -> BackendState {
        match self.entries.get(name) {
            Some(entry) => entry.backend_state(),
            None => {
                let names = self.names();
                let installed = if names.is_empty() {
                    "installed: none".to_owned()
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
                        "no backend named {name:?} is installed ({installed}); put its directory into {} and restart the daemon",
                        dirs.join(" or ")
                    ),
                }
            }
        }
    }

    fn names(&self) -> Vec<String> {
        self.entries
            .values()
            .filter(|entry| entry.is_installed())
            .map(|entry| entry.name.clone())
            .collect()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
