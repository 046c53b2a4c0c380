//! The validation of the responses of single calls.

use std::collections::HashSet;

use rdd_core::{
    EngineError, ErrorCode, IdFormat, InspectResponse, ObjectKind, ObjectRef, OutputChunk,
    TransferProgress, text,
};

use super::{ContractError, SizeBudget, check_name, contract_error, is_backend_name, quote};

/// The maximum size of an error message in bytes.
const MAX_MESSAGE_BYTES: usize = 4 * 1024;
/// The maximum number of layers in one transfer.
const MAX_LAYERS: usize = 1_000;
/// The maximum size of a layer's ID in bytes.
const MAX_LAYER_BYTES: usize = 256;

/// Returns an error of a backend with a message and a code that can be shown.
/// Codes that only the host uses become `Internal`.
pub fn engine_error(error: EngineError) -> EngineError {
    let EngineError { code, message } = error;
    let code = match code {
        // The code may become a condition's reason, so it must be a short word.
        ErrorCode::Other(name) if !is_backend_name(&name) => ErrorCode::Internal,
        ErrorCode::PluginFailed | ErrorCode::StreamFailed => ErrorCode::Internal,
        code => code,
    };
    EngineError::new(code, text::truncate(&message, MAX_MESSAGE_BYTES))
}

/// Validates the response of `inspect`, and checks that it is the requested
/// object.
///
/// # Errors
///
/// Fails if the contract does not allow the response.
pub fn inspection(
    id_format: IdFormat,
    requested: &ObjectRef,
    response: &mut InspectResponse,
) -> Result<(), ContractError> {
    let InspectResponse { object, raw } = response;
    SizeBudget::default().add_text("raw", raw)?;
    super::object(id_format, object)?;
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
            quote(&requested.namespace),
            quote(&namespace)
        ));
    }
    if kind == ObjectKind::Container && id != requested.id {
        return Err(contract_error!(
            "inspect of the container {} returned {}",
            quote(&requested.id),
            quote(&id)
        ));
    }
    Ok(())
}

/// Validates the ID that `create-container` returned.
///
/// # Errors
///
/// Fails if it does not have the backend's format.
pub fn created_container(id_format: IdFormat, id: &str) -> Result<(), ContractError> {
    super::names::check_container_id(id_format, id)
}

/// Validates the name that `create-volume` returned.
///
/// # Errors
///
/// Fails if it is not a name.
pub fn created_volume(name: &str) -> Result<(), ContractError> {
    check_name("volume's name", name)
}

/// Validates the size of a chunk of output.
///
/// # Errors
///
/// Fails if it has more than [`OutputChunk::MAX_LEN`] bytes.
pub fn output_chunk(bytes: usize) -> Result<(), ContractError> {
    if bytes > OutputChunk::MAX_LEN {
        return Err(contract_error!(
            "a chunk of output has {bytes} bytes; {} are allowed",
            OutputChunk::MAX_LEN
        ));
    }
    Ok(())
}

/// Validates the progress of one transfer.
#[derive(Debug, Default)]
pub struct TransferValidator {
    layers: HashSet<String>,
}

impl TransferValidator {
    /// Validates the next value.
    ///
    /// # Errors
    ///
    /// Fails if the layer's ID is not valid, or if there are too many layers.
    pub fn validate(&mut self, progress: &TransferProgress) -> Result<(), ContractError> {
        let layer = &progress.layer;
        if layer.len() > MAX_LAYER_BYTES {
            return Err(contract_error!(
                "a layer's ID is {} bytes long; {MAX_LAYER_BYTES} are allowed",
                layer.len()
            ));
        }
        check_name("layer's ID", layer)?;
        if !self.layers.contains(layer) {
            if self.layers.len() == MAX_LAYERS {
                return Err(contract_error!(
                    "a transfer has more than {MAX_LAYERS} layers"
                ));
            }
            self.layers.insert(layer.clone());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rdd_core::{EngineObject, TransferPhase};

    use super::*;

    #[test]
    fn an_inspected_object_of_another_kind_or_namespace_is_rejected() {
        let requested = |kind, namespace: &str| ObjectRef::new(kind, namespace, "a");
        let inspect = |requested: &ObjectRef| {
            let mut response = InspectResponse {
                object: EngineObject::Namespace("a".to_owned()),
                raw: String::new(),
            };
            inspection(IdFormat::LowerHex(4), requested, &mut response)
        };
        inspect(&requested(ObjectKind::Namespace, "a")).unwrap();
        let error = inspect(&requested(ObjectKind::Namespace, "b")).unwrap_err();
        assert!(error.0.contains("of the namespace \"b\""), "{error}");
        let error = inspect(&requested(ObjectKind::Volume, "a")).unwrap_err();
        assert!(error.0.contains("returned a Namespace"), "{error}");
    }

    #[test]
    fn a_code_of_the_host_or_an_odd_one_becomes_internal() {
        let code = |code| engine_error(EngineError::new(code, "x")).code;
        assert_eq!(code(ErrorCode::PluginFailed), ErrorCode::Internal);
        assert_eq!(code(ErrorCode::StreamFailed), ErrorCode::Internal);
        assert_eq!(
            code(ErrorCode::Other("No Word".to_owned())),
            ErrorCode::Internal
        );
        let kept = ErrorCode::Other("quota-exceeded".to_owned());
        assert_eq!(code(kept.clone()), kept);
        let long = engine_error(EngineError::new(ErrorCode::Conflict, "x".repeat(10_000)));
        assert!(
            long.message.len() <= MAX_MESSAGE_BYTES,
            "{}",
            long.message.len()
        );
    }

    #[test]
    fn the_layers_of_a_transfer_are_bounded() {
        let progress = |layer: &str| TransferProgress {
            layer: layer.to_owned(),
            phase: TransferPhase::Waiting,
            bytes_done: 0,
            bytes_total: None,
        };
        let mut validator = TransferValidator::default();
        for layer in 0..MAX_LAYERS {
            validator.validate(&progress(&layer.to_string())).unwrap();
        }
        validator.validate(&progress("0")).unwrap();
        let error = validator.validate(&progress("one more")).unwrap_err();
        assert!(error.0.contains("1000 layers"), "{error}");
        let error = validator.validate(&progress(&"x".repeat(257))).unwrap_err();
        assert!(error.0.contains("257 bytes"), "{error}");
        validator.validate(&progress("")).unwrap_err();
    }
}
