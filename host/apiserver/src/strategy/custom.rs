//! The strategy of the kinds that CustomResourceDefinitions define.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use rdd_apiserver_schema::StructuralSchema;
use serde_json::Value;

use crate::scale_paths::ScalePaths;

/// The behavior of one version of a CustomResourceDefinition.
#[derive(Debug)]
pub(crate) struct CustomStrategy {
    pub(crate) schema: StructuralSchema,
    /// The schema of the storage version if that is another version: it
    /// decides which fields are stored.
    pub(crate) storage_schema: Option<StructuralSchema>,
    /// The schema in its original form, for OpenAPI.
    pub(crate) openapi_schema: Arc<Value>,
    pub(crate) status: bool,
    pub(crate) scale: Option<ScalePaths>,
    /// Field paths without the leading dot.
    pub(crate) selectable_fields: Vec<String>,
    /// Whether the definition is being deleted: creates are refused.
    pub(crate) terminating: AtomicBool,
    /// The revision of the definition that `terminating` reflects. Stored after
    /// it: a reader that loads this one first never loads an older
    /// `terminating`.
    pub(crate) definition_revision: AtomicU64,
    /// Whether stored objects are pruned and defaulted when they are read,
    /// because they may be older than this schema or written through another
    /// version.
    pub(crate) normalize_on_read: bool,
    /// The deprecation warning of this version.
    pub(crate) deprecation_warning: Option<String>,
}
