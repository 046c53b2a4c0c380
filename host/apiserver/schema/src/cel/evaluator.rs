//! Evaluates checked expressions within a budget.
//!
//! Operators and macros are evaluated here, with CEL's rules for errors (`true || error` is true), and functions by
//! `kube-cel` and `cel`.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use cel::Value;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue};
use cel::objects::{Key, KeyRef, Map, OptionalValue};
use cel::parser::Expression;

use super::authorization::{AuthorizationValue, CHECK_STEPS};
use super::equality::is_equal_as_declared;
use super::escape::escape_reserved;
use super::functions::{call_function, type_value};
use super::operators::{arithmetic, compare, contains, from_key, index, optional_index, to_key};
use super::overloads;
use super::pattern_set::PatternSet;
use super::types::DeclType;

/// An expression that has no value.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum EvaluationError {
    /// The evaluation failed: a missing key, an overflow, or an error of a function.
    #[error("{0}")]
    Failed(String),
    /// The evaluation needed more steps than its budget.
    #[error("operation cancelled: actual cost limit exceeded")]
    BudgetExceeded,
}

/// Creates the error of a failed evaluation.
pub(crate) fn failure(text: impl Into<String>) -> EvaluationError {
    EvaluationError::Failed(text.into())
}

/// The value of an expression, or the error.
pub(crate) type EvaluationResult = Result<Value, EvaluationError>;

/// The values of the variables of an expression.
pub(crate) trait VariableSource {
    /// Returns the value of a variable; `None` if it is not declared.
    fn value(&self, name: &str) -> Option<EvaluationResult>;

    /// Returns a field of a variable whose fields are evaluated on their first use, within `budget`. Returns `None` if
    /// there is no such variable or field.
    fn field_value(
        &self,
        _variable: &str,
        _field: &str,
        _budget: &mut u64,
    ) -> Option<EvaluationResult> {
        None
    }
}

/// The state of one evaluation.
pub(super) struct Evaluator<'a> {
    /// The values of the declared variables.
    pub(super) variables: &'a dyn VariableSource,
    /// The comparisons, by expression ID, that ignore the order of some lists.
    pub(super) unordered_comparisons: &'a HashMap<u64, Arc<DeclType>>,
    /// The patterns that were compiled with the expression.
    pub(super) patterns: &'a PatternSet,
    /// The number of steps left.
    pub(super) budget: &'a mut u64,
    /// The variables of macros, innermost last. An accumulator may hold an error.
    pub(super) locals: Vec<(&'a str, EvaluationResult)>,
}

impl<'a> Evaluator<'a> {
    /// Evaluates an expression.
    pub(super) fn evaluate(&mut self, expression: &'a Expression) -> EvaluationResult {
        self.charge(1)?;
        match &expression.expr {
            Expr::Literal(literal) => Ok(literal_value(literal)),
            Expr::Ident(name) => self.evaluate_ident(name),
            Expr::Select(select) => {
                if let Some(value) = self.evaluate_field_variable(&select.operand, &select.field) {
                    return if select.test {
                        Ok(Value::Bool(true))
                    } else {
                        value
                    };
                }
                let operand = self.evaluate(&select.operand)?;
                if let Value::Opaque(_) = &operand {
                    return select_optional(&operand, &select.field, select.test);
                }
                let Value::Map(map) = &operand else {
                    return Err(failure("no such overload"));
                };
                let plain = map.get(&KeyRef::String(&select.field));
                let found =
                    plain.or_else(|| map.get(&KeyRef::String(&escape_reserved(&select.field)?)));
                match found {
                    _ if select.test => Ok(Value::Bool(found.is_some())),
                    Some(value) => Ok(value.clone()),
                    None => Err(failure(format!("no such key: {}", select.field))),
                }
            }
            Expr::Call(call) => self.evaluate_call(expression.id, call),
            Expr::List(list) => {
                let items = list
                    .elements
                    .iter()
                    .map(|item| self.evaluate(item))
                    .collect::<Result<_, _>>()?;
                Ok(Value::List(Arc::new(items)))
            }
            Expr::Map(map) => {
                let mut entries = HashMap::with_capacity(map.entries.len());
                for entry in &map.entries {
                    let EntryExpr::MapEntry(pair) = &entry.expr else {
                        return Err(failure("no such overload"));
                    };
                    let key = to_key(&self.evaluate(&pair.key)?)?;
                    entries.insert(key, self.evaluate(&pair.value)?);
                }
                Ok(Value::Map(Map {
                    map: Arc::new(entries),
                }))
            }
            Expr::Comprehension(comprehension) => self.evaluate_comprehension(comprehension),
            Expr::Struct(_) | Expr::Unspecified => Err(failure("no such overload")),
        }
    }

