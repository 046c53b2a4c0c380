//! From `openAPIV3Schema` to a compiled [`Node`]: read, check, compile.
//!
//! The order of the checks is upstream's, because it decides which errors are seen together: constructs that no
//! structural schema can hold hide the errors about structure, and rules are compiled only in a sound schema.

mod general;
mod keywords;
mod list_types;
mod props;
mod rule_fields;
mod schema_compiler;
mod structural;
mod validate_defaults;

use serde_json::Value;

use crate::cel::run_on_parser_stack;
use crate::error::FieldError;
use crate::node::SchemaNode;
use crate::path::PathRef;

pub(crate) use keywords::prune_unknown_keywords;
pub(crate) use props::ValidationRule;

/// What parsing a sound schema gives.
pub(crate) struct ParsedSchema {
    pub(crate) root: SchemaNode,
    pub(crate) warnings: Vec<String>,
}

/// Parses a schema that stands at `prefix`, on a stack that is large enough for any.
pub(crate) fn parse(prefix: &str, schema: &Value) -> Result<ParsedSchema, Vec<FieldError>> {
    let broken = |problem: String| {
        vec![FieldError::forbidden(
            prefix,
            format!("the schema could not be compiled: {problem}"),
        )]
    };
    match run_on_parser_stack(|| parse_on_this_stack(prefix, schema)) {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_panic)) => Err(broken("the compiler failed".to_owned())),
        Err(error) => Err(broken(error.to_string())),
    }
}

fn parse_on_this_stack(prefix: &str, schema: &Value) -> Result<ParsedSchema, Vec<FieldError>> {
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
    // The errors of rules are told once the schema itself is sound.
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
