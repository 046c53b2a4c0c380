//! Lists of type set and map, whose order means nothing.

use std::sync::Arc;

use super::check::Checker;
use super::typed::Typed;
use super::types::{Decl, DeclKind, Type};

impl Checker<'_> {
    /// Lists of type set and map compare without regard to order. Comparisons are noted for the evaluator; where
    /// order would matter in other ways the rule is refused, so that it never means something else than it should.
    pub(super) fn orderless(
        &mut self,
        id: u64,
        name: &str,
        target: Option<&Typed>,
        args: &[Typed],
    ) {
        let operands: Vec<&Typed> = target.into_iter().chain(args).collect();
        let place = |typed: &&Typed| match self.types.resolve(&typed.kind) {
            Type::Object(decl) => Some(decl),
            _ => typed.place.clone(),
        };
        let places: Vec<Arc<Decl>> = operands
            .iter()
            .filter_map(place)
            .filter(|place| place.has_unordered())
            .collect();
        let hidden = operands
            .iter()
            .any(|typed| typed.place.is_none() && hides_unordered(&self.types.settle(&typed.kind)));
        match name {
            "_==_" | "_!=_" => {
                match places.into_iter().next() {
                    Some(decl) => {
                        self.unordered.insert(id, decl);
                    }
                    None if hidden => {
                        self.mistake(id, "comparing such a list of objects that hold sets or maps is not supported".to_owned());
                    }
                    None => {}
                }
            }
            "_+_" if !places.is_empty() || hidden => {
                self.mistake(
                    id,
                    "adding to a list of type set or map is not supported".to_owned(),
                );
            }
            "@in" | "indexOf" | "lastIndexOf" | "sets.contains" | "sets.equivalent"
            | "sets.intersects" => {
                let deep = places.iter().any(|place| match &place.kind {
                    DeclKind::List { item, .. } => item.has_unordered(),
                    DeclKind::Map(_) => false,
                    _ => true,
                });
                if deep || hidden {
                    self.mistake(
                        id,
                        "looking for a value that holds sets or maps is not supported".to_owned(),
                    );
                }
            }
            _ => {}
        }
    }
}

/// Whether values of a type that is no declared place hold lists whose order means nothing.
fn hides_unordered(kind: &Type) -> bool {
    match kind {
        Type::List(item) | Type::Optional(item) => match &**item {
            Type::Object(decl) => decl.has_unordered(),
            item => hides_unordered(item),
        },
        Type::Map(_, value) => match &**value {
            Type::Object(decl) => decl.has_unordered(),
            value => hides_unordered(value),
        },
        _ => false,
    }
}
