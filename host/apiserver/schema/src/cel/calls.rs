//! Type checking of calls: overload resolution and cost estimates.

use cel::common::ast::{CallExpr, Expr, LiteralValue};
use cel::parser::Expression;

use super::cost::{self, EstimateRange, OperandEstimate};
use super::overloads::{self, FunctionOverload};
use super::type_checker::TypeChecker;
use super::typed_expression::{TypedExpression, joined_item_size};
use super::types::{CelType, DeclKind};

impl TypeChecker<'_> {
    /// Infers the type of a call of a function, a method, or an operator.
    pub(super) fn infer_call(&mut self, id: u64, call: &CallExpr) -> TypedExpression {
        if let (
            "_?._",
            [
                operand,
                Expression {
                    expr: Expr::Literal(LiteralValue::String(name)),
                    ..
                },
            ],
        ) = (call.func_name.as_str(), call.args.as_slice())
        {
            let operand = self.infer(operand);
            return self.infer_optional_select(id, &operand, name.inner());
        }
        let (name, target) = match call.target.as_deref() {
            None => (call.func_name.clone(), None),
            Some(Expression {
                expr: Expr::Ident(library),
                ..
            }) if overloads::function_overloads(&format!("{library}.{}", call.func_name))
                .is_some() =>
            {
                (format!("{library}.{}", call.func_name), None)
            }
            Some(target) => (call.func_name.clone(), Some(self.infer(target))),
        };
        let args: Vec<TypedExpression> = call.args.iter().map(|arg| self.infer(arg)).collect();
        let overloads = match target {
            Some(_) => overloads::method_overloads(&name),
            None => overloads::function_overloads(&name),
        };
        let Some(overloads) = overloads else {
            return self.report(
                id,
                format!("undeclared reference to '{name}' (in container '')"),
            );
        };
        let Some(ty) = self.resolve_overload(overloads, target.as_ref(), &args) else {
            let signature = self.format_signature(target.as_ref(), &args);
            return self.report(
                id,
                format!("found no matching overload for '{name}' applied to '{signature}'"),
            );
        };
        let all: Vec<&TypedExpression> = target.iter().chain(&args).collect();
        self.check_list_order(id, &name, &all);
        let order = self.result_order(&name, &ty, &all);
        let operands: Vec<OperandEstimate> =
            args.iter().map(|arg| self.estimate_operand(arg)).collect();
        let target_operand = target.as_ref().map(|target| self.estimate_operand(target));
        let (cost, size) = cost::estimate_call(&name, target_operand.as_ref(), &operands);
        let cost = cost.plus(
            target
                .as_ref()
                .map_or(EstimateRange::ZERO, |target| target.cost),
        );
        let indexed = args
            .first()
            .filter(|_| name == "_[_]")
            .and_then(|list| list.decl.as_deref());
        match indexed.map(|decl| &decl.kind) {
            Some(DeclKind::List { item, .. } | DeclKind::Map(item)) => {
                TypedExpression::declared(item, cost)
            }
            _ if name == "dyn" => {
                let size = operands.first().and_then(|arg| arg.size);
                TypedExpression {
                    size,
                    list_order: order,
                    ..TypedExpression::new(CelType::Dyn, cost)
                }
            }
            _ => {
                let item_size = joined_item_size(&name, &operands);
                TypedExpression {
                    item_size,
                    list_order: order,
                    ..TypedExpression::new(ty, cost).with_size(size)
                }
            }
        }
    }

    /// Returns the result type of the overload that matches, or dyn if several match with different result types.
    /// Returns `None` if no overload matches.
    fn resolve_overload(
        &mut self,
        overloads: &[FunctionOverload],
        target: Option<&TypedExpression>,
        args: &[TypedExpression],
    ) -> Option<CelType> {
        let mut result: Option<CelType> = None;
        for overload in overloads
            .iter()
            .filter(|overload| overload.args.len() == args.len())
        {
            let mut trial = self.types.clone();
            let expected = overload.target.iter().chain(&overload.args);
            let expected: Vec<CelType> = expected.map(|ty| trial.instantiate(ty)).collect();
            let own_result = trial.instantiate(&overload.result);
            trial.reserve(overload.variable_count);
            let actual = target.into_iter().chain(args);
            if !expected
                .iter()
                .zip(actual)
                .all(|(expected, actual)| trial.unify(expected, &actual.cel_type))
            {
                continue;
            }
            result = Some(match result {
                None => {
                    self.types = trial;
                    own_result
                }
                Some(first)
                    if trial.is_same(
                        &self.types.substitute(&first),
                        &trial.substitute(&own_result),
                    ) =>
                {
                    first
                }
                Some(_) => CelType::Dyn,
            });
        }
        result
    }

    fn format_signature(
        &self,
        target: Option<&TypedExpression>,
        args: &[TypedExpression],
    ) -> String {
        let args: Vec<String> = args
            .iter()
            .map(|arg| self.types.substitute(&arg.cel_type).to_string())
            .collect();
        let target = target.map(|target| format!("{}.", self.types.substitute(&target.cel_type)));
        format!("{}({})", target.unwrap_or_default(), args.join(", "))
    }
}
