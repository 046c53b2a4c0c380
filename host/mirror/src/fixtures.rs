//! What the tests of pure functions are fed with.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{Response, StatusCode};
use jiff::Timestamp;
use kube::client::Body;
use rdd_core::{
    BackendInfo, Capabilities, Container, ContainerState, EngineObject, IdFormat, Image,
    ObjectKind, ObjectRef, Volume, WatchEvent,
};
use serde_json::{Value, json};

use crate::desired::{Desired, Own, Status};
use crate::entry;
use crate::key::{Key, Kind};
use crate::names;

/// The namespace of the mirrors.
pub(crate) const NAMESPACE: &str = "rd";

/// The instance whose mirrors they are.
pub(crate) const INSTANCE: &str = "me";

/// This many seconds after the epoch.
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

pub(crate) fn info() -> BackendInfo {
    BackendInfo {
        name: "moby".to_owned(),
        version: String::new(),
        engine: String::new(),
        id_format: IdFormat::LowerHex(4),
        namespaces: vec!["moby".to_owned()],
        capabilities: Capabilities::default(),
    }
}

pub(crate) fn container(id: &str) -> Container {
    Container {
        id: id.to_owned(),
        name: "web".to_owned(),
        namespace: "moby".to_owned(),
        path: String::new(),
        args: Vec::new(),
        image_id: "sha256:1".to_owned(),
        image_name: "busybox:latest".to_owned(),
        labels: BTreeMap::new(),
        state: ContainerState::Created,
        pid: 0,
        exit_code: 0,
        error: String::new(),
        created_at: Some(at(1).into()),
        started_at: None,
        finished_at: None,
        ports: Vec::new(),
        running: false,
        paused: false,
        restarting: false,
        oom_killed: false,
        dead: false,
        tty: false,
    }
}

pub(crate) fn image(id: &str, tags: &[&str]) -> Image {
    Image {
        id: id.to_owned(),
        namespace: "moby".to_owned(),
        repo_tags: tags.iter().map(ToString::to_string).collect(),
        repo_digests: Vec::new(),
        created_at: Some(at(1).into()),
        architecture: String::new(),
        os: String::new(),
        size: 1,
        labels: BTreeMap::new(),
    }
}

pub(crate) fn volume(name: &str, created_at: impl Into<rdd_core::Timestamp>) -> Volume {
    Volume {
        name: name.to_owned(),
        namespace: "moby".to_owned(),
        created_at: Some(created_at.into()),
        driver: "local".to_owned(),
        mountpoint: String::new(),
        labels: BTreeMap::new(),
        scope: "local".to_owned(),
        options: BTreeMap::new(),
    }
}

pub(crate) fn applied(object: EngineObject) -> WatchEvent {
    WatchEvent::Applied(Box::new(object))
}

pub(crate) fn removed(kind: ObjectKind, id: &str) -> WatchEvent {
    WatchEvent::Removed(ObjectRef {
        kind,
        id: id.to_owned(),
    })
}

pub(crate) fn key(kind: Kind, name: &str) -> Key {
    Key {
        kind,
        namespace: NAMESPACE.into(),
        name: name.into(),
    }
}

pub(crate) fn volume_key(name: &str) -> Key {
    key(Kind::Volume, &names::volume(name))
}

pub(crate) fn desired_volume(name: &str, created_at: impl Into<rdd_core::Timestamp>) -> Desired {
    Desired::Volume(Arc::new(volume(name, created_at)))
}

/// The status that a mirror of this has.
pub(crate) fn status(desired: &Desired) -> Option<Status> {
    desired.status(None, Own::default(), at(9))
}

/// A mirror as it should be, in its version 5.
pub(crate) fn object(key: &Key, status: Option<Status>) -> entry::Object {
    entry::Object {
        key: key.clone(),
        uid: "u1".into(),
        version: entry::Version("5".into()),
        terminating: false,
        finalizer: Some(0),
        backend: Some("moby".into()),
        instance: Some(INSTANCE.into()),
        action: None,
        claim: None,
        status,
    }
}

/// An answer of a fake API server.
pub(crate) fn answered(status: StatusCode, body: &Value) -> Response<Body> {
    let body = Body::from(body.to_string().into_bytes());
    Response::builder().status(status).body(body).unwrap()
}

/// A fake API server's refusal.
pub(crate) fn refused(code: u16) -> Response<Body> {
    let reason = match code {
        404 => "NotFound",
        409 => "Conflict",
        _ => "InternalError",
    };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "it failed", "reason": reason, "code": code,
    });
    answered(StatusCode::from_u16(code).unwrap(), &status)
}
