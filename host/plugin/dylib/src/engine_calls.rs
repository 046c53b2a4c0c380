//! The calls of an engine, each by the instance that it belongs to.

use async_trait::async_trait;
use rdd_core::{
    BackendInfo, ContainerAction, ContainerEngine, ContainerRef, ContainerSpec, EngineError,
    EntryOptions, EntryStream, ExecOptions, ExecSession, InspectResponse, LogOptions, LogStream,
    ObjectRef, PullSpec, PushSpec, RemoveRequest, TransferStream, VolumeSpec, WatchStream,
};
use rdd_plugin_contract::image_registry;
use rdd_plugin_contract::validation::{self, TransferValidator};
use rdd_sdk_abi as abi;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::control::ControlCall;
use crate::host_context::InstanceKind;
use crate::json::{
    self, ActParameters, ContainerParameters, InspectParameters, RemoveParameters, SpecParameters,
};
use crate::library_handle::{LibraryHandle, encode};
use crate::library_stream::ItemView;
use crate::stream_call::{self, StreamCall};
use crate::stream_reader::StreamReader;
use crate::{exec_session, stream_batch, stream_item};

impl LibraryHandle {
    /// Describes a stream that gets an instance of its own.
    fn stream_call(
        &self,
        (name, stream): (&'static str, &'static str),
        function: Option<abi::StartStream>,
        parameters: &impl Serialize,
        kind: InstanceKind,
        permit: OwnedSemaphorePermit,
    ) -> Result<StreamCall, EngineError> {
        Ok(StreamCall {
            name,
            stream,
            function: self.required(name, function)?,
            parameters: encode(parameters)?,
            kind,
            _permit: permit,
        })
    }

    async fn transfer(&self, call: StreamCall) -> Result<TransferStream, EngineError> {
        let mut validator = TransferValidator::default();
        let convert = move |item: ItemView<'_>| stream_item::progress(&item, &mut validator);
        Ok(stream_call::open(&self.context, call, convert)
            .await?
            .into_stream())
    }
}

fn transfer_kind(image: &str) -> InstanceKind {
    InstanceKind::Transfer {
        registry: image_registry(image).to_owned(),
    }
}

#[async_trait]
impl ContainerEngine for LibraryHandle {
    fn info(&self) -> &BackendInfo {
        &self.info
    }

    async fn watch(&self) -> Result<WatchStream, EngineError> {
        let permit = self.acquire_watch_permit().await?;
        let (batches, received) = stream_batch::channel();
        let (reply, replied) = oneshot::channel();
        let stop = self.shutdown.child_token();
        let guard = stop.clone().drop_guard();
        self.send(permit, stop.clone(), ControlCall::Watch { batches, reply })
            .await?;
        self.wait_for_reply(replied).await?;
        guard.disarm();
        let exit = self.exit.clone();
        Ok(StreamReader::new(&self.info.name, None, received, exit, stop).into_stream())
    }

    async fn inspect(&self, object: &ObjectRef) -> Result<InspectResponse, EngineError> {
        self.arguments().inspect(object)?;
        let parameters = encode(&InspectParameters::new(object))?;
        let permit = {
            let _waiting = self.context.host.metrics.waiting_reads.enter(1);
            self.acquire_permit(&self.read_permits).await?
        };
        let stop = self.shutdown.child_token();
        let _guard = stop.clone().drop_guard();
        let function = ("inspect", self.context.library.functions().inspect);
        let (requested, id_format) = (object.clone(), self.info.id_format);
        self.call(permit, stop, function, parameters, move |text| {
            let mut response = json::inspection(text)?;
            validation::inspection(id_format, &requested, &mut response)?;
            Ok(response)
        })
        .await
    }

    async fn get_logs(
        &self,
        container: &ContainerRef,
        options: &LogOptions,
    ) -> Result<LogStream, EngineError> {
        self.arguments().get_logs(container)?;
        let call = self.stream_call(
            ("get_logs", "log stream"),
            self.context.library.functions().get_logs,
            &ContainerParameters::new(container, options),
            InstanceKind::Stream,
            self.context.permits.logs.acquire()?,
        )?;
        let reader =
            stream_call::open(&self.context, call, |item| stream_item::chunk(&item)).await?;
        Ok(reader.into_stream())
    }

    async fn get_entries(
        &self,
        container: &ContainerRef,
        options: &EntryOptions,
    ) -> Result<EntryStream, EngineError> {
        self.arguments().get_entries(container)?;
        let call = self.stream_call(
            ("get_entries", "log stream"),
            self.context.library.functions().get_entries,
            &ContainerParameters::new(container, options),
            InstanceKind::Stream,
            self.context.permits.logs.acquire()?,
        )?;
        let reader =
            stream_call::open(&self.context, call, |item| stream_item::entries(&item)).await?;
        Ok(reader.into_stream())
    }

    async fn act(
        &self,
        container: &ContainerRef,
        action: ContainerAction,
    ) -> Result<(), EngineError> {
        self.arguments().act(container)?;
        let function = ("act", self.context.library.functions().act);
        let parameters = ActParameters::new(container, action);
        self.change(function, &parameters, |_| Ok(())).await
    }

    async fn remove(&self, request: &RemoveRequest) -> Result<(), EngineError> {
        self.arguments().remove(request)?;
        let function = ("remove", self.context.library.functions().remove);
        let parameters = RemoveParameters::new(request);
        self.change(function, &parameters, |_| Ok(())).await
    }

    async fn create_container(&self, spec: &ContainerSpec) -> Result<String, EngineError> {
        self.arguments().create_container(spec)?;
        let functions = self.context.library.functions();
        let function = ("create_container", functions.create_container);
        let id_format = self.info.id_format;
        self.change(function, &SpecParameters::new(spec), move |text| {
            let id = json::string(text)?;
            validation::created_container(id_format, &id)?;
            Ok(id)
        })
        .await
    }

    async fn create_volume(&self, spec: &VolumeSpec) -> Result<String, EngineError> {
        self.arguments().create_volume(spec)?;
        let functions = self.context.library.functions();
        let function = ("create_volume", functions.create_volume);
        self.change(function, &SpecParameters::new(spec), |text| {
            let name = json::string(text)?;
            validation::created_volume(&name)?;
            Ok(name)
        })
        .await
    }

    async fn exec(
        &self,
        container: &ContainerRef,
        options: &ExecOptions,
    ) -> Result<ExecSession, EngineError> {
        self.arguments().exec(container, options)?;
        let call = self.stream_call(
            ("exec", "exec session"),
            self.context.library.functions().exec,
            &ContainerParameters::new(container, options),
            InstanceKind::Stream,
            self.context.permits.execs.acquire()?,
        )?;
        exec_session::open(&self.context, call, options).await
    }

    async fn pull(&self, spec: &PullSpec) -> Result<TransferStream, EngineError> {
        self.arguments().pull(spec)?;
        let call = self.stream_call(
            ("pull", "pull"),
            self.context.library.functions().pull,
            &SpecParameters::new(spec),
            transfer_kind(&spec.image),
            self.context.permits.transfers.acquire()?,
        )?;
        self.transfer(call).await
    }

    async fn push(&self, spec: &PushSpec) -> Result<TransferStream, EngineError> {
        self.arguments().push(spec)?;
        let call = self.stream_call(
            ("push", "push"),
            self.context.library.functions().push,
            &SpecParameters::new(spec),
            transfer_kind(&spec.image),
            self.context.permits.transfers.acquire()?,
        )?;
        self.transfer(call).await
    }
}
