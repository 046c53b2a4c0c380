//! The validation of objects and of references to them.

use rdd_core::{Container, EngineObject, IdFormat, Image, ObjectKind, ObjectRef, Volume};

use super::names::check_container_id;
use super::{ContractError, SizeBudget, check_name, check_namespace, contract_error, quote};

/// Validates an object, and sorts its lists as the contract requires. Returns
/// its size in bytes.
///
/// # Errors
///
/// Fails if the contract does not allow the object.
pub fn object(id_format: IdFormat, object: &mut EngineObject) -> Result<usize, ContractError> {
    let mut budget = SizeBudget::default();
    match object {
        EngineObject::Container(it) => container(id_format, it, &mut budget)?,
        EngineObject::Image(it) => image(it, &mut budget)?,
        EngineObject::Volume(it) => volume(it, &mut budget)?,
        EngineObject::Namespace(name) => {
            check_namespace(name)?;
            budget.add_text("name", name)?;
        }
    }
    Ok(budget.used_bytes())
}

/// Validates a reference to an object.
///
/// # Errors
///
/// Fails if the contract does not allow the reference.
pub fn object_ref(id_format: IdFormat, reference: &ObjectRef) -> Result<(), ContractError> {
    let ObjectRef {
        kind,
        namespace,
        id,
    } = reference;
    match kind {
        ObjectKind::Container => check_container_id(id_format, id)?,
        ObjectKind::Image => check_name("image's ID", id)?,
        ObjectKind::Volume => check_name("volume's name", id)?,
        ObjectKind::Namespace if id != namespace => {
            return Err(contract_error!(
                "the reference to a namespace has two names, {} and {}",
                quote(namespace),
                quote(id)
            ));
        }
        ObjectKind::Namespace => {}
    }
    check_namespace(namespace)
}

fn container(
    id_format: IdFormat,
    it: &mut Container,
    budget: &mut SizeBudget,
) -> Result<(), ContractError> {
    check_container_id(id_format, &it.id)?;
    check_namespace(&it.namespace)?;
    for (field, value) in [
        ("name", &it.name),
        ("path", &it.path),
        ("image-id", &it.image_id),
        ("image-name", &it.image_name),
        ("error", &it.error),
    ] {
        budget.add_text(field, value)?;
    }
    budget.add_texts("args", &it.args)?;
    map("labels", &it.labels, budget)?;
    for port in &it.ports {
        budget.add_text("ports", &port.name)?;
        for binding in &port.bindings {
            budget.add_text("host-ip", &binding.host_ip)?;
            budget.add_text("host-port", &binding.host_port)?;
        }
    }
    // The contract requires this order, since readers compare whole lists.
    // Sorting a sorted list is cheap.
    it.ports.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(())
}

fn image(it: &mut Image, budget: &mut SizeBudget) -> Result<(), ContractError> {
    check_name("image's ID", &it.id)?;
    check_namespace(&it.namespace)?;
    it.repo_tags
        .iter()
        .try_for_each(|tag| check_name("image's tag", tag))?;
    budget.add_texts("repo-tags", &it.repo_tags)?;
    budget.add_texts("repo-digests", &it.repo_digests)?;
    budget.add_text("architecture", &it.architecture)?;
    budget.add_text("os", &it.os)?;
    map("labels", &it.labels, budget)?;
    it.repo_tags.sort_unstable();
    it.repo_digests.sort_unstable();
    Ok(())
}

fn volume(it: &mut Volume, budget: &mut SizeBudget) -> Result<(), ContractError> {
    check_name("volume's name", &it.name)?;
    check_namespace(&it.namespace)?;
    budget.add_text("driver", &it.driver)?;
    budget.add_text("mountpoint", &it.mountpoint)?;
    budget.add_text("scope", &it.scope)?;
    map("labels", &it.labels, budget)?;
    map("options", &it.options, budget)
}

fn map(
    field: &str,
    map: &std::collections::BTreeMap<String, String>,
    budget: &mut SizeBudget,
) -> Result<(), ContractError> {
    map.iter().try_for_each(|(key, value)| {
        budget.add_text(field, key)?;
        budget.add_text(field, value)
    })
}
