//! Compiles the expressions of a policy.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::super::compile_error::CompileError;
use super::super::environment::VariableEnvironment;
use super::super::limits::{self, run_on_parser_stack};
use super::super::program::CelProgram;
use super::super::types::{CelType, DeclType};
use super::policy_program::{
    AnnotationProgram, ConditionProgram, FailurePolicy, FailureReason, PolicyProgram,
    ValidationProgram, VariableProgram,
};
use super::variable_types::{
    AUTHORIZER, AUTHORIZER_RESOURCE, VARIABLES, environment, object, scalar,
};
use crate::error::FieldError;
use crate::path::PathRef;

/// The maximum length of the expression of an audit annotation, in bytes.
const MAX_ANNOTATION_BYTES: usize = 5 * 1024;

/// The type that an expression must have.
#[derive(Clone, Copy)]
enum ExpectedType {
    Any,
    Bool,
    Text,
    OptionalText,
}

impl ExpectedType {
    /// Returns the error of a type that is not expected.
    fn mismatch(self, actual: &CelType) -> Option<String> {
        let (matches, expected) = match self {
            Self::Any => (true, ""),
            Self::Bool => (matches!(actual, CelType::Bool), "bool"),
            Self::Text => (matches!(actual, CelType::String), "string"),
            Self::OptionalText => (
                matches!(actual, CelType::String | CelType::Null),
                "one of [string null_type]",
            ),
        };
        (!matches).then(|| format!("must evaluate to {expected} but got {actual}"))
    }
}

pub(super) struct PolicyCompiler {
    environment: VariableEnvironment,
    errors: Vec<FieldError>,
    /// The types of the variables so far.
    variable_types: BTreeMap<String, Arc<DeclType>>,
    /// How deeply the evaluation of each variable is nested, including the variables that it uses.
    variable_depths: BTreeMap<String, usize>,
}

impl PolicyProgram {
    /// Compiles the `spec` of a policy.
    ///
    /// # Errors
    /// Returns an error for each expression that is missing, cannot be compiled, or has the wrong type.
    pub fn compile(spec: &Json) -> Result<Self, Vec<FieldError>> {
        run_on_parser_stack(|| compile(spec))
            .ok()
            .and_then(Result::ok)
            .unwrap_or_else(|| {
                Err(vec![FieldError::invalid(
                    "spec",
                    Json::Null,
                    "the expressions cannot be compiled",
                )])
            })
    }
}

fn compile(spec: &Json) -> Result<PolicyProgram, Vec<FieldError>> {
    let mut compiler = PolicyCompiler::new(environment(spec["paramKind"].is_object()));
    let root = PathRef::Root("spec");
    // Match conditions are evaluated first and do not see the variables.
    let conditions = compiler.compile_items(spec, "matchConditions", &root, |c, item, path| {
        let program = c.compile_required(item, "expression", "", ExpectedType::Bool, path)?;
        Some(ConditionProgram {
            program,
            source: text(item, "expression").to_owned(),
        })
    });
    let variables = compiler.compile_variables(spec, &root);
    let validations = compiler.compile_items(
        spec,
        "validations",
        &root,
        PolicyCompiler::compile_validation,
    );
    let annotations = compiler.compile_items(
        spec,
        "auditAnnotations",
        &root,
        PolicyCompiler::compile_annotation,
    );
    if !compiler.errors.is_empty() {
        return Err(compiler.errors);
    }
    Ok(PolicyProgram {
        failure_policy: match spec["failurePolicy"].as_str() {
            Some("Ignore") => FailurePolicy::Ignore,
            _ => FailurePolicy::Fail,
        },
        conditions,
        variables,
        validations,
        annotations,
    })
}

fn items<'j>(value: &'j Json, field: &str) -> &'j [Json] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}

fn text<'j>(value: &'j Json, field: &str) -> &'j str {
    value[field].as_str().unwrap_or_default()
}

impl PolicyCompiler {
    pub(super) fn new(environment: VariableEnvironment) -> Self {
        Self {
            environment,
            errors: Vec::new(),
            variable_types: BTreeMap::new(),
            variable_depths: BTreeMap::new(),
        }
    }

    /// Returns the errors of the validations and their messages.
    pub(super) fn type_errors(mut self, spec: &Json) -> Vec<FieldError> {
        let root = PathRef::Root("spec");
        self.compile_variables(spec, &root);
        // Only the uses of a variable count.
        self.errors.clear();
        let validations = root.field("validations");
        for (index, item) in items(spec, "validations").iter().enumerate() {
            for field in ["expression", "messageExpression"] {
                let source = text(item, field);
                if !source.trim().is_empty() {
                    let path = validations.index(index);
                    self.compile_expression(source, ExpectedType::Any, &path.field(field));
                }
            }
        }
        self.errors
    }

    fn compile_variables(&mut self, spec: &Json, root: &PathRef<'_>) -> Vec<VariableProgram> {
        if !items(spec, "variables").is_empty() {
            self.declare_variables();
        }
        self.compile_items(spec, "variables", root, Self::compile_variable)
    }

