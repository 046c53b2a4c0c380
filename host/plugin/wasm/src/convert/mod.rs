//! Conversions between the records of the contract and the model of `rdd-core`.
//!
//! Values from a component are validated; values for a component are not.

mod object;
mod to_guest;

use rdd_core::{
    BackendInfo, Capabilities, EngineError, ErrorCode, IdFormat, InspectResponse, ObjectKind,
    ObjectRef, OutputSource,
};

use crate::bindings::{engine, types};
use crate::contract::{self, ContractError, SizeBudget, contract_error};

pub(crate) use object::object;
pub(crate) use to_guest::{to_action, to_log_options, to_object_ref, to_removal, to_time};

/// The maximum size of an error message in bytes.
const MAX_MESSAGE_BYTES: usize = 4 * 1024;
/// The maximum number of namespaces that always exist.
const MAX_NAMESPACES: usize = 1_000;
/// The maximum length of a container ID in bytes, that of a Kubernetes name.
const MAX_ID_BYTES: u32 = 253;

type ContractResult<T> = Result<T, ContractError>;

/// Converts and validates the result of `describe`.
pub(crate) fn backend_info(info: engine::BackendInfo) -> ContractResult<BackendInfo> {
    let engine::BackendInfo {
        name,
        version,
        engine,
        id_form,
        namespaces,
        capabilities,
    } = info;
    if !contract::is_backend_name(&name) {
        return Err(contract_error!(
            "describe returned the name {}, which is not a DNS label",
            contract::quote(&name)
        ));
    }
    if let Err(error) = semver::Version::parse(&version) {
        return Err(contract_error!(
            "describe returned the version {}, which is not a semantic version: {error}",
            contract::quote(&version)
        ));
    }
    contract::check_name("name of the engine", &engine)?;
    let id_form = match id_form {
        engine::IdForm::LowerHex(len) if (1..=MAX_ID_BYTES).contains(&len) => {
            IdFormat::LowerHex(len)
        }
        engine::IdForm::Identifier(max) if (1..=MAX_ID_BYTES).contains(&max) => {
            IdFormat::Identifier(max)
        }
        engine::IdForm::LowerHex(len) | engine::IdForm::Identifier(len) => {
            return Err(contract_error!(
                "describe returned container IDs of {len} bytes; 1 to {MAX_ID_BYTES} are allowed"
            ));
        }
    };
    if namespaces.is_empty() {
        return Err(contract_error!(
            "describe returned no namespace; the first one is the default"
        ));
    }
    if namespaces.len() > MAX_NAMESPACES {
        return Err(contract_error!(
            "describe returned {} namespaces; {MAX_NAMESPACES} are allowed",
            namespaces.len()
        ));
    }
    namespaces
        .iter()
        .try_for_each(|name| contract::check_namespace(name))?;
    Ok(BackendInfo {
        name,
        version,
        engine,
        id_format: id_form,
        namespaces,
        capabilities: Capabilities {
            logs: capabilities.contains(engine::Capabilities::LOGS),
            actions: capabilities.contains(engine::Capabilities::ACTIONS),
            removals: capabilities.contains(engine::Capabilities::REMOVALS),
            ..Capabilities::default()
        },
    })
}

/// Converts an error that a component returned.
pub(crate) fn error(error: types::Error) -> EngineError {
    let types::Error { code, message } = error;
    let code = match code {
        types::ErrorCode::NotFound => ErrorCode::NotFound,
        types::ErrorCode::InvalidArgument => ErrorCode::InvalidArgument,
        types::ErrorCode::Conflict => ErrorCode::Conflict,
        types::ErrorCode::Replaced => ErrorCode::Replaced,
        types::ErrorCode::PermissionDenied => ErrorCode::PermissionDenied,
        types::ErrorCode::Unavailable => ErrorCode::Unavailable,
        types::ErrorCode::Unsupported => ErrorCode::Unsupported,
        types::ErrorCode::Timeout => ErrorCode::Timeout,
        types::ErrorCode::Cancelled => ErrorCode::Cancelled,
        types::ErrorCode::Internal => ErrorCode::Internal,
        // The code may become a condition's reason, so it must be a short word.
        types::ErrorCode::Other(name) if contract::is_backend_name(&name) => ErrorCode::Other(name),
        types::ErrorCode::Other(_) => ErrorCode::Internal,
    };
    EngineError::new(code, rdd_core::text::truncate(&message, MAX_MESSAGE_BYTES))
}

