//! Kubernetes' CEL: the compiler and the evaluator of expressions, which the rules of schemas and the expressions of
//! admission policies share.
//!
//! The crate `cel` parses expressions, and `kube-cel` implements Kubernetes' function libraries. Type checking, cost
//! estimates, operators, macros, and error messages are implemented here, because `cel` does not check types and is more
//! lenient than Kubernetes.
//!
//! These parts of Kubernetes' CEL are not implemented, and schemas that use them are rejected: `cel.bind`, macros with
//! two variables, `optMap` and `optFlatMap`, optional entries in literals, the functions of the extended list and math
//! libraries, sums of durations, `+` on lists of type set or map, and comparisons of values that are built from such
//! lists.

pub(crate) mod admission;

mod compile_error;
mod limits;
mod program;

mod environment;
mod overloads;
mod types;

mod calls;
mod collections;
mod type_checker;
mod type_unifier;
mod typed_expression;
mod unordered_lists;

mod cost;

mod authorization;
mod cel_value;
mod equality;
mod evaluator;
mod functions;
mod operators;
mod pattern_set;

mod escape;
mod visit;

pub use authorization::{AuthorizationSource, CheckOutcome, CheckRequest, ResourceTarget};
pub(crate) use cel_value::{cel_map, cel_string, untyped_value};
pub(crate) use cost::{MAX_RULE_COST, MAX_SCHEMA_COST};
pub(crate) use environment::{OLD_SELF, VariableEnvironment};
pub(crate) use escape::escape_field_name;
pub(crate) use evaluator::{EvaluationError, EvaluationResult, VariableSource, failure};
pub(crate) use functions::call_library;
pub(crate) use limits::run_on_parser_stack;
pub(crate) use program::CelProgram;
pub(crate) use types::{CelType, DeclKind, DeclType};
