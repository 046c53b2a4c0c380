//! CEL rules (`x-kubernetes-validations`): compiled with the schema, judged on every write.
//!
//! Parsing is `cel`'s, the libraries' functions are `kube-cel`'s; types, costs, operators, macros and errors are ours,
//! because `cel` has no types and forgives where Kubernetes does not.
//!
//! Of Kubernetes' CEL this is not there yet, and refused when a schema is parsed: `cel.bind` and the macros of two
//! variables, `optMap` and `optFlatMap`, optional entries in literals, the functions of the extended lists and maths
//! libraries, sums of durations, `+` on lists of type set and map, and comparing what is made of such lists.
//!
//! A rule exists only if all of it is understood: it parses, its types are right, its functions are known, its cost is
//! bounded. Whatever goes wrong while it judges an object is an error on that object, never a pass.

mod rule_compiler;
mod validate_rules;

mod collections;
mod cost;
mod declarations;
mod limits;
mod overloads;
mod program;
mod type_checker;
mod type_unifier;
mod typed_expression;
mod types;
mod unordered_lists;

mod cel_value;
mod equality;
mod evaluator;
mod functions;
mod operators;
mod pattern_set;

mod escape;
mod rule_field_path;
mod visit;

pub(crate) use limits::run_on_parser_stack;
pub(crate) use rule_compiler::{CelSchemaContext, CompiledRule, RuleCompiler};
pub(crate) use validate_rules::validate_rules;
