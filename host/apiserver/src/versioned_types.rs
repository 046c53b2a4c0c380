//! The types of a kind's fields in its versions.

use std::sync::Arc;

use rdd_apiserver_fieldmanager::ObjectType;
use serde_json::Value;

/// The types of a kind's fields, which determine how they are merged and owned.
#[derive(Debug, Clone)]
pub(crate) struct VersionedTypes {
    /// The types of the resource's version.
    pub(crate) tree: Arc<ObjectType>,
    /// The types of all served versions, by `apiVersion`; empty if there is only one.
    pub(crate) versions: Arc<[(String, Arc<ObjectType>)]>,
    /// The object in which no field is set, if that is not an empty one.
    pub(crate) zero: Option<Arc<Value>>,
}

impl VersionedTypes {
    /// Returns the types of a kind with one version.
    pub(crate) fn from_schema(schema: &Value) -> Self {
        Self {
            tree: Arc::new(ObjectType::from_openapi(schema)),
            versions: Arc::new([]),
            zero: None,
        }
    }

    /// Sets the object in which no field is set.
    pub(crate) fn with_zero(self, zero: Option<Value>) -> Self {
        Self {
            zero: zero.map(Arc::new),
            ..self
        }
    }

    /// Returns the types of one of several versions.
    pub(crate) fn with_versions(
        tree: Arc<ObjectType>,
        versions: Arc<[(String, Arc<ObjectType>)]>,
    ) -> Self {
        Self {
            tree,
            versions,
            zero: None,
        }
    }
}
