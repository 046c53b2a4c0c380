//! A compiled policy, and its evaluation on one request.

use cel::Value;
use serde_json::Value as Json;

use super::super::evaluator::EvaluationError;
use super::super::program::CelProgram;
use super::input::{AdmissionInput, PolicyScope};

/// The maximum number of steps of one expression: about a tenth of a second.
const MAX_EXPRESSION_STEPS: u64 = 1_000_000;
/// The maximum number of steps of all match conditions of a policy.
const MAX_CONDITION_STEPS: u64 = 2_500_000;
/// The maximum number of steps of all validations of a policy, and of all its audit annotations.
const MAX_POLICY_STEPS: u64 = 10_000_000;
/// The maximum length of a message from an expression, in bytes. A longer one is not used.
const MAX_MESSAGE_BYTES: usize = 5 * 1024;
/// The error of a policy whose expressions together take too many steps.
const OUT_OF_BUDGET: &str =
    "validation failed due to running out of cost budget, no further validation rules will be run";

/// What an error of an expression means for the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailurePolicy {
    Fail,
    Ignore,
}

/// The reason in the `Status` of a denied request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailureReason {
    /// 403.
    Forbidden,
    /// 422.
    #[default]
    Invalid,
    /// 413.
    RequestEntityTooLarge,
}

impl FailureReason {
    /// The names of all reasons, sorted.
    pub const NAMES: [&'static str; 3] = ["Forbidden", "Invalid", "RequestEntityTooLarge"];

    /// Returns the reason of this name; the default for any other text.
    pub(super) fn from_name(name: &str) -> Self {
        match name {
            "Forbidden" => Self::Forbidden,
            "RequestEntityTooLarge" => Self::RequestEntityTooLarge,
            _ => Self::Invalid,
        }
    }
}

/// A validation that an object does not pass, or an expression that cannot be evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidationFailure {
    /// The sentence for the client.
    pub message: String,
    /// The reason for the `Status`.
    pub reason: FailureReason,
}

impl ValidationFailure {
    /// Creates a failure with the default reason.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            reason: FailureReason::default(),
        }
    }
}

/// What a policy reports about a request. It is empty for a request that passes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyReport {
    /// The failures that the actions of a binding decide about.
    pub failures: Vec<ValidationFailure>,
    /// The failures of audit annotations, which deny the request with any action.
    pub annotation_failures: Vec<ValidationFailure>,
}

#[derive(Debug)]
pub(super) struct ConditionProgram {
    pub(super) program: CelProgram,
    pub(super) source: String,
}

#[derive(Debug)]
pub(super) struct VariableProgram {
    pub(super) name: String,
    pub(super) program: CelProgram,
}

#[derive(Debug)]
pub(super) struct ValidationProgram {
    pub(super) program: CelProgram,
    pub(super) source: String,
    /// The message of a failure, unless the message expression returns one.
    pub(super) message: String,
    pub(super) message_program: Option<CelProgram>,
    pub(super) reason: FailureReason,
}

#[derive(Debug)]
pub(super) struct AnnotationProgram {
    pub(super) program: CelProgram,
    pub(super) source: String,
}

/// The compiled expressions of a policy.
#[derive(Debug)]
pub struct PolicyProgram {
    pub(super) failure_policy: FailurePolicy,
    pub(super) conditions: Vec<ConditionProgram>,
    pub(super) variables: Vec<VariableProgram>,
    pub(super) validations: Vec<ValidationProgram>,
    pub(super) annotations: Vec<AnnotationProgram>,
}

/// The value of an expression, or the sentence that says why it has none.
type ExpressionResult = Result<Value, String>;

/// The steps of the evaluations of all expressions together are used up.
struct BudgetError;

impl PolicyProgram {
    /// Returns whether errors, of the policy's configuration as well, let a request pass.
    pub fn ignores_errors(&self) -> bool {
        self.failure_policy == FailurePolicy::Ignore
    }

    /// Evaluates the policy on a request, with one object of parameters or none.
    pub fn evaluate(&self, input: &AdmissionInput<'_>, params: Option<&Json>) -> PolicyReport {
        match self.match_conditions(input, params) {
            Ok(true) => {}
            Ok(false) => return PolicyReport::default(),
            Err(message) => return self.error_report(message),
        }
        let scope = PolicyScope::new(input, params, &self.variables);
        let Ok(failures) = self.evaluate_validations(&scope) else {
            return self.error_report(OUT_OF_BUDGET.to_owned());
        };
        PolicyReport {
            failures,
            annotation_failures: self.evaluate_annotations(&scope),
        }
    }

