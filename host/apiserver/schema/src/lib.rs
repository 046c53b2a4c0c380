//! Structural schemas of CustomResourceDefinitions: parse, default, prune, validate, CEL rules.
//!
//! This room owns the meaning of a CRD's `openAPIV3Schema`. It is pure: `serde_json::Value` in, results out, no
//! clock, no input or output. Its invariant: a [`StructuralSchema`] exists only if every construct in it is understood and
//! enforced; whatever is not is refused by [`StructuralSchema::parse`], never accepted and then ignored.

mod cel;
mod defaulting;
mod error;
mod formats;
pub mod names;
mod node;
mod object_meta;
mod parse;
mod path;
mod pattern;
mod pruning;
mod validate;

use std::sync::Arc;

use serde_json::Value;

pub use crate::error::{FieldError, FieldErrorKind};
use crate::node::SchemaNode;

/// A parsed structural schema: compiled patterns and rules, ready for any number of objects. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StructuralSchema {
    root: Arc<SchemaNode>,
    warnings: Arc<[String]>,
}

impl StructuralSchema {
    /// Parses `openAPIV3Schema`; the field paths of the errors are relative to it.
    ///
    /// # Errors
    /// Every rule for structural schemas that is broken, each with its path.
    pub fn parse(openapi_v3_schema: &Value) -> Result<Self, Vec<FieldError>> {
        Self::parse_at("", openapi_v3_schema)
    }

    /// Like [`StructuralSchema::parse`], with `prefix` (say `spec.validation.openAPIV3Schema`) before every path, in messages
    /// that name another field too.
    ///
    /// # Errors
    /// As for [`StructuralSchema::parse`].
    pub fn parse_at(prefix: &str, openapi_v3_schema: &Value) -> Result<Self, Vec<FieldError>> {
        let parsed = parse::parse(prefix, openapi_v3_schema)?;
        Ok(Self {
            root: Arc::new(parsed.root),
            warnings: parsed.warnings.into(),
        })
    }

    /// Removes the keywords that no schema knows, as upstream does before it judges a definition; returns their dotted
    /// paths, sorted. [`StructuralSchema::parse`] refuses them.
    pub fn prune_keywords(openapi_v3_schema: &mut Value) -> Vec<String> {
        parse::prune_unknown_keywords(openapi_v3_schema)
    }

    /// What the author of the schema should be told although it is accepted: `unrecognized format "x"`.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Refuses an object with an embedded resource whose metadata cannot be decoded: a malformed request (400), not an
    /// invalid object. The root's own metadata is the caller's.
    ///
    /// # Errors
    /// The first such resource, in the words of upstream's decoder.
    pub fn check_metadata(&self, object: &Value) -> Result<(), FieldError> {
        object_meta::check(&self.root, object)
    }

    /// Fills in defaults, on write and on read. A null where the schema has a default and forbids null is replaced.
    pub fn apply_defaults(&self, object: &mut Value) {
        defaulting::apply(&self.root, object);
    }

    /// Removes the fields that the schema does not know; returns their dotted paths (`spec.list[0].bar`), sorted.
    ///
    /// `apiVersion`, `kind` and `metadata` are kept at the root and in embedded resources.
    pub fn prune(&self, object: &mut Value) -> Vec<String> {
        pruning::prune(&self.root, object)
    }

    /// Judges `new`, on an update together with the stored `old`: errors about parts that did not change are dropped.
    pub fn validate(&self, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
        validate::validate(&self.root, new, old)
    }
}
