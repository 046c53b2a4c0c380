//! Traversal of expressions.

use cel::common::ast::{EntryExpr, Expr};
use cel::parser::Expression;

/// Returns the direct subexpressions of an expression.
pub(super) fn children(expression: &Expression) -> Vec<&Expression> {
    match &expression.expr {
        Expr::Call(call) => call
            .target
            .as_deref()
            .into_iter()
            .chain(&call.args)
            .collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => {
            let pairs = map.entries.iter().flat_map(|entry| match &entry.expr {
                EntryExpr::MapEntry(pair) => vec![&pair.key, &pair.value],
                EntryExpr::StructField(field) => vec![&field.value],
            });
            pairs.collect()
        }
        Expr::Comprehension(comprehension) => vec![
            &comprehension.iter_range,
            &comprehension.accu_init,
            &comprehension.loop_cond,
            &comprehension.loop_step,
            &comprehension.result,
        ],
        Expr::Struct(_) | Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => Vec::new(),
    }
}

/// Calls `visitor` with an expression and all of its subexpressions, parents first.
pub(super) fn visit<'a>(expression: &'a Expression, visitor: &mut impl FnMut(&'a Expression)) {
    visitor(expression);
    children(expression)
        .into_iter()
        .for_each(|child| visit(child, visitor));
}
