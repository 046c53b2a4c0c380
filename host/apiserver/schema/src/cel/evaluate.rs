//! Carries out checked expressions.
//!
//! Operators and macros are carried out here, with CEL's rules for errors (a true beside an error is still true), and
//! within a budget; functions by `kube-cel` and `cel`.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use cel::Value;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue};
use cel::objects::{Key, KeyRef, Map};
use cel::parser::Expression;

use super::equality::equal_declared;
use super::escape::reserved;
use super::functions::{function, type_value};
use super::operators::{arithmetic, compare, contains, index, key, key_value, optional_index};
use super::regexes::Regexes;
use super::signatures;
use super::types::Decl;

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum Fault {
    /// The expression went wrong: a missing key, an overflow, a function's complaint.
    #[error("{0}")]
    Failed(String),
    /// The expression was too much work.
    #[error("operation cancelled: actual cost limit exceeded")]
    Budget,
}

pub(super) fn failed(text: impl Into<String>) -> Fault {
    Fault::Failed(text.into())
}

/// A value, or why there is none.
pub(super) type Outcome = Result<Value, Fault>;

/// One evaluation.
pub(super) struct Evaluation<'a> {
    /// What `self` is.
    pub(super) value: Value,
    /// What `oldSelf` is, already an optional where the rule asks for one.
    pub(super) old: Option<Value>,
    /// The comparisons in which the order of some lists means nothing.
    pub(super) unordered: &'a HashMap<u64, Arc<Decl>>,
    /// The patterns that the expression holds.
    pub(super) regexes: &'a Regexes,
    /// How many more steps may be taken.
    pub(super) budget: &'a mut u64,
    /// The variables of macros, innermost last; an accumulator may hold an error.
    pub(super) locals: Vec<(&'a str, Outcome)>,
}

