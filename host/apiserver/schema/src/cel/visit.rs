//! Walks through expressions.

use cel::common::ast::{EntryExpr, Expr};
use cel::parser::Expression;

/// The expressions directly in an expression.
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
        Expr::Comprehension(it) => vec![
            &it.iter_range,
            &it.accu_init,
            &it.loop_cond,
            &it.loop_step,
            &it.result,
        ],
        Expr::Struct(_) | Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => Vec::new(),
    }
}

/// Shows an expression and all in it to a function.
pub(super) fn visit<'a>(expression: &'a Expression, see: &mut impl FnMut(&'a Expression)) {
    see(expression);
    children(expression)
        .into_iter()
        .for_each(|child| visit(child, see));
}