    fn compile_items<T>(
        &mut self,
        spec: &Json,
        field: &str,
        root: &PathRef<'_>,
        compile: impl Fn(&mut Self, &Json, &PathRef<'_>) -> Option<T>,
    ) -> Vec<T> {
        let path = root.field(field);
        let mut compiled = Vec::new();
        for (index, item) in items(spec, field).iter().enumerate() {
            compiled.extend(compile(self, item, &path.index(index)));
        }
        compiled
    }

    fn declare_variables(&mut self) {
        self.environment
            .declare(VARIABLES, object(self.variable_types.clone()));
    }

    fn compile_variable(&mut self, item: &Json, path: &PathRef<'_>) -> Option<VariableProgram> {
        let name = text(item, "name").to_owned();
        let program = self.compile_required(
            item,
            "expression",
            "expression is not specified",
            ExpectedType::Any,
            path,
        );
        // A variable with an error is declared as well, so that its uses are no errors.
        let ty = program
            .as_ref()
            .map_or(CelType::Dyn, |program| program.result_type.clone());
        let depth = program.as_ref().map_or(0, |program| self.depth(program));
        self.variable_types.insert(name.clone(), scalar(ty));
        self.variable_depths.insert(name.clone(), depth);
        self.declare_variables();
        Some(VariableProgram {
            name,
            program: program?,
        })
    }

    fn compile_validation(&mut self, item: &Json, path: &PathRef<'_>) -> Option<ValidationProgram> {
        let program = self.compile_required(
            item,
            "expression",
            "expression is not specified",
            ExpectedType::Bool,
            path,
        );
        let message_source = text(item, "messageExpression");
        let message_program = if message_source.is_empty() {
            None
        } else if message_source.trim().is_empty() {
            self.errors.push(FieldError::invalid(
                path.field("messageExpression"),
                message_source,
                "must be non-empty if specified",
            ));
            None
        } else {
            let path = path.field("messageExpression");
            // A message only says what has been decided.
            let environment = self.environment.without(&[AUTHORIZER, AUTHORIZER_RESOURCE]);
            self.compile_in(&environment, message_source, ExpectedType::Text, &path)
        };
        let (source, message) = (
            text(item, "expression").trim(),
            text(item, "message").trim(),
        );
        Some(ValidationProgram {
            program: program?,
            source: text(item, "expression").to_owned(),
            message: if message.is_empty() {
                format!("failed expression: {source}")
            } else {
                message.to_owned()
            },
            message_program,
            reason: FailureReason::from_name(text(item, "reason")),
        })
    }

    fn compile_annotation(&mut self, item: &Json, path: &PathRef<'_>) -> Option<AnnotationProgram> {
        let source = text(item, "valueExpression");
        if source.trim().len() > MAX_ANNOTATION_BYTES {
            self.errors.push(FieldError::required(
                path.field("valueExpression"),
                format!("must not exceed {MAX_ANNOTATION_BYTES} bytes in length"),
            ));
            return None;
        }
        let program = self.compile_required(
            item,
            "valueExpression",
            "valueExpression is not specified",
            ExpectedType::OptionalText,
            path,
        )?;
        Some(AnnotationProgram {
            program,
            source: source.to_owned(),
        })
    }

    /// Compiles the expression in a field that must not be empty.
    fn compile_required(
        &mut self,
        item: &Json,
        field: &str,
        missing: &str,
        expected: ExpectedType,
        path: &PathRef<'_>,
    ) -> Option<CelProgram> {
        let path = path.field(field);
        let source = text(item, field);
        if source.trim().is_empty() {
            self.errors.push(FieldError::required(path, missing));
            return None;
        }
        self.compile_expression(source, expected, &path)
    }

    fn compile_expression(
        &mut self,
        source: &str,
        expected: ExpectedType,
        path: &PathRef<'_>,
    ) -> Option<CelProgram> {
        let environment = self.environment.clone();
        self.compile_in(&environment, source, expected, path)
    }

    fn compile_in(
        &mut self,
        environment: &VariableEnvironment,
        source: &str,
        expected: ExpectedType,
        path: &PathRef<'_>,
    ) -> Option<CelProgram> {
        let compiled = CelProgram::compile(source, environment)
            .and_then(|program| {
                limits::check_depth(self.depth(&program))?;
                Ok(program)
            })
            .map_err(|error: CompileError| format!("compilation failed: {error}"));
        let checked = compiled.and_then(|program| match expected.mismatch(&program.result_type) {
            Some(mismatch) => Err(mismatch),
            None => Ok(program),
        });
        checked
            .map_err(|detail| self.errors.push(FieldError::invalid(path, source, detail)))
            .ok()
    }

    /// Returns how deeply an evaluation is nested, including the variables that the expression uses.
    fn depth(&self, program: &CelProgram) -> usize {
        let used = program.selected_fields(VARIABLES);
        let deepest = used
            .iter()
            .filter_map(|name| self.variable_depths.get(*name))
            .max();
        program.nesting + deepest.unwrap_or(&0)
    }
}
