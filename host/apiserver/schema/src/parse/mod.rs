//! From `openAPIV3Schema` to a compiled [`Node`]: read, check, compile.
//!
//! The order of the checks is upstream's, because it decides which errors are seen together: constructs that no
//! structural schema can hold hide the errors about structure, and rules are compiled only in a sound schema.

mod compile;
mod defaults;
mod general;
mod keywords;
mod lists;
mod props;
mod rule_texts;
mod structural;

use serde_json::Value;

use crate::cel::on_parser_stack;
use crate::error::FieldError;
use crate::node::Node;
use crate::path::Path;

pub(crate) use keywords::prune_unknown;
pub(crate) use props::RuleProps;

/// What parsing a sound schema gives.
pub(crate) struct Parsed {
    pub(crate) root: Node,
    pub(crate) warnings: Vec<String>,
}

/// Parses a schema that stands at `prefix`, on a stack that is large enough for any.
pub(crate) fn parse(prefix: &str, schema: &Value) -> Result<Parsed, Vec<FieldError>> {
    let broken = |problem: String| {
        vec![FieldError::forbidden(
            prefix,
            format!("the schema could not be compiled: {problem}"),
        )]
    };
    match on_parser_stack(|| parse_here(prefix, schema)) {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_panic)) => Err(broken("the compiler failed".to_owned())),
        Err(error) => Err(broken(error.to_string())),
    }
}

fn parse_here(prefix: &str, schema: &Value) -> Result<Parsed, Vec<FieldError>> {
    let path = Path::Root(prefix);
    let props = props::read(schema, &path)?;
    let unsupported = general::unsupported(&props, &path);
    let mut errors = Vec::new();
    let mut rule_errors = Vec::new();
    let mut root = None;
    if unsupported.is_none() {
        errors = structural::check(&props, &path);
        if errors.is_empty() {
            let compiled = compile::compile(&props, &path)?;
            errors = defaults::check(&compiled.root, &path);
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
        (Some(root), None) => Ok(Parsed {
            root,
            warnings: general::warnings(&props),
        }),
        (_, unsupported) => Err(unsupported.into_iter().collect()),
    }
}
