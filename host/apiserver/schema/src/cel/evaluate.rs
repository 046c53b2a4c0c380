//! Carries out checked expressions.
//!
//! Operators and macros are carried out here, with CEL's rules for errors (a true beside an error is still true), and
//! within a budget; functions by `kube-cel` and `cel`.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue};
use cel::objects::{Key, KeyRef, Map, OptionalValue};
use cel::parser::Expression;
use cel::{Context, Value};
use kube_cel::KubeCelExt;

use super::equality::equal_declared;
use super::signatures;
use super::types::Decl;

/// The functions of the libraries, made once.
static FUNCTIONS: LazyLock<Context<'static>> = LazyLock::new(|| Context::default().with_all());

/// Marks the value of a type, which no string of an object is like.
const TYPE_MARK: char = '\0';

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

fn failed(text: impl Into<String>) -> Fault {
    Fault::Failed(text.into())
}

type Outcome = Result<Value, Fault>;

/// One evaluation.
pub(super) struct Evaluation<'a> {
    /// What `self` is.
    pub(super) value: Value,
    /// What `oldSelf` is, already an optional where the rule asks for one.
    pub(super) old: Option<Value>,
    /// The comparisons in which the order of some lists means nothing.
    pub(super) unordered: &'a HashMap<u64, Arc<Decl>>,
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
                let found = map.get(&KeyRef::String(&select.field));
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

fn type_value(name: &str) -> Value {
    Value::String(Arc::new(format!("{TYPE_MARK}{name}")))
}

fn type_of(value: &Value) -> Value {
    type_value(match value {
        Value::List(_) => "list",
        Value::Map(_) => "map",
        Value::Int(_) => "int",
        Value::UInt(_) => "uint",
        Value::Float(_) => "double",
        Value::String(_) => "string",
        Value::Bytes(_) => "bytes",
        Value::Bool(_) => "bool",
        Value::Duration(_) => "duration",
        Value::Timestamp(_) => "timestamp",
        Value::Null => "null_type",
        Value::Opaque(_) | Value::Function(..) => "opaque",
    })
}

fn key(value: &Value) -> Result<Key, Fault> {
    Ok(match value {
        Value::Int(int) => Key::Int(*int),
        Value::UInt(uint) => Key::Uint(*uint),
        Value::Bool(flag) => Key::Bool(*flag),
        Value::String(text) => Key::String(Arc::clone(text)),
        _ => return Err(failed("unsupported key type")),
    })
}

fn key_value(key: Key) -> Value {
    match key {
        Key::Int(int) => Value::Int(int),
        Key::Uint(uint) => Value::UInt(uint),
        Key::Bool(flag) => Value::Bool(flag),
        Key::String(text) => Value::String(text),
    }
}

fn compare(left: &Value, right: &Value) -> Result<Ordering, Fault> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "comparing an integer with a float is inexact by nature"
    )]
    let order = match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
        (Value::UInt(left), Value::UInt(right)) => Some(left.cmp(right)),
        (Value::Float(left), Value::Float(right)) => left.partial_cmp(right),
        (Value::Int(left), Value::Float(right)) => (*left as f64).partial_cmp(right),
        (Value::Float(left), Value::Int(right)) => left.partial_cmp(&(*right as f64)),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Timestamp(left), Value::Timestamp(right)) => Some(left.cmp(right)),
        (Value::Duration(left), Value::Duration(right)) => Some(left.cmp(right)),
        _ => None,
    };
    order.ok_or_else(|| failed("no such overload"))
}

fn contains(item: &Value, container: &Value) -> Outcome {
    match container {
        Value::List(items) => Ok(Value::Bool(items.contains(item))),
        Value::Map(map) => Ok(Value::Bool(map.get(&key(item)?).is_some())),
        _ => Err(failed("no such overload")),
    }
}

fn index(container: &Value, index: &Value) -> Outcome {
    match (container, index) {
        (Value::List(items), Value::Int(position)) => {
            let found = usize::try_from(*position)
                .ok()
                .and_then(|position| items.get(position));
            found
                .cloned()
                .ok_or_else(|| failed(format!("index out of bounds: {position}")))
        }
        (Value::Map(map), index) => {
            let shown = || match index {
                Value::String(text) => text.to_string(),
                other => format!("{other:?}"),
            };
            map.get(&key(index)?)
                .cloned()
                .ok_or_else(|| failed(format!("no such key: {}", shown())))
        }
        _ => Err(failed("no such overload")),
    }
}

fn arithmetic(name: &str, left: Value, right: Value) -> Outcome {
    if let (Value::Int(_) | Value::UInt(_), Value::Int(0) | Value::UInt(0)) = (&left, &right) {
        match name {
            "_/_" => return Err(failed("division by zero")),
            "_%_" => return Err(failed("modulus by zero")),
            _ => {}
        }
    }
    let outcome = match (name, left, right) {
        ("_+_", Value::Bytes(left), Value::Bytes(right)) => {
            return Ok(Value::Bytes(Arc::new(
                left.iter().chain(right.iter()).copied().collect(),
            )));
        }
        ("_+_", left, right) => left + right,
        ("_-_", left, right) => left - right,
        ("_*_", left, right) => left * right,
        ("_/_", left, right) => left / right,
        (_, left, right) => left % right,
    };
    outcome.map_err(|error| match error {
        cel::ExecutionError::Overflow(..) => failed("integer overflow"),
        other => failed(other.to_string()),
    })
}

