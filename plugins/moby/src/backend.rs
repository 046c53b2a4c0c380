//! The backend itself: each call leads to its room.

use std::cell::RefCell;
use std::time::Duration;

use rdd_sdk::types::{
    Action, BackendInfo, Capabilities, Error, IdForm, Inspection, LogOptions, ObjectRef, Removal,
};
use rdd_sdk::{Backend, Host, LogResponder, WatchResponder};

use crate::api::Api;
use crate::event::Change;
use crate::volume_times::VolumeTimes;
use crate::watch::Stale;
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
    /// What the watch has to read again. Never borrowed across an await.
    pub(crate) stale: RefCell<Stale>,
}

impl Backend for Moby {
    fn new(host: Host) -> Self {
        Self {
            api: Api::new(host.clone()),
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
        let result = actions::run(self, &id, action).await;
        self.note_failure(&result, || Change::Container(id));
        result
    }

    async fn remove(&self, target: Removal) -> Result<(), Error> {
        let container = match &target {
            Removal::Container(id) => Some(id.clone()),
            _ => None,
        };
        let result = removals::run(self, target).await;
        if let Some(id) = container {
            self.note_failure(&result, || Change::Container(id));
        }
        result
    }
}

impl Moby {
    /// A change that the engine refused may have left its object in another
    /// state, which the engine has no event for.
    fn note_failure(&self, result: &Result<(), Error>, change: impl FnOnce() -> Change) {
        if result.is_err() {
            self.stale.borrow_mut().note(change());
        }
    }
}
