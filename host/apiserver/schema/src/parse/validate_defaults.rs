//! Checks defaults: each must be valid and have no unknown fields.

use crate::error::FieldError;
use crate::node::SchemaNode;
use crate::path::PathRef;
use crate::{pruning, validate};

/// Validates all defaults in a schema.
pub(super) fn validate_defaults(root: &SchemaNode, path: &PathRef<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    visit(root, path, &mut errors);
    errors
}

fn visit(node: &SchemaNode, path: &PathRef<'_>, errors: &mut Vec<FieldError>) {
    if let Some(default) = &node.default {
        let field = path.field("default");
        let mut pruned = default.clone();
        pruning::prune_default(node, &mut pruned);
        if pruned != *default {
            errors.push(FieldError::invalid(
                field,
                default.clone(),
                "must not have unknown fields",
            ));
        }
        errors.extend(validate::validate_default(
            node,
            default,
            &field.to_string(),
        ));
    }
    // Upstream neither checks nor forbids defaults in additionalProperties.
    if let Some(item) = &node.items {
        visit(item, &path.field("items"), errors);
    }
    let properties = path.field("properties");
    for (name, property) in &node.properties {
        visit(property, &properties.key(name), errors);
    }
}
