//! An engine in memory whose behavior a test scripts.
//!
//! A test acts as the engine's own user through the methods of [`FakeEngine`]
//! (`create_container`, `tag`, `remove_volume`, …): each changes the state and
//! sends the event that a real engine would send. The code under test calls the
//! engine through [`ContainerEngine`]. Failures, delays, and gates are set for
//! each [`EngineOperation`]. Every changing call is recorded as an
//! [`EngineCall`].

mod user;

mod script;

mod creation;
mod state;

mod container_log;
mod entries;
mod exec;
mod logs;
mod transfer;
mod watch;

#[cfg(test)]
mod tests;

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use rdd_core::{
    BackendInfo, Capabilities, ContainerAction, ContainerEngine, ContainerRef, ContainerSpec,
    EngineError, EntryOptions, EntryStream, ErrorCode, ExecOptions, ExecSession, IdFormat,
    InspectResponse, LogOptions, LogStream, ObjectKind, ObjectRef, PullSpec, PushSpec,
    RemoveRequest, RemoveTarget, TransferStream, VolumeSpec, WatchStream,
};
use tokio::sync::Notify;

pub use logs::LogScript;
use script::CallScript;
pub use script::{CallGate, EngineCall, EngineOperation};
use state::EngineState;
pub use transfer::TransferScript;

/// A scripted [`ContainerEngine`]. Clones share one state.
#[derive(Clone)]
pub struct FakeEngine {
    info: BackendInfo,
    /// The namespace in which the engine's own user works.
    namespace: String,
    shared: Arc<SharedEngine>,
}

/// The state that all clones share. The lock is never held across an await.
struct SharedEngine {
    state: Mutex<EngineState>,
    /// Notified of every change of the state, the logs, and the script.
    changed: Notify,
    /// The number of connected processes.
    processes: AtomicUsize,
}

impl SharedEngine {
    fn lock(&self) -> MutexGuard<'_, EngineState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for FakeEngine {
    /// Returns an empty engine like Docker's, with the name `moby`.
    fn default() -> Self {
        Self::named("moby")
    }
}

impl FakeEngine {
    /// Returns an empty engine like Docker's, with this name.
    pub fn named(name: &str) -> Self {
        Self::with_info(BackendInfo {
            name: name.to_owned(),
            version: "0.0.0".to_owned(),
            engine: "Fake Engine".to_owned(),
            id_format: IdFormat::LowerHex(64),
            namespaces: vec![name.to_owned()],
            capabilities: Capabilities::ALL,
        })
    }

    /// Returns an empty engine with this info. Its user works in the default
    /// namespace.
    pub fn with_info(info: BackendInfo) -> Self {
        Self {
            namespace: info.default_namespace().to_owned(),
            info,
            shared: Arc::new(SharedEngine {
                state: Mutex::new(EngineState::new()),
                changed: Notify::new(),
                processes: AtomicUsize::new(0),
            }),
        }
    }

    /// Returns the same engine, whose user works in this namespace.
    #[must_use]
    pub fn in_namespace(&self, namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            ..self.clone()
        }
    }

    /// Returns the reference to a container of the user's namespace.
    pub fn container_ref(&self, id: &str) -> ContainerRef {
        ContainerRef::new(&self.namespace, id)
    }

    fn reference(&self, kind: ObjectKind, id: &str) -> ObjectRef {
        ObjectRef::new(kind, &self.namespace, id)
    }

    /// Sets the number from which IDs are generated, so that they differ from those
    /// of another fake engine.
    #[must_use]
    pub fn with_ids_from(self, serial: u64) -> Self {
        self.lock().set_serial(serial);
        self
    }

    fn lock(&self) -> MutexGuard<'_, EngineState> {
        self.shared.lock()
    }

    /// Changes the state, and then wakes every stream.
    fn change<T>(&self, f: impl FnOnce(&mut EngineState) -> T) -> T {
        let result = f(&mut self.lock());
        self.shared.changed.notify_waiters();
        result
    }

    fn script<T>(&self, f: impl FnOnce(&mut CallScript) -> T) -> T {
        self.change(|state| f(&mut state.script))
    }

    /// Waits for the delay and the gate of `operation`, then fails as scripted.
    #[expect(clippy::panic, reason = "a scripted panic of a backend")]
    async fn perform(&self, operation: EngineOperation, on: &str) -> Result<(), EngineError> {
        let (delay, gate) = self.script(|script| script.begin(operation, on));
        if let Some(delay) = delay {
            tokio::time::sleep(delay).await;
        }
        if let Some(gate) = gate {
            gate.wait().await;
        }
        if self.script(|script| script.should_panic(operation)) {
            panic!("scripted panic of {operation:?}");
        }
        self.script(|script| script.result(operation, on))
    }
}

