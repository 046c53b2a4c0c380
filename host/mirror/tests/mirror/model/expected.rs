//! The expected mirrors, derived from the API contract and not from the code
//! under test.

use std::collections::BTreeMap;

use rdd_core::{Container, EngineObject, Image, Timestamp, Volume};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::engine_model::{EngineModel, EngineTarget};

/// All kinds of mirrors.
pub(super) const KINDS: [&str; 4] = ["Container", "Image", "Volume", "ContainerNamespace"];

/// Kind and name of a mirror.
pub(super) type MirrorKey = (&'static str, String);

/// Mirrors with what they represent and their status without conditions and
/// last action.
pub(super) type ExpectedMirrors = BTreeMap<MirrorKey, (EngineTarget, Value)>;

/// Returns the mirror that represents this object.
pub(super) fn key(target: &EngineTarget) -> MirrorKey {
    match target {
        EngineTarget::Container(id) => ("Container", id.clone()),
        EngineTarget::Image(id, None) => ("Image", format!("img-{:x}", Sha256::digest(id))),
        EngineTarget::Image(id, Some(tag)) => {
            let digest = Sha256::digest(format!("{id}\0{tag}"));
            ("Image", format!("img-{digest:x}"))
        }
        EngineTarget::Volume(name, _) => ("Volume", format!("vol-{:x}", Sha256::digest(name))),
    }
}

pub(super) fn time(at: Timestamp) -> String {
    Timestamp::from_seconds(at.seconds()).to_string()
}

/// Returns all mirrors that must exist.
pub(super) fn mirrors(engine_model: &EngineModel, objects: &[EngineObject]) -> ExpectedMirrors {
    let mut mirrors = BTreeMap::new();
    let mut add = |target: EngineTarget, status: Value| {
        mirrors.insert(key(&target), (target, without_nulls(status)));
    };
    for object in objects {
        match object {
            EngineObject::Container(it) => {
                add(EngineTarget::Container(it.id.clone()), container(it))
            }
            EngineObject::Image(it) if it.repo_tags.is_empty() => {
                add(EngineTarget::Image(it.id.clone(), None), image(it, None));
            }
            EngineObject::Image(it) => {
                for tag in &it.repo_tags {
                    let target = EngineTarget::Image(it.id.clone(), Some(tag.clone()));
                    add(target, image(it, Some(tag)));
                }
            }
            EngineObject::Volume(it) => {
                let serial = engine_model.volumes[&it.name];
                add(EngineTarget::Volume(it.name.clone(), serial), volume(it));
            }
            EngineObject::Namespace(_) => {}
        }
    }
    mirrors
}

/// Returns the conditions of a container's mirror.
pub(super) fn conditions(container: &Container) -> BTreeMap<String, String> {
    [
        ("Running", container.running),
        ("Paused", container.paused),
        ("Restarting", container.restarting),
        ("OOMKilled", container.oom_killed),
        ("Dead", container.dead),
    ]
    .into_iter()
    .map(|(type_, holds)| {
        let status = if holds { "True" } else { "False" };
        (type_.to_owned(), status.to_owned())
    })
    .collect()
}

fn container(it: &Container) -> Value {
    json!({
        "name": it.name,
        "namespace": it.namespace,
        "path": it.path,
        "args": it.args,
        "image": it.image_id,
        "imageName": it.image_name,
        "status": it.state,
        "pid": it.pid,
        "exitCode": it.exit_code,
        "createdAt": it.created_at.map(time),
        "startedAt": it.started_at.map(time),
        "finishedAt": it.finished_at.map(time),
    })
}

fn image(it: &Image, tag: Option<&String>) -> Value {
    json!({
        "namespace": it.namespace,
        "id": it.id,
        "repoTag": tag,
        "createdAt": it.created_at.map(time),
        "architecture": it.architecture,
        "os": it.os,
        "size": it.size,
    })
}

fn volume(it: &Volume) -> Value {
    json!({
        "name": it.name,
        "namespace": it.namespace,
        "createdAt": it.created_at.map(time),
        "driver": it.driver,
        "mountpoint": it.mountpoint,
        "scope": it.scope,
    })
}

fn without_nulls(mut value: Value) -> Value {
    if let Some(map) = value.as_object_mut() {
        map.retain(|_, value| !value.is_null());
    }
    value
}
