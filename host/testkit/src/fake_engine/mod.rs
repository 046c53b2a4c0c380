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

mod state;

mod logs;
mod watch;

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
            capabilities: Capabilities {
                logs: true,
                actions: true,
                removals: true,
                ..Capabilities::default()
            },
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
        logs::stream(Arc::clone(&self.shared), container.clone(), options.clone())
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
        _: &ContainerRef,
        _: &EntryOptions,
    ) -> Result<EntryStream, EngineError> {
        Err(unsupported("read logs as entries"))
    }

    async fn create_container(&self, _: &ContainerSpec) -> Result<String, EngineError> {
        Err(unsupported("create containers"))
    }

    async fn create_volume(&self, _: &VolumeSpec) -> Result<String, EngineError> {
        Err(unsupported("create volumes"))
    }

    async fn exec(&self, _: &ContainerRef, _: &ExecOptions) -> Result<ExecSession, EngineError> {
        Err(unsupported("run processes"))
    }

    async fn pull(&self, _: &PullSpec) -> Result<TransferStream, EngineError> {
        Err(unsupported("pull images"))
    }

    async fn push(&self, _: &PushSpec) -> Result<TransferStream, EngineError> {
        Err(unsupported("push images"))
    }
}

/// Returns the error of a call that the fake engine does not implement.
fn unsupported(operation: &str) -> EngineError {
    EngineError::new(
        ErrorCode::Unsupported,
        format!("the fake engine cannot {operation}"),
    )
}

/// Returns the error of a real engine for an object that does not exist.
fn not_found(what: &str, id: &str) -> EngineError {
    EngineError::new(ErrorCode::NotFound, format!("no such {what}: {id}"))
}