#[async_trait]
impl ContainerEngine for FakeEngine {
    fn info(&self) -> &BackendInfo {
        &self.info
    }

    async fn watch(&self) -> Result<WatchStream, EngineError> {
        self.perform(EngineOperation::Watch, "").await?;
        Ok(watch::stream(Arc::clone(&self.shared)))
    }

    async fn inspect(&self, object: &ObjectRef) -> Result<InspectResponse, EngineError> {
        self.perform(EngineOperation::Inspect, &object.id).await?;
        let object = self.lock().find(object)?;
        Ok(InspectResponse {
            object,
            raw: String::new(),
        })
    }

    async fn get_logs(
        &self,
        container: &ContainerRef,
        options: &LogOptions,
    ) -> Result<LogStream, EngineError> {
        self.perform(EngineOperation::GetLogs, &container.id)
            .await?;
        logs::stream(Arc::clone(&self.shared), container.clone(), options)
    }

    async fn act(
        &self,
        container: &ContainerRef,
        action: ContainerAction,
    ) -> Result<(), EngineError> {
        self.script(|script| {
            script.record(EngineCall::Act {
                container: container.clone(),
                action,
            });
        });
        self.perform(EngineOperation::Act, &container.id).await?;
        self.change(|state| state.act(container, action))
    }

    async fn remove(&self, request: &RemoveRequest) -> Result<(), EngineError> {
        self.script(|script| script.record(EngineCall::Remove(request.clone())));
        let on = match &request.target {
            RemoveTarget::Container { id } | RemoveTarget::Image { id } => id,
            RemoveTarget::ImageTag { tag, .. } => tag,
            RemoveTarget::Volume { name, .. } => name,
        };
        self.perform(EngineOperation::Remove, on).await?;
        self.change(|state| state.remove(request))
    }

    async fn get_entries(
        &self,
        container: &ContainerRef,
        options: &EntryOptions,
    ) -> Result<EntryStream, EngineError> {
        self.perform(EngineOperation::GetEntries, &container.id)
            .await?;
        entries::stream(Arc::clone(&self.shared), container.clone(), options)
    }

    async fn create_container(&self, spec: &ContainerSpec) -> Result<String, EngineError> {
        self.script(|script| script.record(EngineCall::CreateContainer(spec.clone())));
        let name = spec.name.as_deref().unwrap_or_default();
        self.perform(EngineOperation::CreateContainer, name).await?;
        self.change(|state| state.create_container(spec))
    }

    async fn create_volume(&self, spec: &VolumeSpec) -> Result<String, EngineError> {
        self.script(|script| script.record(EngineCall::CreateVolume(spec.clone())));
        let name = spec.name.as_deref().unwrap_or_default();
        self.perform(EngineOperation::CreateVolume, name).await?;
        self.change(|state| state.create_volume(spec))
    }

    async fn exec(
        &self,
        container: &ContainerRef,
        options: &ExecOptions,
    ) -> Result<ExecSession, EngineError> {
        self.script(|script| {
            script.record(EngineCall::Exec {
                container: container.clone(),
                options: options.clone(),
            });
        });
        self.perform(EngineOperation::Exec, &container.id).await?;
        exec::start(&self.shared, container, options)
    }

    async fn pull(&self, spec: &PullSpec) -> Result<TransferStream, EngineError> {
        self.script(|script| script.record(EngineCall::Pull(spec.clone())));
        self.perform(EngineOperation::Pull, &spec.image).await?;
        Ok(transfer::pull(&self.shared, spec))
    }

    async fn push(&self, spec: &PushSpec) -> Result<TransferStream, EngineError> {
        self.script(|script| script.record(EngineCall::Push(spec.clone())));
        self.perform(EngineOperation::Push, &spec.image).await?;
        transfer::push(&self.shared, spec)
    }
}

/// Returns the error of a real engine for an object that does not exist.
fn not_found(what: &str, id: &str) -> EngineError {
    EngineError::new(ErrorCode::NotFound, format!("no such {what}: {id}"))
}
