//! Counts the calls of a backend and what its streams deliver.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use prometheus_client::metrics::counter::Counter;
use rdd_core::{
    BackendInfo, ContainerAction, ContainerEngine, ContainerRef, ContainerSpec, EngineError,
    EntryBatch, EntryOptions, EntryStream, ExecOptions, ExecSession, InspectResponse, LogOptions,
    LogStream, ObjectRef, OutputChunk, PullSpec, PushSpec, RemoveRequest, TransferStream,
    VolumeSpec, WatchStream,
};

use crate::{BackendInstance, BackendMetrics, CallMethod};

/// A running instance whose calls are counted.
pub struct MeteredEngine {
    instance: Arc<dyn BackendInstance>,
    metrics: Arc<BackendMetrics>,
}

impl MeteredEngine {
    /// Counts the calls of `instance` in `metrics`.
    pub fn new(instance: Arc<dyn BackendInstance>, metrics: Arc<BackendMetrics>) -> Self {
        Self { instance, metrics }
    }

    async fn measure<T>(
        &self,
        method: CallMethod,
        call: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EngineError> {
        let started_at = Instant::now();
        let result = call.await;
        self.metrics
            .method(method)
            .record(&result, started_at.elapsed());
        result
    }

    /// Counts what a stream delivers. The counter was looked up before, so an item
    /// costs one addition.
    fn meter<T: 'static>(
        &self,
        method: CallMethod,
        stream: BoxStream<'static, Result<T, EngineError>>,
        delivered: Counter,
        amount: impl Fn(&T) -> usize + Send + 'static,
    ) -> BoxStream<'static, Result<T, EngineError>> {
        let metrics = self.metrics.clone();
        stream
            .inspect(move |item| match item {
                Ok(item) => {
                    delivered.inc_by(amount(item) as u64);
                }
                Err(error) => metrics.method(method).record_failure(error),
            })
            .boxed()
    }
}

#[async_trait]
impl ContainerEngine for MeteredEngine {
    fn info(&self) -> &BackendInfo {
        self.instance.info()
    }

    async fn watch(&self) -> Result<WatchStream, EngineError> {
        let method = CallMethod::Watch;
        let stream = self.measure(method, self.instance.watch()).await?;
        let delivered = self.metrics.watch_events.clone();
        Ok(self.meter(method, stream, delivered, |_| 1))
    }

    async fn inspect(&self, object: &ObjectRef) -> Result<InspectResponse, EngineError> {
        self.measure(CallMethod::Inspect, self.instance.inspect(object))
            .await
    }

    async fn get_logs(
        &self,
        container: &ContainerRef,
        options: &LogOptions,
    ) -> Result<LogStream, EngineError> {
        let method = CallMethod::GetLogs;
        let call = self.instance.get_logs(container, options);
        let stream = self.measure(method, call).await?;
        let delivered = self.metrics.log_bytes.clone();
        Ok(self.meter(method, stream, delivered, chunk_bytes))
    }

    async fn get_entries(
        &self,
        container: &ContainerRef,
        options: &EntryOptions,
    ) -> Result<EntryStream, EngineError> {
        let method = CallMethod::GetEntries;
        let call = self.instance.get_entries(container, options);
        let stream = self.measure(method, call).await?;
        let delivered = self.metrics.log_bytes.clone();
        Ok(self.meter(method, stream, delivered, |batch: &EntryBatch| {
            batch.bytes().len()
        }))
    }

    async fn act(
        &self,
        container: &ContainerRef,
        action: ContainerAction,
    ) -> Result<(), EngineError> {
        self.measure(CallMethod::Act, self.instance.act(container, action))
            .await
    }

    async fn remove(&self, request: &RemoveRequest) -> Result<(), EngineError> {
        self.measure(CallMethod::Remove, self.instance.remove(request))
            .await
    }

    async fn create_container(&self, spec: &ContainerSpec) -> Result<String, EngineError> {
        self.measure(
            CallMethod::CreateContainer,
            self.instance.create_container(spec),
        )
        .await
    }

    async fn create_volume(&self, spec: &VolumeSpec) -> Result<String, EngineError> {
        self.measure(CallMethod::CreateVolume, self.instance.create_volume(spec))
            .await
    }

    async fn exec(
        &self,
        container: &ContainerRef,
        options: &ExecOptions,
    ) -> Result<ExecSession, EngineError> {
        let method = CallMethod::Exec;
        let call = self.instance.exec(container, options);
        let ExecSession {
            stdin,
            resizes,
            output,
            exit,
        } = self.measure(method, call).await?;
        let delivered = self.metrics.exec_bytes.clone();
        let metrics = self.metrics.clone();
        Ok(ExecSession {
            stdin,
            resizes,
            output: self.meter(method, output, delivered, chunk_bytes),
            exit: Box::pin(async move {
                let exit = exit.await;
                if let Err(error) = &exit {
                    metrics.method(method).record_failure(error);
                }
                exit
            }),
        })
    }

    async fn pull(&self, spec: &PullSpec) -> Result<TransferStream, EngineError> {
        let method = CallMethod::Pull;
        let stream = self.measure(method, self.instance.pull(spec)).await?;
        // Progress has no bytes of its own.
        Ok(self.meter(method, stream, Counter::default(), |_| 0))
    }

    async fn push(&self, spec: &PushSpec) -> Result<TransferStream, EngineError> {
        let method = CallMethod::Push;
        let stream = self.measure(method, self.instance.push(spec)).await?;
        Ok(self.meter(method, stream, Counter::default(), |_| 0))
    }
}

fn chunk_bytes(chunk: &OutputChunk) -> usize {
    chunk.bytes.len()
}
