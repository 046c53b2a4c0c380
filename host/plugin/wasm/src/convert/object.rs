//! Objects of a component.

use std::collections::BTreeMap;

use rdd_core::{
    Container, ContainerState, EngineObject, ExposedPort, Image, PortBinding, Timestamp, Volume,
};
use rdd_plugin_contract::{ContractError, validation};

use crate::bindings::types;

/// Converts an object. The caller validates it.
pub(super) fn object(object: types::Object) -> Result<EngineObject, ContractError> {
    Ok(match object {
        types::Object::Container(it) => EngineObject::Container(container(it)?),
        types::Object::Image(it) => EngineObject::Image(image(it)?),
        types::Object::Volume(it) => EngineObject::Volume(volume(it)?),
        types::Object::Namespace(name) => EngineObject::Namespace(name),
    })
}

fn container(it: types::Container) -> Result<Container, ContractError> {
    let types::Container {
        id,
        name,
        namespace,
        path,
        args,
        image_id,
        image_name,
        labels,
        state,
        pid,
        exit_code,
        error,
        created_at,
        started_at,
        finished_at,
        ports,
        running,
        paused,
        restarting,
        oom_killed,
        dead,
        tty,
    } = it;
    Ok(Container {
        labels: map("labels", labels)?,
        ports: ports.into_iter().map(port).collect(),
        created_at: time("created-at", created_at)?,
        started_at: time("started-at", started_at)?,
        finished_at: time("finished-at", finished_at)?,
        state: container_state(state),
        id,
        name,
        namespace,
        path,
        args,
        image_id,
        image_name,
        pid,
        exit_code,
        error,
        running,
        paused,
        restarting,
        oom_killed,
        dead,
        tty,
    })
}

fn container_state(state: types::ContainerState) -> ContainerState {
    match state {
        types::ContainerState::Created => ContainerState::Created,
        types::ContainerState::Running => ContainerState::Running,
        types::ContainerState::Pausing => ContainerState::Pausing,
        types::ContainerState::Paused => ContainerState::Paused,
        types::ContainerState::Restarting => ContainerState::Restarting,
        types::ContainerState::Removing => ContainerState::Removing,
        types::ContainerState::Exited => ContainerState::Exited,
        types::ContainerState::Dead => ContainerState::Dead,
        types::ContainerState::Unknown => ContainerState::Unknown,
    }
}

fn port(types::Port { name, bindings }: types::Port) -> ExposedPort {
    let bindings = bindings
        .into_iter()
        .map(|types::PortBinding { host_ip, host_port }| PortBinding { host_ip, host_port })
        .collect();
    ExposedPort { name, bindings }
}

fn image(it: types::Image) -> Result<Image, ContractError> {
    let types::Image {
        id,
        namespace,
        repo_tags,
        repo_digests,
        created_at,
        architecture,
        os,
        size,
        labels,
    } = it;
    Ok(Image {
        created_at: time("created-at", created_at)?,
        labels: map("labels", labels)?,
        id,
        namespace,
        repo_tags,
        repo_digests,
        architecture,
        os,
        size,
    })
}

fn volume(it: types::Volume) -> Result<Volume, ContractError> {
    let types::Volume {
        name,
        namespace,
        created_at,
        driver,
        mountpoint,
        labels,
        scope,
        options,
    } = it;
    Ok(Volume {
        created_at: time("created-at", created_at)?,
        labels: map("labels", labels)?,
        options: map("options", options)?,
        name,
        namespace,
        driver,
        mountpoint,
        scope,
    })
}

fn map(
    field: &str,
    pairs: Vec<(String, String)>,
) -> Result<BTreeMap<String, String>, ContractError> {
    let mut map = BTreeMap::new();
    for (key, value) in pairs {
        if let Some(value) = map.insert(key, value) {
            return Err(ContractError(format!(
                "{field} contains a key twice, once with the value {}",
                validation::quote(&value)
            )));
        }
    }
    Ok(map)
}

fn time(field: &str, time: Option<types::Timestamp>) -> Result<Option<Timestamp>, ContractError> {
    time.map(
        |types::Timestamp {
             seconds,
             nanoseconds,
         }| {
            Timestamp::new(seconds, nanoseconds).ok_or_else(|| {
                ContractError(format!(
                    "{field} has {nanoseconds} nanoseconds, which is a second or more"
                ))
            })
        },
    )
    .transpose()
}
