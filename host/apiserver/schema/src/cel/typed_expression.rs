//! What is known of one expression: its type, its size, its cost.

use std::sync::Arc;

use cel::common::ast::LiteralValue;

use super::cost::{EstimateRange, OperandEstimate};
use super::types::{CelType, DeclKind, DeclType, ListOrder};

/// An expression, checked.
#[derive(Clone, Debug)]
pub(super) struct TypedExpression {
    pub(super) cel_type: CelType,
    /// The declared value that the expression is, if it is one.
    pub(super) decl: Option<Arc<DeclType>>,
    pub(super) size: Option<EstimateRange>,
    /// The size of the items of a list that is no declared place.
    pub(super) item_size: Option<EstimateRange>,
    /// How far order means anything in it. Where it is taken from a declared value, that tells.
    pub(super) list_order: ListOrder,
    pub(super) cost: EstimateRange,
}

impl TypedExpression {
    pub(super) fn new(kind: CelType, cost: EstimateRange) -> Self {
        let size = kind.natural_size();
        Self {
            cel_type: kind,
            decl: None,
            size,
            item_size: None,
            list_order: ListOrder::Significant,
            cost,
        }
    }

    pub(super) fn declared(place: &Arc<DeclType>, cost: EstimateRange) -> Self {
        let size = Some(EstimateRange {
            min: 0,
            max: place.max_elements,
        });
        Self {
            cel_type: place.to_type(),
            decl: Some(Arc::clone(place)),
            size,
            item_size: None,
            list_order: place.list_order(),
            cost,
        }
    }

    pub(super) fn with_size(self, size: Option<EstimateRange>) -> Self {
        Self {
            size: size.or(self.size),
            ..self
        }
    }

    pub(super) fn estimate(&self) -> OperandEstimate {
        let declared = self.decl.as_ref().and_then(|place| match &place.kind {
            DeclKind::List { item, .. } => Some(EstimateRange {
                min: 0,
                max: item.max_elements,
            }),
            _ => None,
        });
        OperandEstimate {
            cel_type: self.cel_type.clone(),
            size: self.size,
            item_size: declared.or(self.item_size),
            cost: self.cost,
        }
    }
}

/// The size of the items where two lists become one, or either of them.
pub(super) fn joined_item_size(name: &str, operands: &[OperandEstimate]) -> Option<EstimateRange> {
    match (name, operands) {
        ("_+_", [left, right]) | ("_?_:_", [_, left, right]) => {
            Some(left.item_size?.union(right.item_size?))
        }
        _ => None,
    }
}

/// A literal.
pub(super) fn typed_literal(literal: &LiteralValue) -> TypedExpression {
    let (kind, size) = match literal {
        LiteralValue::Boolean(_) => (CelType::Bool, None),
        LiteralValue::Bytes(bytes) => (CelType::Bytes, Some(bytes.inner().len())),
        LiteralValue::Double(_) => (CelType::Double, None),
        LiteralValue::Int(_) => (CelType::Int, None),
        LiteralValue::Null => (CelType::Null, None),
        LiteralValue::String(text) => (CelType::String, Some(text.inner().chars().count())),
        LiteralValue::UInt(_) => (CelType::Uint, None),
    };
    TypedExpression::new(kind, EstimateRange::ZERO)
        .with_size(size.map(|size| EstimateRange::fixed(size as u64)))
}
