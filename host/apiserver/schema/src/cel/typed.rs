//! What is known of one expression: its type, its size, its cost.

use std::sync::Arc;

use cel::common::ast::LiteralValue;

use super::cost::{Operand, Range};
use super::types::{Decl, DeclKind, Order, Type};

/// An expression, checked.
#[derive(Clone, Debug)]
pub(super) struct Typed {
    pub(super) kind: Type,
    /// The declared value that the expression is, if it is one.
    pub(super) place: Option<Arc<Decl>>,
    pub(super) size: Option<Range>,
    /// The size of the items of a list that is no declared place.
    pub(super) item_size: Option<Range>,
    /// How far order means anything in it. Where it is taken from a declared value, that tells.
    pub(super) order: Order,
    pub(super) cost: Range,
}

impl Typed {
    pub(super) fn new(kind: Type, cost: Range) -> Self {
        let size = kind.natural_size();
        Self {
            kind,
            place: None,
            size,
            item_size: None,
            order: Order::Kept,
            cost,
        }
    }

    pub(super) fn declared(place: &Arc<Decl>, cost: Range) -> Self {
        let size = Some(Range {
            min: 0,
            max: place.max_size,
        });
        Self {
            kind: place.to_type(),
            place: Some(Arc::clone(place)),
            size,
            item_size: None,
            order: place.order(),
            cost,
        }
    }

    pub(super) fn sized(self, size: Option<Range>) -> Self {
        Self {
            size: size.or(self.size),
            ..self
        }
    }

    pub(super) fn operand(&self) -> Operand {
        let declared = self.place.as_ref().and_then(|place| match &place.kind {
            DeclKind::List { item, .. } => Some(Range {
                min: 0,
                max: item.max_size,
            }),
            _ => None,
        });
        Operand {
            kind: self.kind.clone(),
            size: self.size,
            item_size: declared.or(self.item_size),
            cost: self.cost,
        }
    }
}

/// The size of the items where two lists become one, or either of them.
pub(super) fn joined_item_size(name: &str, operands: &[Operand]) -> Option<Range> {
    match (name, operands) {
        ("_+_", [left, right]) | ("_?_:_", [_, left, right]) => {
            Some(left.item_size?.union(right.item_size?))
        }
        _ => None,
    }
}

/// A literal.
pub(super) fn literal_type(literal: &LiteralValue) -> Typed {
    let (kind, size) = match literal {
        LiteralValue::Boolean(_) => (Type::Bool, None),
        LiteralValue::Bytes(bytes) => (Type::Bytes, Some(bytes.inner().len())),
        LiteralValue::Double(_) => (Type::Double, None),
        LiteralValue::Int(_) => (Type::Int, None),
        LiteralValue::Null => (Type::Null, None),
        LiteralValue::String(text) => (Type::String, Some(text.inner().chars().count())),
        LiteralValue::UInt(_) => (Type::Uint, None),
    };
    Typed::new(kind, Range::ZERO).sized(size.map(|size| Range::fixed(size as u64)))
}
