//! A wrapper that protects an engine from changes (`--read-only`).

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    BackendInfo, ContainerAction, ContainerEngine, ContainerRef, ContainerSpec, EngineError,
    EntryOptions, EntryStream, ErrorCode, ExecOptions, ExecSession, InspectResponse, LogOptions,
    LogStream, ObjectRef, PullSpec, PushSpec, RemoveRequest, TransferStream, VolumeSpec,
    WatchStream,
};

/// An engine that rejects each call that would change it, before the call
/// reaches the backend.
pub struct ReadOnlyEngine(Arc<dyn ContainerEngine>);

impl ReadOnlyEngine {
    /// Wraps `engine`.
    pub fn new(engine: Arc<dyn ContainerEngine>) -> Self {
        Self(engine)
    }

    /// Returns the error of each rejected call.
    pub fn error() -> EngineError {
        EngineError::new(
            ErrorCode::PermissionDenied,
            "the daemon runs with --read-only; start it without that flag to change the engine",
        )
    }
}

#[async_trait]
impl ContainerEngine for ReadOnlyEngine {
    fn info(&self) -> &BackendInfo {
        self.0.info()
    }

    async fn watch(&self) -> Result<WatchStream, EngineError> {
        self.0.watch().await
    }

    async fn inspect(&self, object: &ObjectRef) -> Result<InspectResponse, EngineError> {
        self.0.inspect(object).await
    }

    async fn get_logs(
        &self,
        container: &ContainerRef,
        options: &LogOptions,
    ) -> Result<LogStream, EngineError> {
        self.0.get_logs(container, options).await
    }

    async fn get_entries(
        &self,
        container: &ContainerRef,
        options: &EntryOptions,
    ) -> Result<EntryStream, EngineError> {
        self.0.get_entries(container, options).await
    }

    async fn act(&self, _: &ContainerRef, _: ContainerAction) -> Result<(), EngineError> {
        Err(Self::error())
    }

    async fn remove(&self, _: &RemoveRequest) -> Result<(), EngineError> {
        Err(Self::error())
    }

    async fn create_container(&self, _: &ContainerSpec) -> Result<String, EngineError> {
        Err(Self::error())
    }

    async fn create_volume(&self, _: &VolumeSpec) -> Result<String, EngineError> {
        Err(Self::error())
    }

    async fn exec(&self, _: &ContainerRef, _: &ExecOptions) -> Result<ExecSession, EngineError> {
        Err(Self::error())
    }

    async fn pull(&self, _: &PullSpec) -> Result<TransferStream, EngineError> {
        Err(Self::error())
    }

    async fn push(&self, _: &PushSpec) -> Result<TransferStream, EngineError> {
        Err(Self::error())
    }
}