fn optional(value: &Value) -> Option<&OptionalValue> {
    match value {
        Value::Opaque(opaque) => opaque.downcast_ref::<OptionalValue>(),
        _ => None,
    }
}

/// A function that is neither operator nor macro.
fn function(name: &str, target: Option<Value>, args: Vec<Value>) -> Outcome {
    match (name, &target, args.as_slice()) {
        ("size", Some(value), []) | ("size", None, [value]) => size(value),
        ("dyn", None, [value]) => Ok(value.clone()),
        ("type", None, [value]) => Ok(type_of(value)),
        ("!_", None, [Value::Bool(flag)]) => Ok(Value::Bool(!flag)),
        ("-_", None, [Value::Int(int)]) => int
            .checked_neg()
            .map(Value::Int)
            .ok_or_else(|| failed("integer overflow")),
        ("-_", None, [Value::Float(float)]) => Ok(Value::Float(-float)),
        ("bool", None, [Value::Bool(flag)]) => Ok(Value::Bool(*flag)),
        ("bool", None, [Value::String(text)]) => match text.as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Value::Bool(true)),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Value::Bool(false)),
            _ => Err(failed("type conversion error from 'string' to 'bool'")),
        },
        ("string", None, [Value::Bool(flag)]) => Ok(Value::String(Arc::new(flag.to_string()))),
        ("string", None, [Value::Duration(duration)]) => {
            let nanos = duration.num_nanoseconds().ok_or_else(|| failed("range"))?;
            Ok(Value::String(Arc::new(seconds(nanos))))
        }
        ("string", None, [Value::Timestamp(time)]) => {
            let nanos =
                i32::try_from(time.timestamp_subsec_nanos()).map_err(|_| failed("range"))?;
            let time = jiff::Timestamp::new(time.timestamp(), nanos)
                .map_err(|error| failed(error.to_string()))?;
            Ok(Value::String(Arc::new(time.to_string())))
        }
        ("timestamp", None, [time @ Value::Timestamp(_)]) => Ok(time.clone()),
        ("duration", None, [duration @ Value::Duration(_)]) => Ok(duration.clone()),
        ("int", None, [Value::Timestamp(time)]) => Ok(Value::Int(time.timestamp())),
        ("hasValue", Some(value), []) => Ok(Value::Bool(of(value)?.value().is_some())),
        ("value", Some(value), []) => of(value)?
            .value()
            .cloned()
            .ok_or_else(|| failed("optional.none() dereference")),
        ("orValue", Some(value), [other]) => Ok(of(value)?.value().unwrap_or(other).clone()),
        ("or", Some(value), [other]) => Ok(if of(value)?.value().is_some() {
            value
        } else {
            other
        }
        .clone()),
        ("optional.of", None, [value]) => {
            Ok(Value::Opaque(Arc::new(OptionalValue::of(value.clone()))))
        }
        ("optional.none", None, []) => Ok(Value::Opaque(Arc::new(OptionalValue::none()))),
        ("matches", Some(Value::String(text)), [Value::String(pattern)])
        | ("matches", None, [Value::String(text), Value::String(pattern)]) => {
            let regex = regex::Regex::new(pattern).map_err(|error| failed(error.to_string()))?;
            Ok(Value::Bool(regex.is_match(text)))
        }
        _ => library(name, target, args),
    }
}

/// Nanoseconds as seconds, with as many digits as it takes: `90s`, `1.5s`.
fn seconds(nanos: i64) -> String {
    const SECOND: u64 = 1_000_000_000;
    let sign = if nanos < 0 { "-" } else { "" };
    let (whole, rest) = (nanos.unsigned_abs() / SECOND, nanos.unsigned_abs() % SECOND);
    let fraction = format!(".{rest:09}");
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    format!("{sign}{whole}{fraction}s")
}

fn of(value: &Value) -> Result<&OptionalValue, Fault> {
    optional(value).ok_or_else(|| failed("no such overload"))
}

fn size(value: &Value) -> Outcome {
    let size = match value {
        Value::String(text) => text.chars().count(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(items) => items.len(),
        Value::Map(map) => map.map.len(),
        _ => return Err(failed("no such overload")),
    };
    i64::try_from(size)
        .map(Value::Int)
        .map_err(|_| failed("integer overflow"))
}

/// Calls a function of the libraries: they take expressions, so the values go in as variables.
pub(super) fn library(name: &str, target: Option<Value>, args: Vec<Value>) -> Outcome {
    let ident = |name: String| IdedExpr {
        id: 0,
        expr: Expr::Ident(name),
    };
    let mut scope = FUNCTIONS.new_inner_scope();
    let mut call = CallExpr {
        func_name: name.to_owned(),
        target: None,
        args: Vec::with_capacity(args.len()),
    };
    if let Some(target) = target {
        scope.add_variable_from_value("@target", target);
        call.target = Some(Box::new(ident("@target".to_owned())));
    }
    for (index, arg) in args.into_iter().enumerate() {
        let name = format!("@{index}");
        scope.add_variable_from_value(name.clone(), arg);
        call.args.push(ident(name));
    }
    let call = IdedExpr {
        id: 0,
        expr: Expr::Call(call),
    };
    Value::resolve(&call, &scope).map_err(|error| match error {
        cel::ExecutionError::FunctionError { message, .. } => failed(message),
        other => failed(other.to_string()),
    })
}
