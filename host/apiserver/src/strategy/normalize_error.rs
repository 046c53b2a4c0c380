//! Why an object cannot be normalized, and what normalizing does with nulls.

use rdd_apiserver_kinds::builtin;

use crate::meta::object_meta::ObjectMetaError;

/// An object with a field of the wrong type.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NormalizeError {
    /// In its metadata.
    #[error(transparent)]
    ObjectMeta(#[from] ObjectMetaError),
    /// In the fields of a built-in kind.
    #[error(transparent)]
    Builtin(#[from] builtin::DecodeError),
    /// In the metadata of an embedded object.
    #[error("{0}")]
    Embedded(String),
}

impl NormalizeError {
    /// Returns the reason as upstream's converter gives it, where no JSON is decoded
    /// but that of bytes.
    pub(crate) fn converter_message(&self) -> String {
        match self {
            Self::Builtin(error @ builtin::DecodeError::InvalidBase64 { .. }) => {
                format!("error decoding from json: {error}")
            }
            other => other.to_string(),
        }
    }
}

/// What happens to a null that a custom resource's schema neither allows nor has a
/// default for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NullPolicy {
    Remove,
    /// It stays, and the object is not valid.
    Keep,
}
