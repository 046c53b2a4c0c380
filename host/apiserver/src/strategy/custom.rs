//! The strategy of the kinds that CustomResourceDefinitions define.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use rdd_apiserver_schema::StructuralSchema;
use serde_json::Value;

use super::{NormalizeError, NullPolicy, RestStrategy};
use crate::meta;
use crate::scale_paths::ScalePaths;
use crate::selectors;
use crate::status::StatusCause;

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

impl RestStrategy for CustomStrategy {
    fn normalize(
        &self,
        object: &mut Value,
        nulls: NullPolicy,
    ) -> Result<Vec<String>, NormalizeError> {
        self.schema
            .check_metadata(object)
            .map_err(|error| NormalizeError::Embedded(error.to_string()))?;
        let unknown = self.schema.prune(object);
        match nulls {
            NullPolicy::Remove => self.schema.apply_defaults(object),
            NullPolicy::Keep => self.schema.apply_defaults_and_keep_nulls(object),
        }
        Ok(unknown)
    }

    fn prepare_for_create(&self, object: &mut Value) {
        if self.status {
            meta::set_field(object, "status", None);
        }
        meta::edit(object, |meta| {
            meta.insert("generation".to_owned(), 1.into());
        });
    }

    fn prepare_for_update(&self, object: &mut Value, live: &Value, subresource: Option<&str>) {
        if subresource != Some("status") {
            if self.status {
                meta::set_field(object, "status", live.get("status").cloned());
            }
            return;
        }
        let status = object.get("status").cloned();
        let managed = object.pointer("/metadata/managedFields").cloned();
        *object = live.clone();
        meta::set_field(object, "status", status);
        meta::edit(object, |meta| match managed {
            Some(managed) => {
                meta.insert("managedFields".to_owned(), managed);
            }
            None => {
                meta.remove("managedFields");
            }
        });
    }

    fn validate(
        &self,
        new: &Value,
        old: Option<&Value>,
        subresource: Option<&str>,
    ) -> Vec<StatusCause> {
        let errors = if subresource == Some("status") {
            self.schema.validate_status(new, old)
        } else {
            self.schema.validate(new, old)
        };
        let mut causes: Vec<StatusCause> = errors.iter().map(StatusCause::from).collect();
        causes.extend(self.scale.iter().flat_map(|paths| paths.validate(new)));
        causes
    }

    fn has_status_subresource(&self) -> bool {
        self.status
    }

    fn deprecation_warning(&self) -> Option<&str> {
        self.deprecation_warning.as_deref()
    }

    fn is_verbatim(&self) -> bool {
        !self.normalize_on_read
    }

    fn convert_from_storage(&self, object: &mut Value) {
        if self.normalize_on_read {
            self.schema.prune(object);
            self.schema.apply_defaults(object);
        }
    }

    fn to_storage(&self, object: &Value) -> Option<Value> {
        self.storage_schema.as_ref().map(|schema| {
            let mut pruned = object.clone();
            schema.prune(&mut pruned);
            pruned
        })
    }

    fn is_selectable(&self, field: &str) -> bool {
        self.selectable_fields.iter().any(|other| other == field)
    }

    fn unknown_field_message(&self, field: &str) -> String {
        format!("field label not supported: {field}")
    }

    fn field_value(&self, object: &Value, field: &str) -> String {
        selectors::field::field_value(object, field)
    }
}
