//! Lists of type set and map, whose order means nothing.

use std::sync::Arc;

use super::check::Checker;
use super::typed::Typed;
use super::types::{Decl, DeclKind, Order, Type};

impl Checker<'_> {
    /// How far order means anything in what an expression gives.
    pub(super) fn order(&self, typed: &Typed) -> Order {
        match self.types.resolve(&typed.kind) {
            Type::Object(decl) => decl.order(),
            _ => typed.order,
        }
    }

    /// Lists of type set and map compare without regard to order. Comparisons are noted for the evaluator; where
    /// order would matter in other ways the rule is refused, so that it never means something else than it should.
    pub(super) fn orderless(&mut self, id: u64, name: &str, operands: &[&Typed]) {
        let loosest = operands
            .iter()
            .map(|typed| self.order(typed))
            .max()
            .unwrap_or_default();
        if loosest == Order::Kept {
            return;
        }
        match name {
            "_==_" | "_!=_" => match operands.iter().find_map(|typed| self.loose_decl(typed)) {
                Some(decl) => {
                    self.unordered.insert(id, decl);
                }
                None => self.unsupported(id, "comparing values made of lists of type set or map"),
            },
            "_+_" if loosest == Order::Loose => {
                self.unsupported(id, "adding to a list of type set or map")
            }
            "@in" | "indexOf" | "lastIndexOf" | "sets.contains" | "sets.equivalent"
            | "sets.intersects"
                if operands.iter().any(|typed| self.finds_loose(typed)) =>
            {
                self.unsupported(
                    id,
                    "looking for a value that holds lists of type set or map",
                );
            }
            _ => {}
        }
    }

    fn unsupported(&mut self, id: u64, what: &str) {
        self.mistake(id, format!("{what} is not supported"));
    }

    /// The declaration that tells how to compare a value.
    fn loose_decl(&self, typed: &Typed) -> Option<Arc<Decl>> {
        let decl = match self.types.resolve(&typed.kind) {
            Type::Object(decl) => Some(decl),
            _ => typed.place.clone(),
        };
        decl.filter(|decl| decl.order() != Order::Kept)
    }

    /// Whether what is looked for, or in, is compared without regard to order.
    fn finds_loose(&self, typed: &Typed) -> bool {
        match typed.place.as_deref().map(|place| &place.kind) {
            Some(DeclKind::List { item, .. }) => item.has_unordered(),
            Some(DeclKind::Map(_)) => false,
            _ => self.order(typed) != Order::Kept,
        }
    }

    /// How far order means anything in the result of a call.
    pub(super) fn result_order(&self, name: &str, kind: &Type, operands: &[&Typed]) -> Order {
        let holds_lists = matches!(
            self.types.resolve(kind),
            Type::List(_) | Type::Map(..) | Type::Optional(_) | Type::Dyn | Type::Var(_)
        );
        let loosest = operands
            .iter()
            .map(|typed| self.order(typed))
            .max()
            .unwrap_or_default();
        match loosest {
            _ if !holds_lists => Order::Kept,
            // What is taken out of a list may be what made it loose.
            Order::LooseInside if name == "_[_]" || name == "_[?_]" => Order::Loose,
            loosest => loosest,
        }
    }
}
