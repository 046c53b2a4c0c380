//! The form of a log that a backend does not have, derived from the one that it
//! has.

mod chunk_stream;
mod line_stream;

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt as _;

use chunk_stream::ChunkStream;
use line_stream::LineStream;

use crate::{
    BackendInfo, ContainerAction, ContainerEngine, ContainerRef, ContainerSpec, EngineError,
    EntryOptions, EntryStream, ErrorCode, ExecOptions, ExecSession, InspectResponse, LogOptions,
    LogStream, ObjectRef, PullSpec, PushSpec, RemoveRequest, TransferStream, VolumeSpec,
    WatchStream,
};

/// An engine with both forms of logs, whose backend may have only one of them.
///
/// Entries that are derived from bytes have no times, and bytes that are derived
/// from entries without times have no timestamps.
pub struct DerivedLogs(Arc<dyn ContainerEngine>);

impl DerivedLogs {
    /// Wraps `engine`.
    pub fn new(engine: Arc<dyn ContainerEngine>) -> Self {
        Self(engine)
    }
}

#[async_trait]
impl ContainerEngine for DerivedLogs {
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
        let capabilities = self.info().capabilities;
        if capabilities.logs || !capabilities.entries {
            return self.0.get_logs(container, options).await;
        }
        let LogOptions {
            follow,
            tail,
            since,
            until,
            timestamps,
            stdout,
            stderr,
        } = *options;
        if timestamps && !capabilities.entry_times {
            return Err(self.unsupported("timestamps"));
        }
        let options = EntryOptions {
            follow,
            tail,
            since,
            until,
            after: None,
            stdout,
            stderr,
        };
        let entries = self.0.get_entries(container, &options).await?;
        Ok(ChunkStream::new(entries, timestamps).boxed())
    }

    async fn get_entries(
        &self,
        container: &ContainerRef,
        options: &EntryOptions,
    ) -> Result<EntryStream, EngineError> {
        let capabilities = self.info().capabilities;
        if capabilities.entries || !capabilities.logs {
            return self.0.get_entries(container, options).await;
        }
        let EntryOptions {
            follow,
            tail,
            since,
            until,
            after,
            stdout,
            stderr,
        } = *options;
        if after.is_some() {
            return Err(self.unsupported("positions in a log"));
        }
        let options = LogOptions {
            follow,
            tail,
            since,
            until,
            timestamps: false,
            stdout,
            stderr,
        };
        let chunks = self.0.get_logs(container, &options).await?;
        Ok(LineStream::new(chunks).boxed())
    }

    async fn act(
        &self,
        container: &ContainerRef,
        action: ContainerAction,
    ) -> Result<(), EngineError> {
        self.0.act(container, action).await
    }

    async fn remove(&self, request: &RemoveRequest) -> Result<(), EngineError> {
        self.0.remove(request).await
    }

    async fn create_container(&self, spec: &ContainerSpec) -> Result<String, EngineError> {
        self.0.create_container(spec).await
    }

    async fn create_volume(&self, spec: &VolumeSpec) -> Result<String, EngineError> {
        self.0.create_volume(spec).await
    }

    async fn exec(
        &self,
        container: &ContainerRef,
        options: &ExecOptions,
    ) -> Result<ExecSession, EngineError> {
        self.0.exec(container, options).await
    }

    async fn pull(&self, spec: &PullSpec) -> Result<TransferStream, EngineError> {
        self.0.pull(spec).await
    }

    async fn push(&self, spec: &PushSpec) -> Result<TransferStream, EngineError> {
        self.0.push(spec).await
    }
}

impl DerivedLogs {
    fn unsupported(&self, what: &str) -> EngineError {
        EngineError::new(
            ErrorCode::Unsupported,
            format!("the backend {} does not support {what}", self.info().name),
        )
    }
}
