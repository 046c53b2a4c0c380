//! CEL rules (`x-kubernetes-validations`): compiled with the schema and evaluated on every write.
//!
//! A rule is accepted only if it parses, is well typed, calls known functions only, and has a bounded cost. Any error
//! during its evaluation is an error on the object; the object never passes.

mod rule_compiler;
mod validate_rules;

mod declarations;
mod schema_value;

mod rule_field_path;
mod validation_rule;

#[cfg(test)]
pub(crate) use declarations::declare_schema;
pub(crate) use rule_compiler::{CelSchemaContext, RuleCompiler};
pub(crate) use validate_rules::validate_rules;
pub(crate) use validation_rule::ValidationRule;
