//! Results of a component.

use rdd_core::{
    BackendInfo, Capabilities, EngineError, ErrorCode, IdFormat, InspectResponse, ObjectKind,
    ObjectRef, WatchEvent,
};
use rdd_plugin_contract::{ContractError, validation};

use super::object::object;
use crate::bindings::{engine, types};

/// Converts and validates the result of `describe`.
pub(crate) fn backend_info(info: engine::BackendInfo) -> Result<BackendInfo, ContractError> {
    let engine::BackendInfo {
        name,
        version,
        engine,
        id_form,
        namespaces,
        capabilities,
    } = info;
    let has = |flag| capabilities.contains(flag);
    let info = BackendInfo {
        name,
        version,
        engine,
        id_format: match id_form {
            engine::IdForm::LowerHex(digits) => IdFormat::LowerHex(digits),
            engine::IdForm::Identifier(max_bytes) => IdFormat::Identifier(max_bytes),
        },
        namespaces,
        capabilities: Capabilities {
            logs: has(engine::Capabilities::LOGS),
            entries: has(engine::Capabilities::ENTRIES),
            entry_times: has(engine::Capabilities::ENTRY_TIMES),
            actions: has(engine::Capabilities::ACTIONS),
            removals: has(engine::Capabilities::REMOVALS),
            create_containers: has(engine::Capabilities::CREATE_CONTAINERS),
            create_volumes: has(engine::Capabilities::CREATE_VOLUMES),
            exec: has(engine::Capabilities::EXEC),
            pull: has(engine::Capabilities::PULL),
            push: has(engine::Capabilities::PUSH),
        },
    };
    validation::backend_info(&info)?;
    Ok(info)
}

/// Converts an error that a component returned.
pub(crate) fn engine_error(error: types::Error) -> EngineError {
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
        types::ErrorCode::Other(name) => ErrorCode::Other(name),
    };
    validation::engine_error(EngineError::new(code, message))
}

/// Converts and validates the result of `inspect`.
pub(crate) fn inspection(
    id_format: IdFormat,
    requested: &ObjectRef,
    inspection: engine::Inspection,
) -> Result<InspectResponse, ContractError> {
    let mut response = InspectResponse {
        object: object(inspection.object)?,
        raw: inspection.raw,
    };
    validation::inspection(id_format, requested, &mut response)?;
    Ok(response)
}

/// Converts a reference to an object.
fn object_ref(reference: types::ObjectRef) -> ObjectRef {
    let types::ObjectRef {
        kind,
        namespace,
        id,
    } = reference;
    let kind = match kind {
        types::ObjectKind::Container => ObjectKind::Container,
        types::ObjectKind::Image => ObjectKind::Image,
        types::ObjectKind::Volume => ObjectKind::Volume,
        types::ObjectKind::Namespace => ObjectKind::Namespace,
    };
    ObjectRef {
        kind,
        namespace,
        id,
    }
}

/// Converts an event of a watch. The caller validates it.
pub(crate) fn watch_event(event: engine::Event) -> Result<WatchEvent, ContractError> {
    Ok(match event {
        engine::Event::InitBegin => WatchEvent::InitBegin,
        engine::Event::Applied(applied) => WatchEvent::Applied(Box::new(object(applied)?)),
        engine::Event::InitDone => WatchEvent::InitDone,
        engine::Event::Removed(reference) => WatchEvent::Removed(object_ref(reference)),
    })
}
