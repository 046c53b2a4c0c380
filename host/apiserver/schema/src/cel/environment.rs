//! The variables that an expression may use.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cost::EstimateRange;
use super::typed_expression::TypedExpression;
use super::types::{CelType, DeclType};

/// The name of the variable with the value that a rule validates.
const SELF: &str = "self";
/// The name of the variable with the value before an update.
pub(crate) const OLD_SELF: &str = "oldSelf";

/// The declarations of the variables of an expression.
#[derive(Clone, Debug, Default)]
pub(crate) struct VariableEnvironment {
    declarations: BTreeMap<&'static str, Arc<DeclType>>,
    /// Whether `oldSelf` is an optional.
    optional_old_self: bool,
}

impl VariableEnvironment {
    /// Returns the variables of a rule of a schema.
    pub(crate) fn for_rule(self_decl: &Arc<DeclType>, optional_old_self: bool) -> Self {
        let names = [SELF, OLD_SELF].map(|name| (name, Arc::clone(self_decl)));
        Self {
            declarations: names.into(),
            optional_old_self,
        }
    }

    /// Declares a variable; replaces an earlier declaration of its name.
    pub(super) fn declare(&mut self, name: &'static str, decl: Arc<DeclType>) {
        self.declarations.insert(name, decl);
    }

    /// Returns the environment without these variables.
    pub(super) fn without(&self, names: &[&str]) -> Self {
        let mut environment = self.clone();
        environment
            .declarations
            .retain(|name, _| !names.contains(name));
        environment
    }

    /// Returns the type of a variable; `None` if it is not declared.
    pub(super) fn find(&self, name: &str) -> Option<TypedExpression> {
        let decl = self.declarations.get(name)?;
        let mut variable = TypedExpression::declared(decl, EstimateRange::ONE);
        if name == OLD_SELF && self.optional_old_self {
            variable.cel_type = CelType::optional(variable.cel_type);
            variable.decl = None;
        }
        Some(variable)
    }
}
