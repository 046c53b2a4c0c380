//! The values of the variables of a policy's expressions.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use cel::Value;
use serde_json::Value as Json;

use super::super::authorization::{AuthorizationSource, AuthorizationValue, ResourceTarget};
use super::super::cel_value::untyped_value;
use super::super::evaluator::{EvaluationError, EvaluationResult, VariableSource, failure};
use super::policy_program::VariableProgram;
use super::variable_types::{
    AUTHORIZER, NAMESPACE_OBJECT, OBJECT, OLD_OBJECT, PARAMS, REQUEST, REQUEST_RESOURCE, VARIABLES,
};

/// A value that is converted when an expression uses it for the first time.
#[derive(Debug)]
struct JsonValue<'a> {
    json: Option<&'a Json>,
    converted: OnceCell<Value>,
}

impl<'a> JsonValue<'a> {
    fn new(json: Option<&'a Json>) -> Self {
        Self {
            json,
            converted: OnceCell::new(),
        }
    }

    fn get(&self) -> Value {
        self.converted
            .get_or_init(|| self.json.map_or(Value::Null, untyped_value))
            .clone()
    }
}

/// The request that a policy decides about.
#[derive(Debug)]
pub struct AdmissionInput<'a> {
    object: JsonValue<'a>,
    old_object: JsonValue<'a>,
    request: JsonValue<'a>,
    namespace: JsonValue<'a>,
    /// The source of the checks, and the resource of the request.
    authorizer: Option<(Arc<dyn AuthorizationSource>, ResourceTarget)>,
}

impl<'a> AdmissionInput<'a> {
    /// Creates an input: the new object unless it is deleted, the old one unless it is created, the fields of the
    /// `AdmissionRequest`, and the namespace of a namespaced object.
    pub fn new(
        object: Option<&'a Json>,
        old_object: Option<&'a Json>,
        request: &'a Json,
        namespace: Option<&'a Json>,
    ) -> Self {
        Self {
            object: JsonValue::new(object),
            old_object: JsonValue::new(old_object),
            request: JsonValue::new(Some(request)),
            namespace: JsonValue::new(namespace),
            authorizer: None,
        }
    }

    /// Adds `authorizer`, and the resource of the request for `authorizer.requestResource`. Without them, expressions
    /// that use `authorizer` fail.
    #[must_use]
    pub fn with_authorizer(
        self,
        source: Arc<dyn AuthorizationSource>,
        resource: ResourceTarget,
    ) -> Self {
        Self {
            authorizer: Some((source, resource)),
            ..self
        }
    }

    fn authorizer(&self) -> EvaluationResult {
        match &self.authorizer {
            Some((source, _)) => Ok(AuthorizationValue::Authorizer(Arc::clone(source)).into()),
            None => Err(failure("there is no authorizer")),
        }
    }

    fn request_resource(&self) -> EvaluationResult {
        match &self.authorizer {
            Some((source, target)) => Ok(AuthorizationValue::ResourceCheck {
                source: Arc::clone(source),
                target: target.clone(),
            }
            .into()),
            None => Err(failure("there is no authorizer")),
        }
    }
}

/// The variables of one evaluation of a policy.
pub(super) struct PolicyScope<'a> {
    input: &'a AdmissionInput<'a>,
    params: Value,
    /// Whether the expressions see the namespace; match conditions do not.
    has_namespace: bool,
    variables: &'a [VariableProgram],
    /// The values of the variables that have been used.
    evaluated: RefCell<HashMap<&'a str, EvaluationResult>>,
}

impl<'a> PolicyScope<'a> {
    /// Returns the variables of match conditions.
    pub(super) fn for_conditions(input: &'a AdmissionInput<'a>, params: Option<&Json>) -> Self {
        Self {
            has_namespace: false,
            ..Self::new(input, params, &[])
        }
    }

    /// Returns the variables of all other expressions.
    pub(super) fn new(
        input: &'a AdmissionInput<'a>,
        params: Option<&Json>,
        variables: &'a [VariableProgram],
    ) -> Self {
        Self {
            input,
            params: params.map_or(Value::Null, untyped_value),
            has_namespace: true,
            variables,
            evaluated: RefCell::default(),
        }
    }
}

impl VariableSource for PolicyScope<'_> {
    fn value(&self, name: &str) -> Option<EvaluationResult> {
        Some(Ok(match name {
            OBJECT => self.input.object.get(),
            OLD_OBJECT => self.input.old_object.get(),
            REQUEST => self.input.request.get(),
            PARAMS => self.params.clone(),
            NAMESPACE_OBJECT if self.has_namespace => self.input.namespace.get(),
            NAMESPACE_OBJECT => Value::Null,
            AUTHORIZER => return Some(self.input.authorizer()),
            VARIABLES => return Some(Err(failure("variables can only be selected by name"))),
            _ => return None,
        }))
    }

    fn field_value(
        &self,
        variable: &str,
        field: &str,
        budget: &mut u64,
    ) -> Option<EvaluationResult> {
        if (variable, field) == (AUTHORIZER, REQUEST_RESOURCE) {
            return Some(self.input.request_resource());
        }
        if variable != VARIABLES {
            return None;
        }
        if let Some(value) = self.evaluated.borrow().get(field) {
            return Some(value.clone());
        }
        let found = self
            .variables
            .iter()
            .find(|variable| variable.name == field)?;
        let value = found
            .program
            .evaluate(self, budget)
            .map_err(|error| match error {
                EvaluationError::BudgetExceeded => error,
                EvaluationError::Failed(text) => failure(format!(
                    "composited variable {field:?} fails to evaluate: {text}"
                )),
            });
        self.evaluated
            .borrow_mut()
            .insert(&found.name, value.clone());
        Some(value)
    }
}
