//! The policies in force.

use std::sync::Arc;

use rdd_apiserver_schema::{FieldError, PolicyProgram};
use serde_json::Value;

use super::match_predicate::MatchPredicate;
use super::params::{ParamKind, ParamSelection};
use crate::blocking_work::WorkPace;

/// All policies that have bindings, in the order of their names.
#[derive(Debug, Default)]
pub(crate) struct PolicySnapshot {
    pub(crate) entries: Vec<PolicyEntry>,
}

impl PolicySnapshot {
    /// Returns whether no request needs to be looked at.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// A policy with its bindings.
#[derive(Debug)]
pub(crate) struct PolicyEntry {
    pub(crate) policy: Arc<PolicyDefinition>,
    pub(crate) bindings: Vec<Arc<BindingEntry>>,
}

/// A compiled policy.
#[derive(Debug)]
pub(crate) struct PolicyDefinition {
    pub(crate) name: String,
    pub(super) predicate: MatchPredicate,
    pub(super) param_kind: Option<ParamKind>,
    pub(super) ignores_errors: bool,
    pub(super) program: Result<PolicyProgram, ProgramError>,
    /// Of evaluations: expressions may take a second.
    pub(super) pace: WorkPace,
}

/// The errors of a stored policy that cannot be compiled any longer.
#[derive(Debug, thiserror::Error)]
#[error("{}", join(.0))]
pub(super) struct ProgramError(Vec<FieldError>);

fn join(errors: &[FieldError]) -> String {
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

impl PolicyDefinition {
    /// Compiles a stored policy.
    pub(crate) fn compile(name: &str, spec: &Value) -> Self {
        Self {
            name: name.to_owned(),
            predicate: MatchPredicate::from_resources(&spec["matchConstraints"]),
            param_kind: ParamKind::from_spec(spec),
            ignores_errors: spec["failurePolicy"] == "Ignore",
            program: PolicyProgram::compile(spec).map_err(ProgramError),
            pace: WorkPace::default(),
        }
    }
}

/// A binding.
#[derive(Debug)]
pub(crate) struct BindingEntry {
    pub(crate) name: String,
    pub(crate) policy: String,
    pub(super) predicate: MatchPredicate,
    pub(super) params: Option<ParamSelection>,
    pub(super) denies: bool,
    pub(super) warns: bool,
    pub(super) audits: bool,
}

impl BindingEntry {
    /// Reads a stored binding.
    pub(crate) fn from_spec(name: &str, spec: &Value) -> Self {
        let has_action = |action: &str| {
            spec["validationActions"]
                .as_array()
                .is_some_and(|actions| actions.iter().any(|other| other == action))
        };
        Self {
            name: name.to_owned(),
            policy: spec["policyName"].as_str().unwrap_or_default().to_owned(),
            predicate: MatchPredicate::from_resources(&spec["matchResources"]),
            params: ParamSelection::from_spec(spec),
            denies: has_action("Deny"),
            warns: has_action("Warn"),
            audits: has_action("Audit"),
        }
    }
}
