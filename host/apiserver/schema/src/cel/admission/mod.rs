//! Expressions of ValidatingAdmissionPolicies: compiled when a policy is written, and evaluated on every request that
//! the policy matches.

mod input;
mod openapi_types;
mod policy_compiler;
mod policy_program;
mod type_check;
mod variable_types;

pub use input::AdmissionInput;
pub use policy_program::{FailureReason, PolicyProgram, PolicyReport, ValidationFailure};
pub use type_check::{ExpressionWarning, MatchedType};
