//! Loads one plugin and restarts it after each failure.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use rdd_core::{
    BackendInfo, Capabilities, ContainerEngine, DerivedLogs, LoadedBackend, RegistryCredentialStore,
};
use rdd_plugin_contract::{
    BackendLimits, BackendServices, EngineTransport, ExitReason, GrantedDirectory, LaunchError,
    MeteredEngine, MeteredTransport, PluginBackend,
};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use crate::discovery::{self, UsablePlugin};
use crate::discovery_error::ArtifactFileError;
use crate::loader::{LoadFailure, LoadRequest, PluginLoader};
use crate::manifest::PluginArtifact;
use crate::plugin_entry::PluginEntry;
use crate::{PluginState, RestartPolicy};

/// What all supervisors of a host share.
pub(crate) struct SupervisorContext {
    /// The default limits.
    pub(crate) limits: BackendLimits,
    pub(crate) restarts: RestartPolicy,
    pub(crate) credentials: Arc<dyn RegistryCredentialStore>,
    pub(crate) components: Arc<dyn PluginLoader>,
    pub(crate) libraries: Arc<dyn PluginLoader>,
}

/// The supervisor of one plugin.
pub(crate) struct BackendSupervisor {
    pub(crate) context: Arc<SupervisorContext>,
    pub(crate) entry: Arc<PluginEntry>,
    pub(crate) path: PathBuf,
    pub(crate) plugin: UsablePlugin,
    pub(crate) transport: Arc<dyn EngineTransport>,
    pub(crate) shutdown: CancellationToken,
}

/// A plugin that cannot be loaded. The message is one sentence with the cause
/// and the remedy.
#[derive(Debug, thiserror::Error)]
enum LoadPluginError {
    #[error(transparent)]
    File(#[from] ArtifactFileError),
    #[error(transparent)]
    Form(#[from] LoadFailure),
    #[error("cannot load the plugin: {0}; please report this")]
    Task(JoinError),
}

/// Returns an engine that has both forms of logs if the backend has one.
fn with_both_logs(engine: MeteredEngine) -> Arc<dyn ContainerEngine> {
    let Capabilities { logs, entries, .. } = engine.info().capabilities;
    if logs == entries {
        Arc::new(engine)
    } else {
        Arc::new(DerivedLogs::new(Arc::new(engine)))
    }
}

impl BackendSupervisor {
    /// Runs the plugin. Returns when the plugin is refused or has failed too
    /// often, or when it must end. Its streams have then ended.
    pub(crate) async fn run(self) {
        let started_at = Instant::now();
        let loaded = tokio::select! {
            loaded = self.load() => loaded,
            // A running compiler cannot be canceled. Nothing waits for its
            // thread, and what it returns is dropped.
            () = self.shutdown.cancelled() => return,
        };
        let metrics = self.entry.metrics();
        metrics.set_load_duration(started_at.elapsed());
        let backend = match loaded {
            Ok(backend) => backend,
            Err(error) => {
                metrics.load_failures.inc();
                return self.refuse(error.to_string());
            }
        };
        metrics.loads.inc();
        tracing::info!(elapsed = ?started_at.elapsed(), "backend loaded");
        self.run_backend(&*backend).await;
        backend.shutdown().await;
    }

    /// Reads, checks, and loads the plugin, on a blocking thread.
    async fn load(&self) -> Result<Box<dyn PluginBackend>, LoadPluginError> {
        let Self {
            context,
            path,
            plugin,
            transport,
            ..
        } = self;
        let loader = match &plugin.manifest.artifact {
            PluginArtifact::Component(_) => context.components.clone(),
            PluginArtifact::Library(_) => context.libraries.clone(),
        };
        let limits = plugin
            .manifest
            .limits
            .effective(plugin.grant.limits, &context.limits);
        let services = BackendServices {
            transport: Arc::new(MeteredTransport::new(
                transport.clone(),
                self.entry.metrics().clone(),
            )),
            metrics: self.entry.metrics().clone(),
            credentials: context.credentials.clone(),
            directories: plugin
                .grant
                .directories
                .iter()
                .map(|grant| GrantedDirectory {
                    name: grant.name.clone(),
                    path: grant.path.clone(),
                })
                .collect(),
        };
        let (path, plugin) = (path.clone(), plugin.clone());
        let span = tracing::Span::current();
        let load = tokio::task::spawn_blocking(move || {
            let _entered = span.enter();
            let UsablePlugin { manifest, file, .. } = plugin;
            let bytes = discovery::read_artifact(&path, &manifest, &file)?;
            Ok(loader.load(LoadRequest {
                name: manifest.name,
                path: path.join(&file.name),
                bytes,
                digest: file.sha256,
                limits,
                services,
            })?)
        });
        load.await.map_err(LoadPluginError::Task)?
    }

    async fn run_backend(&self, backend: &dyn PluginBackend) {
        let mut failures = 0;
        let mut first_info: Option<BackendInfo> = None;
        loop {
            let started_at = Instant::now();
            let launched = tokio::select! {
                launched = backend.launch() => launched,
                () = self.shutdown.cancelled() => return,
            };
            let exit = match launched {
                Ok(instance) => {
                    let info = instance.info().clone();
                    if first_info.get_or_insert_with(|| info.clone()) != &info {
                        return self.refuse(
                            "its describe returned another result after a restart; report this to the backend's author"
                                .to_owned(),
                        );
                    }
                    let generation = self.entry.next_generation();
                    let metrics = self.entry.metrics().clone();
                    let loaded = LoadedBackend {
                        engine: with_both_logs(MeteredEngine::new(instance.clone(), metrics)),
                        generation,
                    };
                    self.entry.set_ready(loaded, instance.clone());
                    tokio::select! {
                        exit = instance.wait_for_exit() => exit,
                        () = self.shutdown.cancelled() => return,
                    }
                }
                Err(LaunchError::Incompatible { problem, .. }) => {
                    return self.refuse(format!("it {problem}"));
                }
                Err(LaunchError::Exited { exit, .. }) => exit,
            };
            if started_at.elapsed() >= self.context.restarts.reset_after {
                failures = 0;
            }
            if !self.back_off(&exit, &mut failures).await {
                return;
            }
        }
    }

    /// Waits before the next start. Returns `false` if there must not be one.
    async fn back_off(&self, exit: &ExitReason, failures: &mut u32) -> bool {
        let ExitReason {
            message,
            is_guest_fault,
            kind,
        } = exit;
        self.entry.metrics().record_exit(*kind);
        let restarts = &self.context.restarts;
        if *is_guest_fault {
            *failures += 1;
        }
        if *failures >= restarts.max_failures {
            tracing::error!(
                error = message,
                failures,
                "backend keeps failing; giving up"
            );
            self.entry.set_unavailable(
                PluginState::Failed,
                format!(
                    "it failed {failures} times in a row (last error: it {message}); restart the daemon or install another version"
                ),
            );
            return false;
        }
        let delay = restarts.delay((*failures).max(1));
        tracing::warn!(
            error = message,
            failures,
            ?delay,
            "backend failed; restarting it"
        );
        self.entry.set_unavailable(
            PluginState::Restarting,
            format!("it {message}; it restarts in {:.1} s", delay.as_secs_f64()),
        );
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = self.shutdown.cancelled() => return false,
        }
        self.entry.metrics().record_restart(*kind);
        true
    }

    fn refuse(&self, reason: String) {
        tracing::error!(error = reason, "plugin refused");
        self.entry.set_unavailable(PluginState::Refused, reason);
    }
}
