//! The calls of the contract: dispatches each to the module that implements it.

use std::cell::RefCell;
use std::time::Duration;

use rdd_sdk::types::{
    Action, BackendInfo, Capabilities, ContainerRef, ContainerSpec, EntryOptions, Error,
    ExecOptions, IdForm, Inspection, LogOptions, ObjectRef, PullSpec, PushSpec, Removal,
    RemovalTarget, VolumeSpec,
};
use rdd_sdk::{
    Backend, EntryResponder, ExecInput, Host, LogResponder, OutputResponder, TransferResponder,
    WatchResponder,
};

use crate::backend::MobyBackend;
use crate::client::DockerClient;
use crate::event::ChangeEvent;
use crate::{
    actions, creations, entries, exec, inspection, logs, objects, record, removals, transfers, url,
    watch,
};

/// The time limit of a ping. It is longer than the host's own: the host decides
/// when an engine is lost, and a slow response still counts.
const PING_TIMEOUT: Duration = Duration::from_secs(60);

impl Backend for MobyBackend {
    fn new(host: Host) -> Self {
        Self {
            client: DockerClient::new(host.clone()),
            host,
            volume_times: RefCell::default(),
            stale: RefCell::default(),
        }
    }

    fn describe() -> BackendInfo {
        BackendInfo {
            name: "moby".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            engine: "Docker Engine".to_owned(),
            id_form: IdForm::LowerHex(url::CONTAINER_ID_DIGITS as u32),
            namespaces: vec![record::NAMESPACE.to_owned()],
            capabilities: Capabilities::all(),
        }
    }

    async fn watch(&self, responder: WatchResponder) -> Result<(), Error> {
        watch::run(self, responder).await
    }

    async fn ping(&self) -> Result<(), Error> {
        self.client.ping(PING_TIMEOUT).await.map(drop)
    }

    async fn inspect(&self, object: ObjectRef) -> Result<Inspection, Error> {
        inspection::run(self, &object).await
    }

    async fn get_logs(
        &self,
        container: ContainerRef,
        options: LogOptions,
        responder: LogResponder,
    ) -> Result<(), Error> {
        let id = container_id(container)?;
        logs::run(self, &id, &options, responder).await
    }

    async fn act(&self, container: ContainerRef, action: Action) -> Result<(), Error> {
        let id = container_id(container)?;
        let result = actions::run(self, &id, action).await;
        self.mark_stale_on_error(&result, || ChangeEvent::Container(id));
        result
    }

    async fn remove(&self, removal: Removal) -> Result<(), Error> {
        let container = match &removal.target {
            RemovalTarget::Container(id) => Some(id.clone()),
            _ => None,
        };
        let result = removals::run(self, removal).await;
        if let Some(id) = container {
            self.mark_stale_on_error(&result, || ChangeEvent::Container(id));
        }
        result
    }

    async fn get_entries(
        &self,
        container: ContainerRef,
        options: EntryOptions,
        responder: EntryResponder,
    ) -> Result<(), Error> {
        let id = container_id(container)?;
        entries::run(self, &id, &options, responder).await
    }

    async fn create_container(&self, spec: ContainerSpec) -> Result<String, Error> {
        check_namespace(&spec.namespace)?;
        creations::create_container(self, spec).await
    }

    async fn create_volume(&self, spec: VolumeSpec) -> Result<String, Error> {
        check_namespace(&spec.namespace)?;
        creations::create_volume(self, spec).await
    }

    async fn exec(
        &self,
        container: ContainerRef,
        options: ExecOptions,
        input: ExecInput,
        responder: OutputResponder,
    ) -> Result<i32, Error> {
        let id = container_id(container)?;
        exec::run(self, &id, options, input, responder).await
    }

    async fn pull(&self, spec: PullSpec, responder: TransferResponder) -> Result<(), Error> {
        check_namespace(&spec.namespace)?;
        transfers::pull(self, &spec, responder).await
    }

    async fn push(&self, spec: PushSpec, responder: TransferResponder) -> Result<(), Error> {
        check_namespace(&spec.namespace)?;
        transfers::push(self, &spec, responder).await
    }
}

/// Returns the ID of a container. Fails unless it is in Docker's only namespace.
fn container_id(container: ContainerRef) -> Result<String, Error> {
    let ContainerRef { namespace, id } = container;
    check_namespace(&namespace)?;
    Ok(id)
}

fn check_namespace(namespace: &str) -> Result<(), Error> {
    if namespace == record::NAMESPACE {
        Ok(())
    } else {
        Err(objects::unknown_namespace(namespace))
    }
}

impl MobyBackend {
    /// Marks an object as stale after a failed call: the engine may have changed
    /// its state without sending an event.
    fn mark_stale_on_error(
        &self,
        result: &Result<(), Error>,
        change: impl FnOnce() -> ChangeEvent,
    ) {
        if result.is_err() {
            self.stale.borrow_mut().record_change(change());
        }
    }
}
