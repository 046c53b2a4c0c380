//! Lists of type set and map, whose order means nothing.

use std::sync::Arc;

use super::type_checker::TypeChecker;
use super::typed_expression::TypedExpression;
use super::types::{CelType, DeclKind, DeclType, ListOrder};

impl TypeChecker<'_> {
    /// How far order means anything in what an expression gives.
    pub(super) fn list_order(&self, typed: &TypedExpression) -> ListOrder {
        match self.types.resolve(&typed.cel_type) {
            CelType::Object(decl) => decl.list_order(),
            _ => typed.list_order,
        }
    }

    /// Lists of type set and map compare without regard to order. Comparisons are noted for the evaluator; where
    /// order would matter in other ways the rule is refused, so that it never means something else than it should.
    pub(super) fn check_list_order(&mut self, id: u64, name: &str, operands: &[&TypedExpression]) {
        let loosest = operands
            .iter()
            .map(|typed| self.list_order(typed))
            .max()
            .unwrap_or_default();
        if loosest == ListOrder::Significant {
            return;
        }
        match name {
            "_==_" | "_!=_" => match operands.iter().find_map(|typed| self.unordered_decl(typed)) {
                Some(decl) => {
                    self.unordered.insert(id, decl);
                }
                None => {
                    self.report_unsupported(id, "comparing values made of lists of type set or map")
                }
            },
            "_+_" if loosest == ListOrder::Insignificant => {
                self.report_unsupported(id, "adding to a list of type set or map")
            }
            "@in" | "indexOf" | "lastIndexOf" | "sets.contains" | "sets.equivalent"
            | "sets.intersects"
                if operands.iter().any(|typed| self.is_search_unordered(typed)) =>
            {
                self.report_unsupported(
                    id,
                    "looking for a value that holds lists of type set or map",
                );
            }
            _ => {}
        }
    }

    fn report_unsupported(&mut self, id: u64, what: &str) {
        self.report(id, format!("{what} is not supported"));
    }

    /// The declaration that tells how to compare a value.
    fn unordered_decl(&self, typed: &TypedExpression) -> Option<Arc<DeclType>> {
        let decl = match self.types.resolve(&typed.cel_type) {
            CelType::Object(decl) => Some(decl),
            _ => typed.decl.clone(),
        };
        decl.filter(|decl| decl.list_order() != ListOrder::Significant)
    }

    /// Whether what is looked for, or in, is compared without regard to order.
    fn is_search_unordered(&self, typed: &TypedExpression) -> bool {
        match typed.decl.as_deref().map(|place| &place.kind) {
            Some(DeclKind::List { item, .. }) => item.has_unordered_list(),
            Some(DeclKind::Map(_)) => false,
            _ => self.list_order(typed) != ListOrder::Significant,
        }
    }

    /// How far order means anything in the result of a call.
    pub(super) fn result_order(
        &self,
        name: &str,
        kind: &CelType,
        operands: &[&TypedExpression],
    ) -> ListOrder {
        let holds_lists = matches!(
            self.types.resolve(kind),
            CelType::List(_)
                | CelType::Map(..)
                | CelType::Optional(_)
                | CelType::Dyn
                | CelType::Var(_)
        );
        let loosest = operands
            .iter()
            .map(|typed| self.list_order(typed))
            .max()
            .unwrap_or_default();
        match loosest {
            _ if !holds_lists => ListOrder::Significant,
            // What is taken out of a list may be what made it loose.
            ListOrder::InsignificantInside if name == "_[_]" || name == "_[?_]" => {
                ListOrder::Insignificant
            }
            loosest => loosest,
        }
    }
}
