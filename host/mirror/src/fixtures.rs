//! Fixtures for unit tests.

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

use crate::desired_state::{DesiredState, HostStatus, MirrorStatus};
use crate::entry;
use crate::key::{MirrorKey, MirrorKind};
use crate::mirror_names;

/// The namespace of the mirrors.
pub(crate) const NAMESPACE: &str = "rd";

/// The instance that owns the mirrors.
pub(crate) const INSTANCE: &str = "me";

/// Returns the timestamp this many seconds after the epoch.
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("the timestamp must be valid")
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
    let namespace = if kind == ObjectKind::Namespace {
        id
    } else {
        "moby"
    };
    WatchEvent::Removed(ObjectRef::new(kind, namespace, id))
}

pub(crate) fn key(kind: MirrorKind, name: &str) -> MirrorKey {
    MirrorKey {
        kind,
        namespace: NAMESPACE.into(),
        name: name.into(),
    }
}

pub(crate) fn volume_key(name: &str) -> MirrorKey {
    key(MirrorKind::Volume, &mirror_names::volume(None, name))
}

pub(crate) fn desired_volume(
    name: &str,
    created_at: impl Into<rdd_core::Timestamp>,
) -> DesiredState {
    DesiredState::Volume(Arc::new(volume(name, created_at)))
}

/// Returns the status that the mirror should have.
pub(crate) fn status(desired: &DesiredState) -> Option<MirrorStatus> {
    desired.status(None, HostStatus::default(), at(9))
}

/// Returns an up-to-date mirror in version 5.
pub(crate) fn object(key: &MirrorKey, status: Option<MirrorStatus>) -> entry::MirrorObject {
    entry::MirrorObject {
        key: key.clone(),
        uid: "u1".into(),
        version: entry::ResourceVersion("5".into()),
        terminating: false,
        finalizer: Some(0),
        backend: Some("moby".into()),
        instance: Some(INSTANCE.into()),
        action: None,
        claim: None,
        status,
    }
}

/// Returns a response of a fake API server.
pub(crate) fn response(status: StatusCode, body: &Value) -> Response<Body> {
    let body = Body::from(body.to_string().into_bytes());
    Response::builder().status(status).body(body).unwrap()
}

/// Returns an error response of a fake API server.
pub(crate) fn refusal(code: u16) -> Response<Body> {
    let reason = match code {
        404 => "NotFound",
        409 => "Conflict",
        _ => "InternalError",
    };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "it failed", "reason": reason, "code": code,
    });
    response(StatusCode::from_u16(code).unwrap(), &status)
}
