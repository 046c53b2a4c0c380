//! The inferred type, size, and cost of an expression.

use std::sync::Arc;

use cel::common::ast::LiteralValue;

use super::cost::{EstimateRange, OperandEstimate};
use super::types::{CelType, DeclKind, DeclType, ListOrder};

/// An expression that has been checked.
#[derive(Clone, Debug)]
pub(super) struct TypedExpression {
    pub(super) cel_type: CelType,
    /// The declaration of the value, if the expression selects a declared value.
    pub(super) decl: Option<Arc<DeclType>>,
    pub(super) size: Option<EstimateRange>,
    /// The size of the items, if the expression is a list without a declaration.
    pub(super) item_size: Option<EstimateRange>,
    /// How far equality of the value depends on the order of lists.
    pub(super) list_order: ListOrder,
    pub(super) cost: EstimateRange,
}

impl TypedExpression {
    pub(super) fn new(ty: CelType, cost: EstimateRange) -> Self {
        let size = ty.natural_size();
        Self {
            cel_type: ty,
            decl: None,
            size,
            item_size: None,
            list_order: ListOrder::Significant,
            cost,
        }
    }

    pub(super) fn declared(decl: &Arc<DeclType>, cost: EstimateRange) -> Self {
        let size = Some(EstimateRange {
            min: 0,
            max: decl.max_elements,
        });
        Self {
            cel_type: decl.to_type(),
            decl: Some(Arc::clone(decl)),
            size,
            item_size: None,
            list_order: decl.list_order(),
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
        let declared = self.decl.as_ref().and_then(|decl| match &decl.kind {
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

/// Returns the size of the items of a list that is the concatenation of two lists or one of the two.
pub(super) fn joined_item_size(name: &str, operands: &[OperandEstimate]) -> Option<EstimateRange> {
    match (name, operands) {
        ("_+_", [left, right]) | ("_?_:_", [_, left, right]) => {
            Some(left.item_size?.union(right.item_size?))
        }
        _ => None,
    }
}

/// Infers the type and the size of a literal.
pub(super) fn typed_literal(literal: &LiteralValue) -> TypedExpression {
    let (ty, size) = match literal {
        LiteralValue::Boolean(_) => (CelType::Bool, None),
        LiteralValue::Bytes(bytes) => (CelType::Bytes, Some(bytes.inner().len())),
        LiteralValue::Double(_) => (CelType::Double, None),
        LiteralValue::Int(_) => (CelType::Int, None),
        LiteralValue::Null => (CelType::Null, None),
        LiteralValue::String(text) => (CelType::String, Some(text.inner().chars().count())),
        LiteralValue::UInt(_) => (CelType::Uint, None),
    };
    TypedExpression::new(ty, EstimateRange::ZERO)
        .with_size(size.map(|size| EstimateRange::fixed(size as u64)))
}
