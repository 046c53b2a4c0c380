//! Lists of type set and map, whose order is not significant for equality.

use std::sync::Arc;

use super::type_checker::TypeChecker;
use super::typed_expression::TypedExpression;
use super::types::{CelType, DeclKind, DeclType, ListOrder};

impl TypeChecker<'_> {
    /// Returns how far equality of an expression's value depends on the order of lists.
    pub(super) fn list_order(&self, typed: &TypedExpression) -> ListOrder {
        match self.types.resolve(&typed.cel_type) {
            CelType::Object(decl) => decl.list_order(),
            _ => typed.list_order,
        }
    }

    /// Checks a call with operands that are or contain lists of type set or map.
    ///
    /// Comparisons are recorded for the evaluator, which ignores the order of these lists. Other calls whose result
    /// would depend on the order are rejected, so that a rule never has another meaning than in Kubernetes.
    pub(super) fn check_list_order(&mut self, id: u64, name: &str, operands: &[&TypedExpression]) {
        let max_order = operands
            .iter()
            .map(|typed| self.list_order(typed))
            .max()
            .unwrap_or_default();
        if max_order == ListOrder::Significant {
            return;
        }
        match name {
            "_==_" | "_!=_" => match operands.iter().find_map(|typed| self.unordered_decl(typed)) {
                Some(decl) => {
                    self.unordered_comparisons.insert(id, decl);
                }
                None => self.report_unsupported(
                    id,
                    "comparing values that consist of lists of type set or map",
                ),
            },
            "_+_" if max_order == ListOrder::Insignificant => {
                self.report_unsupported(id, "adding to a list of type set or map")
            }
            "@in" | "indexOf" | "lastIndexOf" | "sets.contains" | "sets.equivalent"
            | "sets.intersects"
                if operands.iter().any(|typed| self.is_search_unordered(typed)) =>
            {
                self.report_unsupported(
                    id,
                    "searching for a value that contains lists of type set or map",
                );
            }
            _ => {}
        }
    }

    fn report_unsupported(&mut self, id: u64, subject: &str) {
        self.report(id, format!("{subject} is not supported"));
    }

    /// Returns the declaration of a value, if its order is not significant.
    fn unordered_decl(&self, typed: &TypedExpression) -> Option<Arc<DeclType>> {
        let decl = match self.types.resolve(&typed.cel_type) {
            CelType::Object(decl) => Some(decl),
            _ => typed.decl.clone(),
        };
        decl.filter(|decl| decl.list_order() != ListOrder::Significant)
    }

    /// Whether a search for this operand, or in it, compares values whose order is not significant.
    fn is_search_unordered(&self, typed: &TypedExpression) -> bool {
        match typed.decl.as_deref().map(|decl| &decl.kind) {
            Some(DeclKind::List { item, .. }) => item.has_unordered_list(),
            Some(DeclKind::Map(_)) => false,
            _ => self.list_order(typed) != ListOrder::Significant,
        }
    }

    /// Returns how far equality of a call's result depends on the order of lists.
    pub(super) fn result_order(
        &self,
        name: &str,
        ty: &CelType,
        operands: &[&TypedExpression],
    ) -> ListOrder {
        let can_hold_lists = matches!(
            self.types.resolve(ty),
            CelType::List(_)
                | CelType::Map(..)
                | CelType::Optional(_)
                | CelType::Dyn
                | CelType::Var(_)
        );
        let max_order = operands
            .iter()
            .map(|typed| self.list_order(typed))
            .max()
            .unwrap_or_default();
        match max_order {
            _ if !can_hold_lists => ListOrder::Significant,
            // The element may be the list whose order is not significant.
            ListOrder::InsignificantInside if name == "_[_]" || name == "_[?_]" => {
                ListOrder::Insignificant
            }
            max_order => max_order,
        }
    }
}
