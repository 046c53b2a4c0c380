//! The calls of an engine: each in the control store, or in a store of its own.

use async_trait::async_trait;
use futures::StreamExt as _;
use rdd_core::{
    BackendInfo, ContainerAction, ContainerEngine, ContainerRef, ContainerSpec, EngineError,
    EntryBatch, EntryOptions, EntryStream, ExecOptions, ExecSession, InspectResponse, LogOptions,
    LogStream, ObjectRef, OutputChunk, PullSpec, PushSpec, RemoveRequest, TransferProgress,
    TransferStream, VolumeSpec, WatchStream,
};
use rdd_plugin_contract::image_registry;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use wasmtime::component::StreamReader;

use super::BackendHandle;
use crate::control_request::GuestCall;
use crate::convert;
use crate::exec_input::{ResizeProducer, StdinProducer};
use crate::stream_call::{self, StreamCall};
use crate::watch_stream::WatchReader;

/// The number of messages to the standard input of a process that wait for the
/// guest. The caller limits their size.
const MAX_QUEUED_INPUTS: usize = 4;

#[async_trait]
impl ContainerEngine for BackendHandle {
    fn info(&self) -> &BackendInfo {
        &self.info
    }

    async fn watch(&self) -> Result<WatchStream, EngineError> {
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        let limits = &self.context.limits;
        let handle = self
            .call(self.acquire_watch_permit(), |reply| GuestCall::Watch {
                stop,
                reply,
            })
            .await?;
        let reader = WatchReader {
            backend: self.info.name.clone(),
            _stop: guard,
            exit: self.exit.clone(),
            stall_timeout: limits.stall_timeout,
            end_grace: limits.stop_grace,
        };
        Ok(reader.into_stream(handle))
    }

    async fn inspect(&self, object: &ObjectRef) -> Result<InspectResponse, EngineError> {
        self.arguments().inspect(object)?;
        let object = object.clone();
        let stop = CancellationToken::new();
        let _guard = stop.clone().drop_guard();
        self.call(self.acquire_read_permit(), |reply| GuestCall::Inspect {
            object,
            stop,
            reply,
        })
        .await
    }

    async fn get_logs(
        &self,
        container: &ContainerRef,
        options: &LogOptions,
    ) -> Result<LogStream, EngineError> {
        self.arguments().get_logs(container)?;
        let container = convert::to_container_ref(container);
        let options = convert::to_log_options(options);
        let call = StreamCall::<OutputChunk, (), _> {
            name: "get-logs",
            stream: "log stream",
            function: |exports| Some(exports.logs.as_ref()?.func_get_logs()),
            params: Box::new(move |_, stop| Ok((container, options, stop))),
            registry: None,
            has_late_result: false,
        };
        let permit = self.context.permits.logs.acquire()?;
        Ok(stream_call::open(&self.context, permit, call)
            .await?
            .into_stream())
    }

    async fn get_entries(
        &self,
        container: &ContainerRef,
        options: &EntryOptions,
    ) -> Result<EntryStream, EngineError> {
        self.arguments().get_entries(container)?;
        let container = convert::to_container_ref(container);
        let options = convert::to_entry_options(options);
        let call = StreamCall::<EntryBatch, (), _> {
            name: "get-entries",
            stream: "log stream",
            function: |exports| Some(exports.logs.as_ref()?.func_get_entries()),
            params: Box::new(move |_, stop| Ok((container, options, stop))),
            registry: None,
            has_late_result: false,
        };
        let permit = self.context.permits.logs.acquire()?;
        Ok(stream_call::open(&self.context, permit, call)
            .await?
            .into_stream())
    }

    async fn act(
        &self,
        container: &ContainerRef,
        action: ContainerAction,
    ) -> Result<(), EngineError> {
        self.arguments().act(container)?;
        let container = container.clone();
        self.call(self.acquire_change_permit(), |reply| GuestCall::Act {
            container,
            action,
            reply,
        })
        .await
    }

    async fn remove(&self, request: &RemoveRequest) -> Result<(), EngineError> {
        self.arguments().remove(request)?;
        let request = request.clone();
        self.call(self.acquire_change_permit(), |reply| GuestCall::Remove {
            request,
            reply,
        })
        .await
    }

    async fn create_container(&self, spec: &ContainerSpec) -> Result<String, EngineError> {
        self.arguments().create_container(spec)?;
        let spec = Box::new(spec.clone());
        self.call(self.acquire_change_permit(), |reply| {
            GuestCall::CreateContainer { spec, reply }
        })
        .await
    }

    async fn create_volume(&self, spec: &VolumeSpec) -> Result<String, EngineError> {
        self.arguments().create_volume(spec)?;
        let spec = Box::new(spec.clone());
        self.call(self.acquire_change_permit(), |reply| {
            GuestCall::CreateVolume { spec, reply }
        })
        .await
    }

    async fn exec(
        &self,
        container: &ContainerRef,
        options: &ExecOptions,
    ) -> Result<ExecSession, EngineError> {
        self.arguments().exec(container, options)?;
        let container = convert::to_container_ref(container);
        let (stdin, input) = mpsc::channel(MAX_QUEUED_INPUTS);
        let (resizes, sizes) = watch::channel(None);
        let has_terminal = options.tty;
        let options = convert::to_exec_options(options);
        let call = StreamCall::<OutputChunk, i32, _> {
            name: "exec",
            stream: "exec session",
            function: |exports| Some(exports.processes.as_ref()?.func_exec()),
            params: Box::new(move |access, stop| {
                let stdin = StreamReader::new(&mut *access, StdinProducer::new(input))?;
                let sizes = if has_terminal {
                    ResizeProducer::new(sizes)
                } else {
                    ResizeProducer::none()
                };
                let resizes = StreamReader::new(access, sizes)?;
                Ok((container, options, stdin, resizes, stop))
            }),
            registry: None,
            // A process may live long after it has closed its output.
            has_late_result: true,
        };
        let permit = self.context.permits.execs.acquire()?;
        let open = stream_call::open(&self.context, permit, call).await?;
        Ok(ExecSession {
            stdin,
            resizes,
            output: open.items.map(Ok).boxed(),
            exit: open.result,
        })
    }

    async fn pull(&self, spec: &PullSpec) -> Result<TransferStream, EngineError> {
        self.arguments().pull(spec)?;
        let registry = Some(image_registry(&spec.image).to_owned());
        let spec = convert::to_pull_spec(spec);
        let call = StreamCall::<TransferProgress, (), _> {
            name: "pull",
            stream: "pull",
            function: |exports| Some(exports.images.as_ref()?.func_pull()),
            params: Box::new(move |_, stop| Ok((spec, stop))),
            registry,
            has_late_result: false,
        };
        let permit = self.context.permits.transfers.acquire()?;
        Ok(stream_call::open(&self.context, permit, call)
            .await?
            .into_stream())
    }

    async fn push(&self, spec: &PushSpec) -> Result<TransferStream, EngineError> {
        self.arguments().push(spec)?;
        let registry = Some(image_registry(&spec.image).to_owned());
        let spec = convert::to_push_spec(spec);
        let call = StreamCall::<TransferProgress, (), _> {
            name: "push",
            stream: "push",
            function: |exports| Some(exports.images.as_ref()?.func_push()),
            params: Box::new(move |_, stop| Ok((spec, stop))),
            registry,
            has_late_result: false,
        };
        let permit = self.context.permits.transfers.acquire()?;
        Ok(stream_call::open(&self.context, permit, call)
            .await?
            .into_stream())
    }
}
