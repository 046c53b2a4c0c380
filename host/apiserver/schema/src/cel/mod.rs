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

mod check;
mod collections;
mod compile;
mod cost;
#[cfg(test)]
mod costs;
mod declare;
mod depth;
mod equality;
mod escape;
mod evaluate;
mod field_path;
mod functions;
mod judge;
mod operators;
mod orderless;
mod program;
mod regexes;
mod signatures;
mod typed;
mod types;
mod unify;
mod value;
mod visit;

pub(crate) use compile::{Compiler, Place, Rule};
pub(crate) use depth::on_parser_stack;
pub(crate) use judge::check;
