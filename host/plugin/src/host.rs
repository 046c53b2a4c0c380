//! The plugin host: all plugins of one daemon.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rdd_core::{BackendRegistry, BackendState, NoCredentialStore, RegistryCredentialStore};
use rdd_plugin_contract::BackendLimits;
use rdd_plugin_wasm::{ComponentCache, ComponentCompiler, ComponentRuntime, RuntimeError};
use tokio::sync::watch;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use crate::discovery::PluginDirs;
use crate::loader::{ComponentLoader, LibraryLoader};
use crate::plugin_table::PluginTable;
use crate::reloader::{EngineTransports, PluginReloader, PluginScan};
use crate::supervisor::SupervisorContext;
use crate::supervisor_tracker::SupervisorTracker;
use crate::{EngineEndpoint, PluginReport, PluginSample, RestartPolicy, TransportError};

/// The configuration of a [`PluginHost`].
#[derive(Clone)]
pub struct PluginHostOptions {
    /// Where plugins are looked for.
    pub dirs: PluginDirs,
    /// How often the directories are checked for changes. With `None`, they are
    /// read once.
    pub poll_interval: Option<Duration>,
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
    /// The user's credentials for registries, for backends that pull and push.
    pub credentials: Arc<dyn RegistryCredentialStore>,
    /// The default limits of a backend. Its manifest can lower them, and raise
    /// them as far as the user allowed it at the installation.
    pub limits: BackendLimits,
    /// When and how often a failed backend is started again.
    pub restarts: RestartPolicy,
}

impl PluginHostOptions {
    /// The default of `poll_interval`: short enough that a user who installed a
    /// plugin sees it at once. A check is a few queries of file metadata.
    pub const POLL_INTERVAL: Duration = Duration::from_secs(2);

    /// Returns options with the default limits and one engine for all backends.
    pub fn new(dirs: PluginDirs, cache_dir: PathBuf, endpoint: EngineEndpoint) -> Self {
        Self {
            dirs,
            poll_interval: Some(Self::POLL_INTERVAL),
            cache_dir: Some(cache_dir),
            compiler: None,
            endpoint,
            endpoints: BTreeMap::new(),
            credentials: Arc::new(NoCredentialStore),
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
/// use rdd_plugin::{EngineEndpoint, PluginDirs, PluginHost, PluginHostOptions};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let host = PluginHost::start(PluginHostOptions::new(
///     PluginDirs {
///         search: vec!["/usr/lib/rdd/plugins".into()],
///         user: None,
///     },
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
    table: Arc<PluginTable>,
    dirs: PluginDirs,
    shutdown: CancellationToken,
    supervisors: Arc<SupervisorTracker>,
}

impl PluginHost {
    /// Finds the plugins and starts to load them concurrently. Returns before
    /// they are loaded; see [`PluginHost::wait_until_loaded`]. From then on,
    /// plugins that are installed, upgraded, disabled, or removed are noticed.
    ///
    /// # Errors
    ///
    /// Fails if an endpoint cannot be used on this machine, or if this machine
    /// cannot run components.
    pub async fn start(options: PluginHostOptions) -> Result<Self, StartError> {
        let PluginHostOptions {
            dirs,
            poll_interval,
            cache_dir,
            compiler,
            endpoint,
            endpoints,
            credentials,
            limits,
            restarts,
        } = options;
        let transports = EngineTransports::new(endpoint, endpoints)?;
        let searched = dirs.clone();
        let library_dir = cache_dir.as_ref().map(|dir| dir.join("libraries"));
        let libraries = Arc::new(LibraryLoader::new(library_dir));
        let old_libraries = libraries.clone();
        let prepare = tokio::task::spawn_blocking(move || {
            let cache = cache_dir.and_then(|dir| {
                ComponentCache::open(&dir)
                    .inspect_err(|error| {
                        tracing::warn!(%error, "no component cache; compiling at each start");
                    })
                    .ok()
            });
            if let Err(error) = old_libraries.remove_old_copies() {
                tracing::warn!(%error, "cannot remove old copies of dynamic libraries");
            }
            let runtime = ComponentRuntime::with_compiler(cache, compiler);
            (PluginScan::of(&searched), runtime)
        });
        let (scan, runtime) = prepare.await.map_err(StartError::Discovery)?;
        let context = Arc::new(SupervisorContext {
            limits,
            restarts,
            credentials,
            components: Arc::new(ComponentLoader { runtime: runtime? }),
            libraries,
        });
        let table = Arc::new(PluginTable::default());
        let shutdown = CancellationToken::new();
        let supervisors = Arc::new(SupervisorTracker::default());
        let mut reloader = PluginReloader {
            dirs: dirs.clone(),
            table: table.clone(),
            context,
            transports,
            supervisors: supervisors.clone(),
            shutdown: shutdown.clone(),
            known: BTreeMap::new(),
            generations: BTreeMap::new(),
        };
        reloader.apply(scan.plugins).await;
        if let Some(interval) = poll_interval {
            supervisors.spawn("plugin-reloader", reloader.run(interval, scan.fingerprint));
        }
        Ok(Self {
            table,
            dirs,
            shutdown,
            supervisors,
        })
    }

    /// Waits until every plugin has been loaded or refused, or until a
    /// supervisor has panicked.
    pub async fn wait_until_loaded(&self) {
        self.wait_while(PluginTable::is_any_loading).await;
    }

    /// Waits until the plugin of this name has been loaded or refused, whatever
    /// the others do. Returns at once if there is none.
    pub async fn wait_until_backend_loaded(&self, name: &str) {
        self.wait_while(|table| table.is_loading(name)).await;
    }

    async fn wait_while(&self, is_waiting: impl Fn(&PluginTable) -> bool) {
        let mut changes = self.table.changes().subscribe();
        let loaded = async {
            while is_waiting(&self.table) {
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
        self.table.reports()
    }

    /// Returns what is measured about each plugin, sorted by name.
    pub fn samples(&self) -> Vec<PluginSample> {
        self.table.samples()
    }

    /// Waits for the supervisor of a backend to panic and returns a message that
    /// names the backend. Nothing restarts that backend, so the host must be
    /// shut down.
    pub async fn wait_for_panic(&self) -> String {
        self.supervisors.wait_for_panic().await
    }

    /// Stops all backends and waits until their tasks have ended. A compilation
    /// in progress is not waited for.
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
        if let Some(state) = self.table.backend_state(name) {
            return state;
        }
        let names = self.names();
        let installed = if names.is_empty() {
            "installed: none".to_owned()
        } else {
            format!("installed: {}", names.join(", "))
        };
        let dirs: Vec<String> = self
            .dirs
            .search
            .iter()
            .map(|dir| dir.display().to_string())
            .collect();
        BackendState::NotInstalled {
            reason: format!(
                "no backend named {name:?} is installed ({installed}; looked in {}); install it with 'rdd plugin install'",
                dirs.join(" and ")
            ),
        }
    }

    fn names(&self) -> Vec<String> {
        self.table.installed_names()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.table.changes().subscribe()
    }
}
