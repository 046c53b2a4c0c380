//! The functions on values: calls of the libraries of `kube-cel` and `cel`, and functions that neither of them has.

use std::sync::{Arc, LazyLock};

use cel::common::ast::{CallExpr, Expr, IdedExpr};
use cel::objects::OptionalValue;
use cel::{Context, Value};
use kube_cel::KubeCelExt;

use super::authorization::AuthorizationValue;
use super::evaluator::{EvaluationError, EvaluationResult, failure};

/// The functions of the libraries, registered once.
static FUNCTIONS: LazyLock<Context<'static>> = LazyLock::new(|| Context::default().with_all());

/// The first character of the string that represents a type. Strings in rules and objects do not begin with it.
const TYPE_PREFIX: char = '\0';

/// Returns the value that represents the type with this name.
pub(super) fn type_value(name: &str) -> Value {
    Value::String(Arc::new(format!("{TYPE_PREFIX}{name}")))
}

fn dynamic_type(value: &Value) -> Value {
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

/// Returns the optional in a value; `None` if the value is of another type.
fn as_optional(value: &Value) -> Option<&OptionalValue> {
    match value {
        Value::Opaque(opaque) => opaque.downcast_ref::<OptionalValue>(),
        _ => None,
    }
}

/// Calls a function that is neither an operator nor a macro.
pub(super) fn call_function(
    name: &str,
    target: Option<Value>,
    args: Vec<Value>,
) -> EvaluationResult {
    if let Some(value) = AuthorizationValue::from_target(target.as_ref()) {
        return value.call(name, &args);
    }
    match (name, &target, args.as_slice()) {
        ("size", Some(value), []) | ("size", None, [value]) => size(value),
        ("dyn", None, [value]) => Ok(value.clone()),
        ("type", None, [value]) => Ok(dynamic_type(value)),
        ("!_", None, [Value::Bool(flag)]) => Ok(Value::Bool(!flag)),
        ("-_", None, [Value::Int(int)]) => int
            .checked_neg()
            .map(Value::Int)
            .ok_or_else(|| failure("integer overflow")),
        ("-_", None, [Value::Float(float)]) => Ok(Value::Float(-float)),
        ("bool", None, [Value::Bool(flag)]) => Ok(Value::Bool(*flag)),
        ("bool", None, [Value::String(text)]) => match text.as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Value::Bool(true)),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Value::Bool(false)),
            _ => Err(conversion_error("bool")),
        },
        ("int", None, [Value::String(text)]) => text
            .parse()
            .map(Value::Int)
            .map_err(|_| conversion_error("int")),
        ("uint", None, [Value::String(text)]) => text
            .parse()
            .map(Value::UInt)
            .map_err(|_| conversion_error("uint")),
        ("string", None, [Value::Bool(flag)]) => Ok(Value::String(Arc::new(flag.to_string()))),
        ("string", None, [Value::Duration(duration)]) => {
            let nanos = duration.num_nanoseconds().ok_or_else(|| failure("range"))?;
            Ok(Value::String(Arc::new(format_seconds(nanos))))
        }
        ("string", None, [Value::Timestamp(time)]) => {
            let nanos =
                i32::try_from(time.timestamp_subsec_nanos()).map_err(|_| failure("range"))?;
            let time = jiff::Timestamp::new(time.timestamp(), nanos)
                .map_err(|error| failure(error.to_string()))?;
            Ok(Value::String(Arc::new(time.to_string())))
        }
        ("timestamp", None, [time @ Value::Timestamp(_)]) => Ok(time.clone()),
        ("duration", None, [duration @ Value::Duration(_)]) => Ok(duration.clone()),
        ("int", None, [Value::Timestamp(time)]) => Ok(Value::Int(time.timestamp())),
        ("hasValue", Some(value), []) => {
            Ok(Value::Bool(require_optional(value)?.value().is_some()))
        }
        ("value", Some(value), []) => require_optional(value)?
            .value()
            .cloned()
            .ok_or_else(|| failure("optional.none() dereference")),
        ("orValue", Some(value), [other]) => {
            Ok(require_optional(value)?.value().unwrap_or(other).clone())
        }
        ("or", Some(value), [other]) => Ok(if require_optional(value)?.value().is_some() {
            value
        } else {
            other
        }
        .clone()),
        ("optional.of", None, [value]) => {
            Ok(Value::Opaque(Arc::new(OptionalValue::of(value.clone()))))
        }
        ("optional.none", None, []) => Ok(Value::Opaque(Arc::new(OptionalValue::none()))),
        _ => call_library(name, target, args),
    }
}

/// Returns the error of a string that cannot be converted to the type.
fn conversion_error(type_name: &str) -> EvaluationError {
    failure(format!(
        "type conversion error from 'string' to '{type_name}'"
    ))
}

/// Formats nanoseconds as seconds, with as few digits as possible: `90s`, `1.5s`.
fn format_seconds(nanos: i64) -> String {
    const SECOND: u64 = 1_000_000_000;
    let sign = if nanos < 0 { "-" } else { "" };
    let (whole, rest) = (nanos.unsigned_abs() / SECOND, nanos.unsigned_abs() % SECOND);
    let fraction = format!(".{rest:09}");
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    format!("{sign}{whole}{fraction}s")
}

fn require_optional(value: &Value) -> Result<&OptionalValue, EvaluationError> {
    as_optional(value).ok_or_else(|| failure("no such overload"))
}

fn size(value: &Value) -> EvaluationResult {
    let size = match value {
        Value::String(text) => text.chars().count(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(items) => items.len(),
        Value::Map(map) => map.map.len(),
        _ => return Err(failure("no such overload")),
    };
    i64::try_from(size)
        .map(Value::Int)
        .map_err(|_| failure("integer overflow"))
}

/// Calls a function of the libraries. Their functions take expressions, so the values are passed as variables.
pub(crate) fn call_library(
    name: &str,
    target: Option<Value>,
    args: Vec<Value>,
) -> EvaluationResult {
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
        cel::ExecutionError::FunctionError { message, .. } => failure(message),
        other => failure(other.to_string()),
    })
}
