//! Objects from a component.

use std::collections::BTreeMap;

use rdd_core::{
    Container, ContainerState, EngineObject, ExposedPort, IdFormat, Image, PortBinding, Timestamp,
    Volume,
};

use super::ContractResult;
use crate::bindings::types;
use crate::contract::{self, SizeBudget, contract_error};

/// Converts and validates an object. Returns it with its size in bytes.
pub(crate) fn object(
    id_format: IdFormat,
    object: types::Object,
) -> ContractResult<(EngineObject, usize)> {
    let mut budget = SizeBudget::default();
    let object = match object {
        types::Object::Container(it) => {
            EngineObject::Container(container(id_format, it, &mut budget)?)
        }
        types::Object::Image(it) => EngineObject::Image(image(it, &mut budget)?),
        types::Object::Volume(it) => EngineObject::Volume(volume(it, &mut budget)?),
        types::Object::Namespace(name) => {
            contract::check_namespace(&name)?;
            budget.add_text("name", &name)?;
            EngineObject::Namespace(name)
        }
    };
    Ok((object, budget.used_bytes()))
}

fn container(
    id_format: IdFormat,
    it: types::Container,
    budget: &mut SizeBudget,
) -> ContractResult<Container> {
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
    contract::check_container_id(id_format, &id)?;
    contract::check_namespace(&namespace)?;
    for (field, value) in [
        ("name", &name),
        ("path", &path),
        ("image-id", &image_id),
        ("image-name", &image_name),
        ("error", &error),
    ] {
        budget.add_text(field, value)?;
    }
    budget.add_texts("args", &args)?;
    Ok(Container {
        labels: map("labels", labels, budget)?,
        ports: self::ports(ports, budget)?,
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

fn ports(ports: Vec<types::Port>, budget: &mut SizeBudget) -> ContractResult<Vec<ExposedPort>> {
    let mut ports = ports
        .into_iter()
        .map(|types::Port { name, bindings }| {
            budget.add_text("ports", &name)?;
            let bindings = bindings
                .into_iter()
                .map(|types::PortBinding { host_ip, host_port }| {
                    budget.add_text("host-ip", &host_ip)?;
                    budget.add_text("host-port", &host_port)?;
                    Ok(PortBinding { host_ip, host_port })
                })
                .collect::<ContractResult<_>>()?;
            Ok(ExposedPort { name, bindings })
        })
        .collect::<ContractResult<Vec<_>>>()?;
    // The contract requires this order, since readers compare whole lists.
    // Sorting a sorted list is cheap.
    ports.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(ports)
}

fn image(it: types::Image, budget: &mut SizeBudget) -> ContractResult<Image> {
    let types::Image {
        id,
        namespace,
        mut repo_tags,
        mut repo_digests,
        created_at,
        architecture,
        os,
        size,
        labels,
    } = it;
    contract::check_name("image's ID", &id)?;
    contract::check_namespace(&namespace)?;
    for tag in &repo_tags {
        contract::check_name("image's tag", tag)?;
    }
    budget.add_texts("repo-tags", &repo_tags)?;
    budget.add_texts("repo-digests", &repo_digests)?;
    budget.add_text("architecture", &architecture)?;
    budget.add_text("os", &os)?;
    repo_tags.sort_unstable();
    repo_digests.sort_unstable();
    Ok(Image {
        created_at: time("created-at", created_at)?,
        labels: map("labels", labels, budget)?,
        id,
        namespace,
        repo_tags,
        repo_digests,
        architecture,
        os,
        size,
    })
}

fn volume(it: types::Volume, budget: &mut SizeBudget) -> ContractResult<Volume> {
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
    contract::check_name("volume's name", &name)?;
    contract::check_namespace(&namespace)?;
    budget.add_text("driver", &driver)?;
    budget.add_text("mountpoint", &mountpoint)?;
    budget.add_text("scope", &scope)?;
    Ok(Volume {
        created_at: time("created-at", created_at)?,
        labels: map("labels", labels, budget)?,
        options: map("options", options, budget)?,
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
    budget: &mut SizeBudget,
) -> ContractResult<BTreeMap<String, String>> {
    let mut map = BTreeMap::new();
    for (key, value) in pairs {
        budget.add_text(field, &key)?;
        budget.add_text(field, &value)?;
        if let Some(value) = map.insert(key, value) {
            return Err(contract_error!(
                "{field} contains a key twice, once with the value {}",
                contract::quote(&value)
            ));
        }
    }
    Ok(map)
}

fn time(field: &str, time: Option<types::Timestamp>) -> ContractResult<Option<Timestamp>> {
    time.map(
        |types::Timestamp {
             seconds,
             nanoseconds,
         }| {
            Timestamp::new(seconds, nanoseconds).ok_or_else(|| {
                contract_error!("{field} has {nanoseconds} nanoseconds, which is a second or more")
            })
        },
    )
    .transpose()
}
