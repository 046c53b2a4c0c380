//! Structural schemas of CustomResourceDefinitions: parsing, defaulting, pruning, validation, and CEL rules. Also the
//! CEL expressions of ValidatingAdmissionPolicies, which share the compiler and the evaluator with the rules.
//!
//! This crate owns the meaning of a CRD's `openAPIV3Schema`. It is pure: it works on `serde_json::Value`, without a
//! clock, input, or output. Its invariant: a [`StructuralSchema`] exists only if every construct in it is supported and
//! enforced; [`StructuralSchema::parse`] rejects any other construct instead of ignoring it.
//!
//! No maintained crate implements structural schemas with Kubernetes' semantics and error messages: JSON Schema
//! validators differ in both.

// In layers: each module uses only those after it.

mod parse;

mod validate;

mod rules;

mod defaulting;
mod pruning;

mod object_meta;
mod ratcheting;

mod node;

mod compiled_rule;

mod cel;

mod formats;
pub mod names;
mod pattern;
mod removed_fields;

mod error;
mod path;

use std::sync::Arc;

use serde_json::Value;

pub use crate::cel::admission::{
    AdmissionInput, ExpressionWarning, FailureReason, MatchedType, PolicyProgram, PolicyReport,
    ValidationFailure,
};
pub use crate::cel::{AuthorizationSource, CheckOutcome, CheckRequest, ResourceTarget};
pub use crate::error::{FieldError, FieldErrorKind};
use crate::node::SchemaNode;

/// A parsed structural schema, with its patterns and rules compiled.
///
/// It can be applied to any number of objects, and is cheap to clone.
///
/// # Examples
///
/// ```
/// use rdd_apiserver_schema::StructuralSchema;
/// use serde_json::json;
///
/// let schema = StructuralSchema::parse(&json!({
///     "type": "object",
///     "properties": {
///         "spec": {
///             "type": "object",
///             "properties": {
///                 "replicas": {"type": "integer", "minimum": 0, "default": 1},
///                 "mode": {"type": "string"},
///             },
///             "x-kubernetes-validations": [
///                 {"rule": "self.replicas < 10 || self.mode == 'large'", "message": "needs mode large"},
///             ],
///         },
///     },
/// }))
/// .map_err(|errors| format!("{errors:?}"))?;
///
/// let mut object = json!({"spec": {"mode": "small", "unknown": true}});
/// assert_eq!(schema.prune(&mut object), ["spec.unknown"]);
/// schema.apply_defaults(&mut object);
/// assert_eq!(object, json!({"spec": {"mode": "small", "replicas": 1}}));
/// assert!(schema.validate(&object, None).is_empty());
///
/// let large = json!({"spec": {"mode": "small", "replicas": 12}});
/// let errors = schema.validate(&large, Some(&object));
/// assert_eq!(errors[0].to_string(), "spec: Invalid value: needs mode large");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug)]
pub struct StructuralSchema {
    root: Arc<SchemaNode>,
    warnings: Arc<[String]>,
}

impl StructuralSchema {
    /// Parses an `openAPIV3Schema`. The paths of errors are relative to it.
    ///
    /// # Errors
    ///
    /// Returns an error for each violation of the requirements of structural schemas, with its path.
    pub fn parse(openapi_v3_schema: &Value) -> Result<Self, Vec<FieldError>> {
        Self::parse_at("", openapi_v3_schema)
    }

    /// Like [`StructuralSchema::parse`], but all paths in errors begin with `prefix`, such as
    /// `spec.validation.openAPIV3Schema`; also the paths of other fields in messages.
    ///
    /// # Errors
    ///
    /// See [`StructuralSchema::parse`].
    pub fn parse_at(prefix: &str, openapi_v3_schema: &Value) -> Result<Self, Vec<FieldError>> {
        let parsed = parse::parse(prefix, openapi_v3_schema)?;
        Ok(Self {
            root: Arc::new(parsed.root),
            warnings: parsed.warnings.into(),
        })
    }

    /// Removes unknown keywords, as upstream does before it validates a definition; returns their dotted paths, sorted.
    ///
    /// [`StructuralSchema::parse`] rejects unknown keywords.
    pub fn prune_keywords(openapi_v3_schema: &mut Value) -> Vec<String> {
        parse::prune_unknown_keywords(openapi_v3_schema)
    }

    /// Returns warnings for the author of the schema, such as `unrecognized format "x"`.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Checks that the metadata of embedded resources can be decoded. The metadata of the object itself is the caller's
    /// responsibility.
    ///
    /// # Errors
    ///
    /// Returns the error of upstream's decoder for the first embedded resource that is malformed. The request is then
    /// malformed (400); the object is not merely invalid.
    pub fn check_metadata(&self, object: &Value) -> Result<(), FieldError> {
        object_meta::check(&self.root, object)
    }

    /// Fills in defaults, on write and on read. A null is replaced if the schema has a default and is not nullable;
    /// without a default, such a null is removed.
    pub fn apply_defaults(&self, object: &mut Value) {
        defaulting::apply(&self.root, object);
    }

    /// Does the same as [`Self::apply_defaults`], but keeps nulls without a default, which are then not valid. So it
    /// is for the result of a server-side apply, which fails instead of losing a field that its manager owns.
    pub fn apply_defaults_and_keep_nulls(&self, object: &mut Value) {
        defaulting::fill(&self.root, object);
    }

    /// Removes the fields that the schema does not specify; returns their paths (`spec.list[0].bar`), sorted.
    ///
    /// At most 200 paths are returned. `apiVersion`, `kind`, and `metadata` are kept at the root and in embedded resources.
    pub fn prune(&self, object: &mut Value) -> Vec<String> {
        pruning::prune(&self.root, object)
    }

    /// Validates `new`; returns its errors. `old` is the stored object that an update replaces: errors about values that
    /// the update does not change are dropped.
    pub fn validate(&self, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
        validate::validate(&self.root, new, old)
    }

    /// Validates an object after a write to `/status`, as upstream: of the values, those of the status alone, so that
    /// messages have paths within it.
    pub fn validate_status(&self, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
        validate::validate_status(&self.root, new, old)
    }
}
