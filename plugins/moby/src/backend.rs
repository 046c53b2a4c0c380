//! The backend itself: each call leads to its room.

use std::cell::RefCell;
use std::time::Duration;

use rdd_sdk::types::{
    Action, BackendInfo, Capabilities, Error, IdForm, Inspection, LogOptions, ObjectRef, Removal,
};
use rdd_sdk::{Backend, Host, LogResponder, WatchResponder};

use crate::api::Api;
use crate::volume_times::VolumeTimes;
use crate::{actions, logs, name, objects, record, removals, watch};

/// A probe has more time than the host gives it: the host decides when an
/// engine is lost, and a slow answer is still one.
const PROBE_LIMIT: Duration = Duration::from_secs(60);

/// The backend for Docker and whatever speaks its API.
pub struct Moby {
    pub(crate) host: Host,
    pub(crate) api: Api,
    /// Never borrowed across an await.
    pub(crate) volume_times: RefCell<VolumeTimes>,
}

impl Backend for Moby {
    fn new(host: Host) -> Self {
        Self {
            api: Api::new(host.clone()),
            host,
            volume_times: RefCell::default(),
        }
    }

    fn describe() -> BackendInfo {
        BackendInfo {
            name: "moby".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            engine: "Docker Engine".to_owned(),
            id_form: IdForm::LowerHex(name::CONTAINER_ID_LEN as u32),
            namespaces: vec![record::NAMESPACE.to_owned()],
            capabilities: Capabilities::all(),
        }
    }

    async fn watch(&self, responder: WatchResponder) -> Result<(), Error> {
        watch::run(self, responder).await
    }

    async fn ping(&self) -> Result<(), Error> {
        self.api.ping(PROBE_LIMIT).await.map(drop)
    }

    async fn inspect(&self, object: ObjectRef) -> Result<Inspection, Error> {
        objects::inspect(self, &object).await
    }

    async fn get_logs(
        &self,
        id: String,
        options: LogOptions,
        responder: LogResponder,
    ) -> Result<(), Error> {
        logs::run(self, &id, &options, responder).await
    }

    async fn act(&self, id: String, action: Action) -> Result<(), Error> {
        actions::run(self, &id, action).await
    }

    async fn remove(&self, target: Removal) -> Result<(), Error> {
        removals::run(self, target).await
    }
}
