//! Lists, maps and loops over them, checked.

use cel::common::ast::{ComprehensionExpr, EntryExpr, Expr, ListExpr, MapExpr};

use super::check::{Checker, taken_from};
use super::cost::{self, Range};
use super::typed::Typed;
use super::types::{DeclKind, Order, Type};

impl Checker<'_> {
    /// A list in a rule.
    pub(super) fn list(&mut self, id: u64, list: &ListExpr) -> Typed {
        let item = self.types.fresh();
        let mut cost = Range::fixed(cost::LIST);
        let mut item_size: Option<Range> = None;
        let mut order = Order::Kept;
        for element in &list.elements {
            let typed = self.expression(element);
            cost = cost.plus(typed.cost);
            self.same(element.id, &item, &typed.kind);
            order = order.max(self.order(&typed).min(Order::LooseInside));
            let size = self.operand(&typed).size.unwrap_or(Range::UNKNOWN);
            item_size = Some(item_size.map_or(size, |known| known.union(size)));
        }
        if !list.optional_indices.is_empty() {
            return self.mistake(id, "unsupported syntax '?'".to_owned());
        }
        let size = Range::fixed(list.elements.len() as u64);
        let item_size = Some(item_size.unwrap_or(Range::ZERO));
        Typed {
            item_size,
            order,
            ..Typed::new(Type::list(item), cost).sized(Some(size))
        }
    }

    /// A map in a rule.
    pub(super) fn map(&mut self, id: u64, map: &MapExpr) -> Typed {
        let (key, value) = (self.types.fresh(), self.types.fresh());
        let mut cost = Range::fixed(cost::MAP);
        let mut order = Order::Kept;
        for entry in &map.entries {
            let EntryExpr::MapEntry(pair) = &entry.expr else {
                return self.mistake(id, "unexpected field of a message".to_owned());
            };
            if pair.optional {
                return self.mistake(entry.id, "unsupported syntax '?'".to_owned());
            }
            for (wanted, given) in [(&key, &pair.key), (&value, &pair.value)] {
                let typed = self.expression(given);
                cost = cost.plus(typed.cost);
                order = order.max(self.order(&typed).min(Order::LooseInside));
                self.same(given.id, wanted, &typed.kind);
            }
        }
        let size = Range::fixed(map.entries.len() as u64);
        Typed {
            order,
            ..Typed::new(Type::map(key, value), cost).sized(Some(size))
        }
    }

    /// Entries of one literal have one type.
    fn same(&mut self, id: u64, wanted: &Type, given: &Type) {
        if !self.types.assign(wanted, given) {
            let (wanted, given) = (self.types.settle(wanted), self.types.settle(given));
            self.mistake(id, format!("expected type '{wanted}' but found '{given}'"));
        }
    }

    /// What macros expand to: a loop over a list or the keys of a map.
    pub(super) fn comprehension(&mut self, id: u64, comprehension: &ComprehensionExpr) -> Typed {
        let range = self.expression(&comprehension.iter_range);
        let init = self.expression(&comprehension.accu_init);
        let kind = self.types.resolve(&range.kind);
        let place = range.place.as_deref().map(|place| &place.kind);
        let item = match (&kind, place) {
            (Type::List(_), Some(DeclKind::List { item, .. })) => Typed::declared(item, Range::ONE),
            (Type::List(item), _) => {
                let order = taken_from(range.order);
                Typed {
                    order,
                    ..Typed::new(item.as_ref().clone(), Range::ONE).sized(range.item_size)
                }
            }
            // Upstream counts the keys of declared maps as empty.
            (Type::Map(key, _), Some(DeclKind::Map(_))) => {
                Typed::new(key.as_ref().clone(), Range::ONE).sized(Some(Range::ZERO))
            }
            (Type::Map(key, _), _) => Typed::new(key.as_ref().clone(), Range::ONE),
            (Type::Dyn, _) => Typed::new(Type::Dyn, Range::ONE),
            (other, _) => {
                let text = format!(
                    "expression of type '{other}' cannot be range of a comprehension (must be list, map, or dynamic)"
                );
                return self.mistake(comprehension.iter_range.id, text);
            }
        };
        if comprehension.iter_var2.is_some() {
            return self.mistake(
                id,
                "comprehensions of two variables are not supported".to_owned(),
            );
        }
        let accumulated = Typed {
            place: None,
            ..init.clone()
        };
        self.locals
            .push((comprehension.accu_var.clone(), accumulated));
        self.locals.push((comprehension.iter_var.clone(), item));
        let condition = self.expression(&comprehension.loop_cond);
        let step = self.expression(&comprehension.loop_step);
        if !self.types.assign(&init.kind, &step.kind) {
            let (wanted, given) = (self.types.settle(&init.kind), self.types.settle(&step.kind));
            self.mistake(
                comprehension.loop_step.id,
                format!("expected type '{wanted}' but found '{given}'"),
            );
        }
        self.locals.pop();
        let result = self.expression(&comprehension.result);
        self.locals.pop();
        let count = range.size.unwrap_or(Range::UNKNOWN);
        let turns = count.times(step.cost.plus(condition.cost));
        let cost = range.cost.plus(init.cost).plus(result.cost).plus(turns);
        let gathers = matches!(comprehension.accu_init.expr, Expr::List(_) | Expr::Map(_));
        let item_size = step.item_size.filter(|_| gathers);
        let order = if gathers { step.order } else { Order::Kept };
        Typed {
            item_size,
            order,
            ..Typed::new(result.kind, cost).sized(gathers.then_some(count))
        }
    }
}
