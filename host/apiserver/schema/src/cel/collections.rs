//! Type checking of lists, maps, and comprehensions.

use cel::common::ast::{ComprehensionExpr, EntryExpr, Expr, ListExpr, MapExpr};

use super::cost::{self, EstimateRange};
use super::type_checker::{TypeChecker, element_order};
use super::typed_expression::TypedExpression;
use super::types::{CelType, DeclKind, ListOrder};

impl TypeChecker<'_> {
    /// Infers the type of a list literal.
    pub(super) fn infer_list(&mut self, id: u64, list: &ListExpr) -> TypedExpression {
        let item = self.types.fresh_variable();
        let mut cost = EstimateRange::fixed(cost::LIST_CREATION_COST);
        let mut item_size: Option<EstimateRange> = None;
        let mut order = ListOrder::Significant;
        for element in &list.elements {
            let typed = self.infer(element);
            cost = cost.plus(typed.cost);
            self.require_type(element.id, &item, &typed.cel_type);
            order = order.max(self.list_order(&typed).min(ListOrder::InsignificantInside));
            let size = self
                .estimate_operand(&typed)
                .size
                .unwrap_or(EstimateRange::UNKNOWN);
            item_size = Some(item_size.map_or(size, |known| known.union(size)));
        }
        if !list.optional_indices.is_empty() {
            return self.report(id, "unsupported syntax '?'".to_owned());
        }
        let size = EstimateRange::fixed(list.elements.len() as u64);
        let item_size = Some(item_size.unwrap_or(EstimateRange::ZERO));
        TypedExpression {
            item_size,
            list_order: order,
            ..TypedExpression::new(CelType::list(item), cost).with_size(Some(size))
        }
    }

    /// Infers the type of a map literal.
    pub(super) fn infer_map(&mut self, id: u64, map: &MapExpr) -> TypedExpression {
        let (key, value) = (self.types.fresh_variable(), self.types.fresh_variable());
        let mut cost = EstimateRange::fixed(cost::MAP_CREATION_COST);
        let mut order = ListOrder::Significant;
        for entry in &map.entries {
            let EntryExpr::MapEntry(pair) = &entry.expr else {
                return self.report(id, "unexpected field of a message".to_owned());
            };
            if pair.optional {
                return self.report(entry.id, "unsupported syntax '?'".to_owned());
            }
            for (expected, actual) in [(&key, &pair.key), (&value, &pair.value)] {
                let typed = self.infer(actual);
                cost = cost.plus(typed.cost);
                order = order.max(self.list_order(&typed).min(ListOrder::InsignificantInside));
                self.require_type(actual.id, expected, &typed.cel_type);
            }
        }
        let size = EstimateRange::fixed(map.entries.len() as u64);
        TypedExpression {
            list_order: order,
            ..TypedExpression::new(CelType::map(key, value), cost).with_size(Some(size))
        }
    }

    /// Reports an error unless an element has the type of the other elements of its literal.
    fn require_type(&mut self, id: u64, expected: &CelType, actual: &CelType) {
        if !self.types.unify(expected, actual) {
            let (expected, actual) = (
                self.types.substitute(expected),
                self.types.substitute(actual),
            );
            self.report(
                id,
                format!("expected type '{expected}' but found '{actual}'"),
            );
        }
    }

    /// Infers the type of a comprehension, which macros expand to: a loop over a list or the keys of a map.
    pub(super) fn infer_comprehension(
        &mut self,
        id: u64,
        comprehension: &ComprehensionExpr,
    ) -> TypedExpression {
        let range = self.infer(&comprehension.iter_range);
        let init = self.infer(&comprehension.accu_init);
        let ty = self.types.resolve(&range.cel_type);
        let decl_kind = range.decl.as_deref().map(|decl| &decl.kind);
        let item = match (&ty, decl_kind) {
            (CelType::List(_), Some(DeclKind::List { item, .. })) => {
                TypedExpression::declared(item, EstimateRange::ONE)
            }
            (CelType::List(item), _) => {
                let order = element_order(range.list_order);
                TypedExpression {
                    list_order: order,
                    ..TypedExpression::new(item.as_ref().clone(), EstimateRange::ONE)
                        .with_size(range.item_size)
                }
            }
            // Upstream estimates the keys of declared maps as empty.
            (CelType::Map(key, _), Some(DeclKind::Map(_))) => {
                TypedExpression::new(key.as_ref().clone(), EstimateRange::ONE)
                    .with_size(Some(EstimateRange::ZERO))
            }
            (CelType::Map(key, _), _) => {
                TypedExpression::new(key.as_ref().clone(), EstimateRange::ONE)
            }
            (CelType::Dyn, _) => TypedExpression::new(CelType::Dyn, EstimateRange::ONE),
            (other, _) => {
                let message = format!(
                    "expression of type '{other}' cannot be range of a comprehension (must be list, map, or dynamic)"
                );
                return self.report(comprehension.iter_range.id, message);
            }
        };
        if comprehension.iter_var2.is_some() {
            return self.report(
                id,
                "comprehensions of two variables are not supported".to_owned(),
            );
        }
        let accumulated = TypedExpression {
            decl: None,
            ..init.clone()
        };
        self.locals
            .push((comprehension.accu_var.clone(), accumulated));
        self.locals.push((comprehension.iter_var.clone(), item));
        let condition = self.infer(&comprehension.loop_cond);
        let step = self.infer(&comprehension.loop_step);
        if !self.types.unify(&init.cel_type, &step.cel_type) {
            let (expected, actual) = (
                self.types.substitute(&init.cel_type),
                self.types.substitute(&step.cel_type),
            );
            self.report(
                comprehension.loop_step.id,
                format!("expected type '{expected}' but found '{actual}'"),
            );
        }
        self.locals.pop();
        let result = self.infer(&comprehension.result);
        self.locals.pop();
        let count = range.size.unwrap_or(EstimateRange::UNKNOWN);
        let loop_cost = count.times(step.cost.plus(condition.cost));
        let cost = range.cost.plus(init.cost).plus(result.cost).plus(loop_cost);
        let is_collecting = matches!(comprehension.accu_init.expr, Expr::List(_) | Expr::Map(_));
        let item_size = step.item_size.filter(|_| is_collecting);
        let order = if is_collecting {
            step.list_order
        } else {
            ListOrder::Significant
        };
        TypedExpression {
            item_size,
            list_order: order,
            ..TypedExpression::new(result.cel_type, cost).with_size(is_collecting.then_some(count))
        }
    }
}