/// Converts the result of `inspect` and checks that it is the requested object.
pub(crate) fn inspection(
    id_format: IdFormat,
    requested: &ObjectRef,
    inspection: engine::Inspection,
) -> ContractResult<InspectResponse> {
    let engine::Inspection { object, raw } = inspection;
    let mut budget = SizeBudget::default();
    budget.add_text("raw", &raw)?;
    let (object, _) = object::object(id_format, object)?;
    let ObjectRef {
        kind,
        namespace,
        id,
    } = object.reference();
    if kind != requested.kind {
        return Err(contract_error!(
            "inspect of a {:?} returned a {kind:?}",
            requested.kind
        ));
    }
    if namespace != requested.namespace {
        return Err(contract_error!(
            "inspect of a {kind:?} of the namespace {} returned one of {}",
            contract::quote(&requested.namespace),
            contract::quote(&namespace)
        ));
    }
    if kind == ObjectKind::Container && id != requested.id {
        return Err(contract_error!(
            "inspect of the container {} returned {}",
            contract::quote(&requested.id),
            contract::quote(&id)
        ));
    }
    Ok(InspectResponse { object, raw })
}

/// Converts and validates a reference to an object. References of this version
/// of the contract name no namespace, so an object belongs to the default one.
pub(crate) fn object_ref(
    id_format: IdFormat,
    default_namespace: &str,
    it: types::ObjectRef,
) -> ContractResult<ObjectRef> {
    let types::ObjectRef { kind, id } = it;
    let kind = match kind {
        types::ObjectKind::Container => ObjectKind::Container,
        types::ObjectKind::Image => ObjectKind::Image,
        types::ObjectKind::Volume => ObjectKind::Volume,
        types::ObjectKind::Namespace => ObjectKind::Namespace,
    };
    match kind {
        ObjectKind::Container => contract::check_container_id(id_format, &id)?,
        ObjectKind::Image => contract::check_name("image's ID", &id)?,
        ObjectKind::Volume => contract::check_name("volume's name", &id)?,
        ObjectKind::Namespace => contract::check_namespace(&id)?,
    }
    let namespace = match kind {
        ObjectKind::Namespace => id.as_str(),
        ObjectKind::Container | ObjectKind::Image | ObjectKind::Volume => default_namespace,
    };
    let namespace = namespace.to_owned();
    Ok(ObjectRef {
        kind,
        namespace,
        id,
    })
}

/// Converts the source of a log chunk.
pub(crate) fn output_source(source: engine::LogSource) -> OutputSource {
    match source {
        engine::LogSource::Stdout => OutputSource::Stdout,
        engine::LogSource::Stderr => OutputSource::Stderr,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_without_a_namespace_is_rejected() {
        let described = |namespaces: &[&str]| engine::BackendInfo {
            name: "test".to_owned(),
            version: "1.0.0".to_owned(),
            engine: "Test".to_owned(),
            id_form: engine::IdForm::LowerHex(4),
            namespaces: namespaces.iter().map(ToString::to_string).collect(),
            capabilities: engine::Capabilities::empty(),
        };
        let info = backend_info(described(&["first", "second"])).unwrap();
        assert_eq!(info.default_namespace(), "first");
        let error = backend_info(described(&[])).unwrap_err();
        assert!(error.0.contains("no namespace"), "{error}");
    }

    #[test]
    fn an_inspected_object_of_another_namespace_is_rejected() {
        let requested = |namespace: &str| ObjectRef::new(ObjectKind::Namespace, namespace, "a");
        let inspection = || engine::Inspection {
            object: types::Object::Namespace("a".to_owned()),
            raw: String::new(),
        };
        let format = IdFormat::LowerHex(4);
        super::inspection(format, &requested("a"), inspection()).unwrap();
        let error = super::inspection(format, &requested("b"), inspection()).unwrap_err();
        assert!(error.0.contains("of the namespace \"b\""), "{error}");
    }
}
