//! Loads one plugin and restarts it after each failure.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use rdd_core::{BackendInfo, Capabilities, ContainerEngine, DerivedLogs, LoadedBackend};
use rdd_plugin_contract::{
    BackendInstance, BackendLimits, BackendServices, EngineTransport, ExitReason, LaunchError,
    PluginBackend,
};
use rdd_plugin_wasm::{ComponentBackend, ComponentRuntime, LinkedComponent, LoadError};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use crate::discovery::{self, ComponentFileError};
use crate::manifest::PluginManifest;
use crate::plugin_entry::PluginEntry;
use crate::{PluginState, RestartPolicy};

/// The supervisor of one plugin.
pub(crate) struct BackendSupervisor {
    pub(crate) entry: Arc<PluginEntry>,
    pub(crate) path: PathBuf,
    pub(crate) manifest: PluginManifest,
    pub(crate) limits: BackendLimits,
    pub(crate) restarts: RestartPolicy,
    pub(crate) runtime: Arc<ComponentRuntime>,
    pub(crate) transport: Arc<dyn EngineTransport>,
    pub(crate) shutdown: CancellationToken,
}

/// A plugin that cannot be loaded. The message is one sentence with the cause
/// and the remedy.
#[derive(Debug, thiserror::Error)]
enum LoadPluginError {
    #[error(transparent)]
    File(#[from] ComponentFileError),
    #[error(transparent)]
    Component(#[from] LoadError),
    #[error("cannot load the component: {0}; please report this")]
    Task(JoinError),
}

/// Returns an engine that has both forms of logs if the backend has one.
fn with_both_logs(instance: Arc<dyn BackendInstance>) -> Arc<dyn ContainerEngine> {
    let Capabilities { logs, entries, .. } = instance.info().capabilities;
    if logs == entries {
        instance
    } else {
        Arc::new(DerivedLogs::new(instance))
    }
}

impl BackendSupervisor {
    /// Runs the plugin. Returns when the plugin is refused or has failed too
    /// often, or when the daemon shuts down.
    pub(crate) async fn run(self) {
        let started_at = Instant::now();
        let loaded = tokio::select! {
            loaded = self.load() => loaded,
            // A running compiler cannot be canceled; its thread ends with the process.
            () = self.shutdown.cancelled() => return,
        };
        let component = match loaded {
            Ok(component) => component,
            Err(error) => return self.refuse(error.to_string()),
        };
        tracing::info!(elapsed = ?started_at.elapsed(), "backend loaded");
        let backend = ComponentBackend::new(
            &self.entry.name,
            component,
            self.manifest.limits.apply(&self.limits),
            BackendServices::new(self.transport.clone()),
        );
        self.run_backend(&backend).await;
        backend.shutdown().await;
    }

    /// Reads, checks, and compiles the component, on a blocking thread.
    async fn load(&self) -> Result<LinkedComponent, LoadPluginError> {
        let Self {
            path,
            manifest,
            runtime,
            ..
        } = self;
        let (path, manifest, runtime) = (path.clone(), manifest.clone(), runtime.clone());
        let span = tracing::Span::current();
        let load = tokio::task::spawn_blocking(move || {
            let _entered = span.enter();
            let bytes = discovery::read_component(&path, &manifest)?;
            Ok(runtime.load(&bytes, &manifest.sha256)?)
        });
        load.await.map_err(LoadPluginError::Task)?
    }

    async fn run_backend(&self, backend: &dyn PluginBackend) {
        let mut failures = 0;
        let mut generation = 0;
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
                    generation += 1;
                    self.entry.set_ready(LoadedBackend {
                        engine: with_both_logs(instance.clone()),
                        generation,
                    });
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
            if started_at.elapsed() >= self.restarts.reset_after {
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
        } = exit;
        if *is_guest_fault {
            *failures += 1;
        }
        if *failures >= self.restarts.max_failures {
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
        let delay = self.restarts.delay((*failures).max(1));
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
            () = tokio::time::sleep(delay) => true,
            () = self.shutdown.cancelled() => false,
        }
    }

    fn refuse(&self, reason: String) {
        tracing::error!(error = reason, "plugin refused");
        self.entry.set_unavailable(PluginState::Refused, reason);
    }
}
