//! Loads one plugin and starts it again whenever it fails.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use rdd_core::{BackendInfo, ContainerEngine, LoadedBackend};
use rdd_plugin_wasm::{Backend, BackendLimits, Death, LaunchError, Program, Runtime, Transport};
use tokio_util::sync::CancellationToken;

use crate::manifest::Manifest;
use crate::slot::Slot;
use crate::{PluginState, RestartPolicy, discovery};

/// All that the supervisor of one plugin needs.
pub(crate) struct Supervisor {
    pub(crate) slot: Arc<Slot>,
    pub(crate) path: PathBuf,
    pub(crate) manifest: Manifest,
    pub(crate) limits: BackendLimits,
    pub(crate) policy: RestartPolicy,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) closing: CancellationToken,
}

impl Supervisor {
    /// Returns when the plugin is refused or parked, or the daemon closes.
    pub(crate) async fn run(self) {
        let name = self.slot.name.clone();
        let began = Instant::now();
        let loaded = tokio::select! {
            loaded = self.load() => loaded,
            // A compiler at work cannot be cut short; its thread goes with the process.
            () = self.closing.cancelled() => return,
        };
        let program = match loaded {
            Ok(program) => program,
            Err(reason) => return self.refuse(reason),
        };
        tracing::info!(backend = %name, took = ?began.elapsed(), "loaded the backend");
        let backend = Backend::new(
            &name,
            program,
            self.manifest.limits.apply(&self.limits),
            self.transport.clone(),
        );
        self.keep_running(&backend).await;
        backend.shutdown().await;
    }

    /// Reads, checks and compiles the component, on a thread that may block.
    async fn load(&self) -> Result<Program, String> {
        let Self {
            path,
            manifest,
            runtime,
            ..
        } = self;
        let (path, manifest, runtime) = (path.clone(), manifest.clone(), runtime.clone());
        let loading = tokio::task::spawn_blocking(move || {
            let bytes = discovery::read_component(&path, &manifest)?;
            runtime
                .load(&bytes, &manifest.sha256)
                .map_err(|error| error.to_string())
        });
        loading
            .await
            .unwrap_or_else(|error| Err(format!("loading it failed: {error}; report this")))
    }

    async fn keep_running(&self, backend: &Backend) {
        let mut failures = 0;
        let mut generation = 0;
        let mut known: Option<BackendInfo> = None;
        loop {
            let began = Instant::now();
            let launched = tokio::select! {
                launched = backend.launch() => launched,
                () = self.closing.cancelled() => return,
            };
            let death = match launched {
                Ok(instance) => {
                    let info = instance.info().clone();
                    if known.get_or_insert_with(|| info.clone()) != &info {
                        return self.refuse(
                            "it described itself anew after a restart: report this to its author"
                                .to_owned(),
                        );
                    }
                    generation += 1;
                    let instance = Arc::new(instance);
                    self.slot.ready(LoadedBackend {
                        engine: instance.clone(),
                        generation,
                    });
                    tokio::select! {
                        death = instance.ended() => death,
                        () = self.closing.cancelled() => return,
                    }
                }
                Err(LaunchError::Unfit { problem, .. }) => {
                    return self.refuse(format!("it {problem}"));
                }
                Err(LaunchError::Died { death, .. }) => death,
            };
            if began.elapsed() >= self.policy.stable {
                failures = 0;
            }
            if !self.pause(&death, &mut failures).await {
                return;
            }
        }
    }

    /// Waits before the next start; `false` when there is to be none.
    async fn pause(&self, death: &Death, failures: &mut u32) -> bool {
        let Death { reason, blamed } = death;
        let backend = &self.slot.name;
        if *blamed {
            *failures += 1;
        }
        if *failures >= self.policy.failures {
            tracing::error!(
                backend,
                failures,
                reason,
                "the backend failed again and again and is left alone"
            );
            self.slot.down(
                PluginState::Parked,
                format!(
                    "it failed {failures} times in a row, at last because it {reason}: restart the daemon, or install another version"
                ),
            );
            return false;
        }
        let pause = self.policy.pause((*failures).max(1));
        tracing::warn!(
            backend,
            failures,
            reason,
            ?pause,
            "the backend failed and starts again"
        );
        self.slot.down(
            PluginState::Restarting,
            format!(
                "it {reason}, and starts again in {:.1} s",
                pause.as_secs_f64()
            ),
        );
        tokio::select! {
            () = tokio::time::sleep(pause) => true,
            () = self.closing.cancelled() => false,
        }
    }

    fn refuse(&self, reason: String) {
        tracing::error!(backend = %self.slot.name, reason, "the plugin is refused");
        self.slot.down(PluginState::Refused, reason);
    }
}
