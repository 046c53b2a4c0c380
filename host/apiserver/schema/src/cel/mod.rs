//! CEL rules (`x-kubernetes-validations`): compiled with the schema and evaluated on every write.
//!
//! The crate `cel` parses expressions, and `kube-cel` implements Kubernetes' function libraries. Type checking, cost
//! estimates, operators, macros, and error messages are implemented here, because `cel` does not check types and is more
//! lenient than Kubernetes.
//!
//! These parts of Kubernetes' CEL are not implemented, and schemas that use them are rejected: `cel.bind`, macros with
//! two variables, `optMap` and `optFlatMap`, optional entries in literals, the functions of the extended list and math
//! libraries, sums of durations, `+` on lists of type set or map, and comparisons of values that are built from such
//! lists.
//!
//! A rule is accepted only if it parses, is well typed, calls known functions only, and has a bounded cost. Any error
//! during its evaluation is an error on the object; the object never passes.

mod rule_compiler;
mod validate_rules;

pub(crate) mod admission;

mod compile_error;
mod limits;
mod program;

mod declarations;
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
mod rule_field_path;
mod visit;

pub use authorization::{AuthorizationSource, CheckOutcome, CheckRequest, ResourceTarget};
pub(crate) use limits::run_on_parser_stack;
pub(crate) use rule_compiler::{CelSchemaContext, CompiledRule, RuleCompiler};
pub(crate) use validate_rules::validate_rules;