    fn charge(&mut self, steps: u64) -> Result<(), EvaluationError> {
        *self.budget = self
            .budget
            .checked_sub(steps)
            .ok_or(EvaluationError::BudgetExceeded)?;
        Ok(())
    }

    fn evaluate_ident(&self, name: &str) -> EvaluationResult {
        if let Some((_, local)) = self.locals.iter().rev().find(|(local, _)| *local == name) {
            return local.clone();
        }
        self.variables
            .value(name)
            .unwrap_or_else(|| Ok(type_value(name)))
    }

    /// Evaluates the field of a variable whose fields are evaluated on their first use; returns `None` for any other
    /// operand.
    fn evaluate_field_variable(
        &mut self,
        operand: &Expression,
        field: &str,
    ) -> Option<EvaluationResult> {
        let Expr::Ident(name) = &operand.expr else {
            return None;
        };
        if self.locals.iter().any(|(local, _)| local == name) {
            return None;
        }
        self.variables.field_value(name, field, self.budget)
    }

    fn evaluate_call(&mut self, id: u64, call: &'a CallExpr) -> EvaluationResult {
        let name = call.func_name.as_str();
        match (name, call.args.as_slice()) {
            ("_&&_", [left, right]) => return self.evaluate_logic(left, right, false),
            ("_||_", [left, right]) => return self.evaluate_logic(left, right, true),
            ("_?_:_", [condition, yes, no]) => {
                return match self.evaluate(condition)? {
                    Value::Bool(true) => self.evaluate(yes),
                    Value::Bool(false) => self.evaluate(no),
                    _ => Err(failure("no such overload")),
                };
            }
            ("@not_strictly_false", [condition]) => {
                return match self.evaluate(condition) {
                    Err(EvaluationError::BudgetExceeded) => Err(EvaluationError::BudgetExceeded),
                    outcome => Ok(Value::Bool(!matches!(outcome, Ok(Value::Bool(false))))),
                };
            }
            ("_?._", [operand, field]) => {
                if let Expr::Literal(LiteralValue::String(field)) = &field.expr
                    && let Some(value) = self.evaluate_field_variable(operand, field.inner())
                {
                    return value.map(|value| Value::Opaque(Arc::new(OptionalValue::of(value))));
                }
            }
            _ => {}
        }
        let (library, target) = match call.target.as_deref() {
            Some(IdedExpr {
                expr: Expr::Ident(library),
                ..
            }) if overloads::function_overloads(&format!("{library}.{name}")).is_some() => {
                (Some(library), None)
            }
            Some(target) => (None, Some(self.evaluate(target)?)),
            None => (None, None),
        };
        let args = call
            .args
            .iter()
            .map(|arg| self.evaluate(arg))
            .collect::<Result<Vec<_>, _>>()?;
        let work = target
            .iter()
            .chain(&args)
            .map(extra_steps)
            .fold(0, u64::saturating_add);
        self.charge(work)?;
        if name == "check" && AuthorizationValue::from_target(target.as_ref()).is_some() {
            self.charge(CHECK_STEPS)?;
        }
        if name == "_==_" && AuthorizationValue::from_target(args.first()).is_some() {
            return Err(failure("no such overload"));
        }
        if let (None, [left, right]) = (&target, args.as_slice())
            && let Some(outcome) = self.evaluate_operator(id, name, left, right)
        {
            return outcome;
        }
        if let Some(outcome) = self.patterns.call(name, target.as_ref(), &args) {
            return outcome;
        }
        match library {
            Some(library) => call_function(&format!("{library}.{name}"), None, args),
            None => call_function(name, target, args),
        }
    }

    fn evaluate_logic(
        &mut self,
        left: &'a Expression,
        right: &'a Expression,
        decisive: bool,
    ) -> EvaluationResult {
        let left = self.evaluate(left);
        if matches!(left, Ok(Value::Bool(flag)) if flag == decisive)
            || left == Err(EvaluationError::BudgetExceeded)
        {
            return left;
        }
        let right = self.evaluate(right);
        match (left, right) {
            (_, Ok(Value::Bool(flag))) if flag == decisive => Ok(Value::Bool(flag)),
            (_, Err(EvaluationError::BudgetExceeded)) => Err(EvaluationError::BudgetExceeded),
            (Err(error), _) | (Ok(Value::Bool(_)), Err(error)) => Err(error),
            (Ok(Value::Bool(_)), Ok(Value::Bool(_))) => Ok(Value::Bool(!decisive)),
            _ => Err(failure("no such overload")),
        }
    }