    fn error_report(&self, message: String) -> PolicyReport {
        PolicyReport {
            failures: self.error_failure(message).into_iter().collect(),
            annotation_failures: Vec::new(),
        }
    }

    /// Returns the failure that an error is, unless errors are ignored.
    fn error_failure(&self, message: String) -> Option<ValidationFailure> {
        (!self.ignores_errors()).then(|| ValidationFailure::new(message))
    }

    /// Returns whether all match conditions are true. One that is false decides, even if others fail.
    fn match_conditions(
        &self,
        input: &AdmissionInput<'_>,
        params: Option<&Json>,
    ) -> Result<bool, String> {
        let scope = PolicyScope::for_conditions(input, params);
        let mut remaining = MAX_CONDITION_STEPS;
        let mut errors: Vec<String> = Vec::new();
        for condition in &self.conditions {
            let result = evaluate(
                &condition.program,
                &condition.source,
                &scope,
                &mut remaining,
            );
            match result {
                Ok(Ok(Value::Bool(false))) => return Ok(false),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => errors.push(error),
                Err(BudgetError) => {
                    errors.push(OUT_OF_BUDGET.to_owned());
                    break;
                }
            }
        }
        match errors.as_slice() {
            [] => Ok(true),
            _ if self.ignores_errors() => Ok(false),
            [error] => Err(error.clone()),
            errors => Err(format!("[{}]", errors.join(", "))),
        }
    }

    fn evaluate_validations(
        &self,
        scope: &PolicyScope<'_>,
    ) -> Result<Vec<ValidationFailure>, BudgetError> {
        let mut remaining = MAX_POLICY_STEPS;
        let mut failures = Vec::new();
        for validation in &self.validations {
            let result = evaluate(
                &validation.program,
                &validation.source,
                scope,
                &mut remaining,
            )?;
            failures.extend(match result {
                Ok(Value::Bool(true)) => None,
                Ok(_) => Some(ValidationFailure {
                    message: validation.failure_message(scope, &mut remaining),
                    reason: validation.reason,
                }),
                Err(error) => self.error_failure(error),
            });
        }
        Ok(failures)
    }

    /// Evaluates the audit annotations. They are not written to the audit log: only
    /// their errors count.
    fn evaluate_annotations(&self, scope: &PolicyScope<'_>) -> Vec<ValidationFailure> {
        let mut remaining = MAX_POLICY_STEPS;
        let mut failures = Vec::new();
        for annotation in &self.annotations {
            let result = evaluate(
                &annotation.program,
                &annotation.source,
                scope,
                &mut remaining,
            );
            match result {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => failures.extend(self.error_failure(error)),
                Err(BudgetError) => {
                    failures.extend(self.error_failure(OUT_OF_BUDGET.to_owned()));
                    break;
                }
            }
        }
        failures
    }
}

impl ValidationProgram {
    /// Returns the message of the message expression; the plain message if the expression fails, or returns a text
    /// that is empty, too long, or has line breaks.
    fn failure_message(&self, scope: &PolicyScope<'_>, remaining: &mut u64) -> String {
        let result = self
            .message_program
            .as_ref()
            .map(|program| evaluate(program, "", scope, remaining));
        match result {
            Some(Ok(Ok(Value::String(text)))) => {
                let text = text.trim();
                if text.is_empty() || text.len() > MAX_MESSAGE_BYTES || text.contains('\n') {
                    self.message.clone()
                } else {
                    text.to_owned()
                }
            }
            _ => self.message.clone(),
        }
    }
}

/// Evaluates an expression, and subtracts the steps that this takes from `remaining`.
fn evaluate(
    program: &CelProgram,
    source: &str,
    scope: &PolicyScope<'_>,
    remaining: &mut u64,
) -> Result<ExpressionResult, BudgetError> {
    let budget = MAX_EXPRESSION_STEPS.min(*remaining);
    let mut unused = budget;
    let result = program.evaluate(scope, &mut unused);
    if result == Err(EvaluationError::BudgetExceeded) {
        // What is left is too little for any step.
        unused = 0;
    }
    *remaining -= budget - unused;
    match result {
        Err(EvaluationError::BudgetExceeded) if budget < MAX_EXPRESSION_STEPS => Err(BudgetError),
        result => {
            Ok(result.map_err(|error| format!("expression '{source}' resulted in error: {error}")))
        }
    }
}