impl<'a> Evaluation<'a> {
    /// The value of an expression.
    pub(super) fn run(&mut self, expression: &'a Expression) -> Outcome {
        self.spend(1)?;
        match &expression.expr {
            Expr::Literal(literal) => Ok(literal_value(literal)),
            Expr::Ident(name) => self.ident(name),
            Expr::Select(select) => {
                let operand = self.run(&select.operand)?;
                let Value::Map(map) = &operand else {
                    return Err(failed("no such overload"));
                };
                let plain = map.get(&KeyRef::String(&select.field));
                let found = plain.or_else(|| map.get(&KeyRef::String(&reserved(&select.field)?)));
                match found {
                    _ if select.test => Ok(Value::Bool(found.is_some())),
                    Some(value) => Ok(value.clone()),
                    None => Err(failed(format!("no such key: {}", select.field))),
                }
            }
            Expr::Call(call) => self.call(expression.id, call),
            Expr::List(list) => {
                let items = list
                    .elements
                    .iter()
                    .map(|item| self.run(item))
                    .collect::<Result<_, _>>()?;
                Ok(Value::List(Arc::new(items)))
            }
            Expr::Map(map) => {
                let mut entries = HashMap::with_capacity(map.entries.len());
                for entry in &map.entries {
                    let EntryExpr::MapEntry(pair) = &entry.expr else {
                        return Err(failed("no such overload"));
                    };
                    let key = key(&self.run(&pair.key)?)?;
                    entries.insert(key, self.run(&pair.value)?);
                }
                Ok(Value::Map(Map {
                    map: Arc::new(entries),
                }))
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Struct(_) | Expr::Unspecified => Err(failed("no such overload")),
        }
    }

    fn spend(&mut self, steps: u64) -> Result<(), Fault> {
        *self.budget = self.budget.checked_sub(steps).ok_or(Fault::Budget)?;
        Ok(())
    }

    fn ident(&self, name: &str) -> Outcome {
        if let Some((_, local)) = self.locals.iter().rev().find(|(local, _)| *local == name) {
            return local.clone();
        }
        match name {
            "self" => Ok(self.value.clone()),
            "oldSelf" => self
                .old
                .clone()
                .ok_or_else(|| failed("no such attribute: oldSelf")),
            name => Ok(type_value(name)),
        }
    }

    fn call(&mut self, id: u64, call: &'a CallExpr) -> Outcome {
        let name = call.func_name.as_str();
        match (name, call.args.as_slice()) {
            ("_&&_", [left, right]) => return self.logic(left, right, false),
            ("_||_", [left, right]) => return self.logic(left, right, true),
            ("_?_:_", [condition, yes, no]) => {
                return match self.run(condition)? {
                    Value::Bool(true) => self.run(yes),
                    Value::Bool(false) => self.run(no),
                    _ => Err(failed("no such overload")),
                };
            }
            ("@not_strictly_false", [condition]) => {
                return match self.run(condition) {
                    Err(Fault::Budget) => Err(Fault::Budget),
                    outcome => Ok(Value::Bool(!matches!(outcome, Ok(Value::Bool(false))))),
                };
            }
            _ => {}
        }
        let (library, target) = match call.target.as_deref() {
            Some(IdedExpr {
                expr: Expr::Ident(library),
                ..
            }) if signatures::overloads(&format!("{library}.{name}")).is_some() => {
                (Some(library), None)
            }
            Some(target) => (None, Some(self.run(target)?)),
            None => (None, None),
        };
        let args = call
            .args
            .iter()
            .map(|arg| self.run(arg))
            .collect::<Result<Vec<_>, _>>()?;
        let work = target
            .iter()
            .chain(&args)
            .map(weight)
            .fold(0, u64::saturating_add);
        self.spend(work)?;
        if let (None, [left, right]) = (&target, args.as_slice())
            && let Some(outcome) = self.operator(id, name, left, right)
        {
            return outcome;
        }
        if let Some(outcome) = self.regexes.call(name, target.as_ref(), &args) {
            return outcome;
        }
        match library {
            Some(library) => function(&format!("{library}.{name}"), None, args),
            None => function(name, target, args),
        }
    }

    fn logic(&mut self, left: &'a Expression, right: &'a Expression, decisive: bool) -> Outcome {
        let left = self.run(left);
        if matches!(left, Ok(Value::Bool(flag)) if flag == decisive) || left == Err(Fault::Budget) {
            return left;
        }
        let right = self.run(right);
        match (left, right) {
            (_, Ok(Value::Bool(flag))) if flag == decisive => Ok(Value::Bool(flag)),
            (_, Err(Fault::Budget)) => Err(Fault::Budget),
            (Err(fault), _) | (Ok(Value::Bool(_)), Err(fault)) => Err(fault),
            (Ok(Value::Bool(_)), Ok(Value::Bool(_))) => Ok(Value::Bool(!decisive)),
            _ => Err(failed("no such overload")),
        }
    }

    fn operator(&self, id: u64, name: &str, left: &Value, right: &Value) -> Option<Outcome> {
        let equals = || match self.unordered.get(&id) {
            Some(decl) => equal_declared(decl, left, right),
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

    fn comprehension(&mut self, comprehension: &'a ComprehensionExpr) -> Outcome {
        let items: Vec<Value> = match self.run(&comprehension.iter_range)? {
            Value::List(items) => items.iter().cloned().collect(),
            Value::Map(map) => {
                // Any order is right; the same one every time is better.
                let mut keys: Vec<Key> = map.map.keys().cloned().collect();
                keys.sort();
                keys.into_iter().map(key_value).collect()
            }
            _ => return Err(failed("no such overload")),
        };
        let init = self.run(&comprehension.accu_init);
        let depth = self.locals.len();
        self.locals.push((&comprehension.accu_var, init));
        let outcome = self
            .turns(comprehension, items, depth)
            .and_then(|()| self.run(&comprehension.result));
        self.locals.truncate(depth);
        outcome
    }

    fn turns(
        &mut self,
        comprehension: &'a ComprehensionExpr,
        items: Vec<Value>,
        depth: usize,
    ) -> Result<(), Fault> {
        for item in items {
            self.locals.push((&comprehension.iter_var, Ok(item)));
            let goes_on = self.run(&comprehension.loop_cond)?;
            if matches!(goes_on, Value::Bool(false)) {
                break;
            }
            let step = self.run(&comprehension.loop_step);
            if step == Err(Fault::Budget) {
                return Err(Fault::Budget);
            }
            self.locals.truncate(depth);
            self.locals.push((&comprehension.accu_var, step));
        }
        self.locals.truncate(depth + 1);
        Ok(())
    }
}

/// What handling a value costs beyond one step: long texts and lists are work.
fn weight(value: &Value) -> u64 {
    const TEXT_PER_STEP: usize = 10;
    let steps = match value {
        Value::String(text) => text.len() / TEXT_PER_STEP,
        Value::Bytes(bytes) => bytes.len() / TEXT_PER_STEP,
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
