//! Type checking: warnings about expressions that cannot be right for one of the types that a policy matches.

use serde_json::Value as Json;

use super::super::limits::run_on_parser_stack;
use super::openapi_types::declare;
use super::policy_compiler::PolicyCompiler;
use super::policy_program::PolicyProgram;
use super::variable_types::{OBJECT, OLD_OBJECT, PARAMS, environment};

/// A type that a policy matches.
#[derive(Clone, Debug)]
pub struct MatchedType {
    /// Its group, version, and kind, as warnings name it.
    pub name: String,
    /// Its OpenAPI schema, without references.
    pub schema: Json,
}

/// A warning for the author of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionWarning {
    /// The path of the expression, such as `spec.validations[0].expression`.
    pub field: String,
    /// One paragraph for each type.
    pub warning: String,
}

impl PolicyProgram {
    /// Checks the validations of a policy's `spec` with each of the types that it matches, and with the schema of its
    /// parameters if that is known.
    pub fn check_types(
        spec: &Json,
        types: &[MatchedType],
        params: Option<&Json>,
    ) -> Vec<ExpressionWarning> {
        run_on_parser_stack(|| check(spec, types, params))
            .ok()
            .and_then(Result::ok)
            .unwrap_or_default()
    }
}

fn check(spec: &Json, types: &[MatchedType], params: Option<&Json>) -> Vec<ExpressionWarning> {
    let mut warnings: Vec<ExpressionWarning> = Vec::new();
    let has_params = spec["paramKind"].is_object();
    for matched in types {
        let mut environment = environment(has_params);
        let object = declare(&matched.schema);
        environment.declare(OBJECT, object.clone());
        environment.declare(OLD_OBJECT, object);
        if let (true, Some(params)) = (has_params, params) {
            environment.declare(PARAMS, declare(params));
        }
        for error in PolicyCompiler::new(environment).type_errors(spec) {
            let warning = format!("{}: {}", matched.name, error.detail);
            match warnings.iter_mut().find(|other| other.field == error.field) {
                Some(other) => other.warning.push_str(&format!("\n{warning}")),
                None => warnings.push(ExpressionWarning {
                    field: error.field,
                    warning,
                }),
            }
        }
    }
    warnings
}
