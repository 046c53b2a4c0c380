//! The moby backend: Docker Engine API to the engine interface.

use rdd_sdk::types::{
    BackendInfo, Capabilities, Error, IdForm, Inspection, ObjectRef,
};
use rdd_sdk::{Backend, Host, WatchResponder};

/// The backend for Docker and whatever speaks its API.
pub struct Moby {
    _host: Host,
}

impl Backend for Moby {
    fn new(host: Host) -> Self {
        Self { _host: host }
    }

    fn describe() -> BackendInfo {
        BackendInfo {
            name: "moby".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            engine: "Docker Engine".to_owned(),
            id_form: IdForm::LowerHex(64),
            namespaces: vec!["moby".to_owned()],
            capabilities: Capabilities::all(),
        }
    }

    async fn watch(&self, _: WatchResponder) -> Result<(), Error> {
        Err(Error::unsupported("not yet"))
    }

    async fn inspect(&self, _: ObjectRef) -> Result<Inspection, Error> {
        Err(Error::unsupported("not yet"))
    }
}

rdd_sdk::export_backend!(Moby);
