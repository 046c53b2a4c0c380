//! The strategies of roles and of their bindings.

pub(super) mod kinds;

mod binding;
mod role;

use rdd_apiserver_schema::FieldError;
use rdd_apiserver_schema::names::validate_path_segment;
use serde_json::Value;

use super::field_errors::{invalid_for_each, required};

/// The group of roles and bindings.
const GROUP: &str = "rbac.authorization.k8s.io";

/// Returns the items of a list; none if the field is not a list.
fn items<'v>(object: &'v Value, field: &str) -> &'v [Value] {
    object[field].as_array().map_or(&[], Vec::as_slice)
}

fn text<'v>(object: &'v Value, field: &str) -> &'v str {
    object[field].as_str().unwrap_or_default()
}

/// Validates the name of a role, of a user, or of a group that a field holds.
fn validate_name(field: &str, name: &str) -> Vec<FieldError> {
    if name.is_empty() {
        return vec![required(field, "")];
    }
    invalid_for_each(field, name, validate_path_segment(name)).collect()
}