    fn evaluate_operator(
        &self,
        id: u64,
        name: &str,
        left: &Value,
        right: &Value,
    ) -> Option<EvaluationResult> {
        let equals = || match self.unordered_comparisons.get(&id) {
            Some(decl) => is_equal_as_declared(decl, left, right),
            None => left == right,
        };
        Some(match name {
            "_==_" => Ok(Value::Bool(equals())),
            "_!=_" => Ok(Value::Bool(!equals())),
            "_<_" => compare(left, right).map(|order| Value::Bool(order == Ordering::Less)),
            "_<=_" => compare(left, right).map(|order| Value::Bool(order != Ordering::Greater)),
            "_>_" => compare(left, right).map(|order| Value::Bool(order == Ordering::Greater)),
            "_>=_" => compare(left, right).map(|order| Value::Bool(order != Ordering::Less)),
            "@in" => contains(left, right),
            "_[_]" => index(left, right),
            "_[?_]" | "_?._" => optional_index(left, right),
            "_+_" | "_-_" | "_*_" | "_/_" | "_%_" => arithmetic(name, left.clone(), right.clone()),
            _ => return None,
        })
    }

    fn evaluate_comprehension(&mut self, comprehension: &'a ComprehensionExpr) -> EvaluationResult {
        let items: Vec<Value> = match self.evaluate(&comprehension.iter_range)? {
            Value::List(items) => items.iter().cloned().collect(),
            Value::Map(map) => {
                // CEL does not define the order; sorting makes results reproducible.
                let mut keys: Vec<Key> = map.map.keys().cloned().collect();
                keys.sort();
                keys.into_iter().map(from_key).collect()
            }
            _ => return Err(failure("no such overload")),
        };
        let init = self.evaluate(&comprehension.accu_init);
        let depth = self.locals.len();
        self.locals.push((&comprehension.accu_var, init));
        let outcome = self
            .run_loop(comprehension, items, depth)
            .and_then(|()| self.evaluate(&comprehension.result));
        self.locals.truncate(depth);
        outcome
    }

    fn run_loop(
        &mut self,
        comprehension: &'a ComprehensionExpr,
        items: Vec<Value>,
        depth: usize,
    ) -> Result<(), EvaluationError> {
        for item in items {
            self.locals.push((&comprehension.iter_var, Ok(item)));
            let condition = self.evaluate(&comprehension.loop_cond)?;
            if matches!(condition, Value::Bool(false)) {
                break;
            }
            let step = self.evaluate(&comprehension.loop_step);
            if step == Err(EvaluationError::BudgetExceeded) {
                return Err(EvaluationError::BudgetExceeded);
            }
            self.locals.truncate(depth);
            self.locals.push((&comprehension.accu_var, step));
        }
        self.locals.truncate(depth + 1);
        Ok(())
    }
}

/// Selects a field of an optional: the result is an optional, or for `has`, whether it has a value.
fn select_optional(operand: &Value, field: &str, is_test: bool) -> EvaluationResult {
    let selected = optional_index(operand, &Value::String(Arc::new(field.to_owned())))?;
    if is_test {
        call_function("hasValue", Some(selected), Vec::new())
    } else {
        Ok(selected)
    }
}

/// Returns the steps that an operand costs in addition to the call itself: long strings and lists take time.
fn extra_steps(value: &Value) -> u64 {
    /// Bytes of a string that cost one step.
    const BYTES_PER_STEP: usize = 10;
    let steps = match value {
        Value::String(text) => text.len() / BYTES_PER_STEP,
        Value::Bytes(bytes) => bytes.len() / BYTES_PER_STEP,
        Value::List(items) => items.len(),
        Value::Map(map) => map.map.len(),
        _ => 0,
    };
    steps as u64
}

fn literal_value(literal: &LiteralValue) -> Value {
    match literal {
        LiteralValue::Boolean(flag) => Value::Bool(*flag.inner()),
        LiteralValue::Bytes(bytes) => Value::Bytes(Arc::new(bytes.inner().to_vec())),
        LiteralValue::Double(float) => Value::Float(*float.inner()),
        LiteralValue::Int(int) => Value::Int(*int.inner()),
        LiteralValue::Null => Value::Null,
        LiteralValue::String(text) => Value::String(Arc::new(text.inner().to_owned())),
        LiteralValue::UInt(uint) => Value::UInt(*uint.inner()),
    }
}
