//! Parses an `openAPIV3Schema` into a compiled [`SchemaNode`]: reads its keywords, checks them, and compiles them.
//!
//! The order of the checks is upstream's, because it determines which errors are reported together: unsupported
//! constructs hide the errors about structure, and rules are compiled only in a valid schema.

mod keywords;
mod props;

mod completeness;
mod general;
mod list_types;
mod rule_fields;
mod structural;

mod schema_compiler;
mod validate_defaults;

use serde_json::Value;

use crate::cel::run_on_parser_stack;
use crate::error::FieldError;
use crate::node::SchemaNode;
use crate::path::PathRef;

pub(crate) use keywords::prune_unknown_keywords;

/// The result of parsing a valid schema.
pub(crate) struct ParsedSchema {
    pub(crate) root: SchemaNode,
    pub(crate) warnings: Vec<String>,
}

/// Parses a schema whose path is `prefix`, on a thread with a large stack.
pub(crate) fn parse(prefix: &str, schema: &Value) -> Result<ParsedSchema, Vec<FieldError>> {
    let internal_error = |reason: String| {
        vec![FieldError::forbidden(
            prefix,
            format!("the schema could not be compiled: {reason}"),
        )]
    };
    match run_on_parser_stack(|| parse_schema(prefix, schema)) {
        Ok(Ok(result)) => result,
        Ok(Err(_panic)) => Err(internal_error("the compiler failed".to_owned())),
        Err(error) => Err(internal_error(error.to_string())),
    }
}

fn parse_schema(prefix: &str, schema: &Value) -> Result<ParsedSchema, Vec<FieldError>> {
    let path = PathRef::Root(prefix);
    let props = props::read_props(schema, &path)?;
    let unsupported = general::find_unsupported(&props, &path);
    let mut errors = Vec::new();
    let mut rule_errors = Vec::new();
    let mut root = None;
    if unsupported.is_none() {
        errors = structural::check(&props, &path);
        if errors.is_empty() {
            let compiled = schema_compiler::compile_schema(&props, &path)?;
            errors = validate_defaults::validate_defaults(&compiled.root, &path);
            if errors.is_empty() {
                rule_errors = compiled.rule_errors;
            }
            root = Some(compiled.root);
        }
    }
    let general = general::check(&props, &path);
    // Errors of rules are reported only if the schema itself is valid.
    if general.is_empty() {
        errors.extend(rule_errors);
    }
    errors.extend(general);
    match (root, unsupported) {
        _ if !errors.is_empty() => Err(errors),
        (Some(root), None) => Ok(ParsedSchema {
            root,
            warnings: general::warnings(&props),
        }),
        (_, unsupported) => Err(unsupported.into_iter().collect()),
    }
}
