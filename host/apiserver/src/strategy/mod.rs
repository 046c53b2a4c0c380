//! What depends on the kind of a resource: the strategies of the built-in kinds and of
//! those that CustomResourceDefinitions define. The verbs know no others.

mod builtin;
mod custom;
mod normalize_error;

use std::fmt::Debug;

use serde_json::Value;

pub(crate) use self::builtin::BuiltinStrategy;
pub(crate) use self::custom::CustomStrategy;
pub(crate) use self::normalize_error::{NormalizeError, NullPolicy};
use crate::status::{ApiError, StatusCause};

/// The strategy of a resource, by where its kind comes from.
#[derive(Debug)]
pub(crate) enum ResourceStrategy {
    Builtin(BuiltinStrategy),
    Custom(CustomStrategy),
}

impl ResourceStrategy {
    pub(crate) fn as_dyn(&self) -> &dyn RestStrategy {
        match self {
            Self::Builtin(builtin) => builtin,
            Self::Custom(custom) => custom,
        }
    }
}

/// The behavior of a kind. The methods have the names of upstream's strategies
/// (`rest.RESTCreateStrategy`, `RESTUpdateStrategy`, `RESTDeleteStrategy`) where they
/// have the same task. What most kinds have in common is the default.
pub(crate) trait RestStrategy: Debug + Send + Sync {
    /// Decodes the fields of an object from a client, in place: unknown ones are removed
    /// and returned, and defaults are set.
    ///
    /// # Errors
    /// A field has the wrong type.
    fn normalize(
        &self,
        object: &mut Value,
        nulls: NullPolicy,
    ) -> Result<Vec<String>, NormalizeError>;

    /// Resets the fields that a create must not set.
    fn prepare_for_create(&self, object: &mut Value);

    /// Resets the fields that an update must not change to those of the live object.
    fn prepare_for_update(&self, object: &mut Value, live: &Value, subresource: Option<&str>);

    /// Validates the fields of an object, for an update against the old one.
    fn validate(
        &self,
        new: &Value,
        old: Option<&Value>,
        subresource: Option<&str>,
    ) -> Vec<StatusCause>;

    /// Returns warnings about a valid object.
    fn warnings(&self, _object: &Value) -> Vec<String> {
        Vec::new()
    }

    /// Removes what a stored object does not keep.
    fn canonicalize(&self, _object: &mut Value) {}

    /// Adds the fields of a new object that no manager owns.
    fn add_unowned_fields(&self, _object: &mut Value) {}

    /// Returns whether an update of an object that does not exist creates it.
    fn allow_create_on_update(&self) -> bool {
        false
    }

    /// Returns whether an update without a resource version replaces any version.
    fn allow_unconditional_update(&self) -> bool {
        false
    }

    /// Returns whether writes to the main resource ignore the status.
    fn has_status_subresource(&self) -> bool;

    /// Returns whether objects have a `generation`, which changes of the specification
    /// increment.
    fn tracks_generation(&self) -> bool {
        true
    }

    /// Returns whether the response to a deletion is the object.
    fn returns_deleted_object(&self) -> bool {
        false
    }

    /// Checks whether an object with a name may be deleted at all.
    ///
    /// # Errors
    /// 403 for one that the cluster needs.
    fn check_deletable(&self, _name: &str) -> Result<(), ApiError> {
        Ok(())
    }

    /// Changes an object whose deletion begins.
    fn prepare_for_delete(&self, _object: &mut Value, _now: &str) {}

    /// Returns whether a terminating object has a grace period.
    fn has_grace_period(&self) -> bool {
        true
    }

    /// Returns whether something other than `metadata.finalizers` holds a terminating
    /// object.
    fn is_held(&self, _object: &Value) -> bool {
        false
    }

    /// Returns the schema by which strategic merge patches are applied; `None` if the
    /// kind does not support them.
    fn merge_schema(&self) -> Option<&Value> {
        None
    }

    /// Returns the deprecation warning of this version.
    fn deprecation_warning(&self) -> Option<&str> {
        None
    }

    /// Returns whether stored bytes are sent unchanged, apart from the type that is
    /// written before them.
    fn is_verbatim(&self) -> bool;

    /// Makes of a stored object one of this version, in place.
    fn convert_from_storage(&self, object: &mut Value);

    /// Returns the form in which an object is stored, or `None` if it is the same.
    fn to_storage(&self, object: &Value) -> Option<Value>;

    /// Returns whether field selectors can use the field, beside those of `metadata`.
    fn is_selectable(&self, field: &str) -> bool;

    /// Returns the error message for a field that is not selectable.
    fn unknown_field_message(&self, field: &str) -> String;

    /// Returns the value of a selectable field.
    fn field_value(&self, object: &Value, field: &str) -> String;
}
