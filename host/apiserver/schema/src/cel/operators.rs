//! The operators on values.

use std::cmp::Ordering;
use std::sync::Arc;

use cel::Value;
use cel::objects::{Key, KeyRef, OptionalValue};

use super::escape::escape_reserved;
use super::evaluator::{EvaluationError, EvaluationResult, failure};

/// Converts a value to a key of a map.
pub(super) fn to_key(value: &Value) -> Result<Key, EvaluationError> {
    Ok(match value {
        Value::Int(int) => Key::Int(*int),
        Value::UInt(uint) => Key::Uint(*uint),
        Value::Bool(flag) => Key::Bool(*flag),
        Value::String(text) => Key::String(Arc::clone(text)),
        _ => return Err(failure("unsupported key type")),
    })
}

/// Converts a key of a map to a value.
pub(super) fn from_key(key: Key) -> Value {
    match key {
        Key::Int(int) => Value::Int(int),
        Key::Uint(uint) => Value::UInt(uint),
        Key::Bool(flag) => Value::Bool(flag),
        Key::String(text) => Value::String(text),
    }
}

/// Compares two values of one type, or an integer with a double.
pub(super) fn compare(left: &Value, right: &Value) -> Result<Ordering, EvaluationError> {
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
    order.ok_or_else(|| failure("no such overload"))
}

/// Evaluates `item in container`.
pub(super) fn contains(item: &Value, container: &Value) -> EvaluationResult {
    match container {
        Value::List(items) => Ok(Value::Bool(items.contains(item))),
        Value::Map(map) => Ok(Value::Bool(map.get(&to_key(item)?).is_some())),
        _ => Err(failure("no such overload")),
    }
}

/// Evaluates `container[index]`.
pub(super) fn index(container: &Value, index: &Value) -> EvaluationResult {
    match (container, index) {
        (Value::Opaque(_), index) => optional_index(container, index),
        (Value::List(items), Value::Int(position)) => {
            let found = usize::try_from(*position)
                .ok()
                .and_then(|position| items.get(position));
            found
                .cloned()
                .ok_or_else(|| failure(format!("index out of bounds: {position}")))
        }
        (Value::Map(map), index) => {
            let name = || match index {
                Value::String(text) => text.to_string(),
                other => format!("{other:?}"),
            };
            map.get(&to_key(index)?)
                .cloned()
                .ok_or_else(|| failure(format!("no such key: {}", name())))
        }
        _ => Err(failure("no such overload")),
    }
}

/// Evaluates `container[?index]` and `container.?field`; the result is `optional.none()` also if the container is.
pub(super) fn optional_index(container: &Value, index: &Value) -> EvaluationResult {
    let container = match container {
        Value::Opaque(opaque) => match opaque.downcast_ref::<OptionalValue>() {
            Some(optional) => optional.value(),
            None => return Err(failure("no such overload")),
        },
        container => Some(container),
    };
    let found = match (container, index) {
        (None, _) => None,
        (Some(Value::List(items)), Value::Int(position)) => usize::try_from(*position)
            .ok()
            .and_then(|position| items.get(position)),
        (Some(Value::Map(map)), Value::String(name)) => {
            let plain = map.get(&KeyRef::String(name));
            plain.or_else(|| map.get(&KeyRef::String(&escape_reserved(name)?)))
        }
        (Some(Value::Map(map)), index) => map.get(&to_key(index)?),
        _ => return Err(failure("no such overload")),
    };
    Ok(Value::Opaque(Arc::new(
        found
            .cloned()
            .map_or_else(OptionalValue::none, OptionalValue::of),
    )))
}

/// Evaluates `+`, `-`, `*`, `/`, and `%`, by the name that the parser gives the operator.
pub(super) fn arithmetic(name: &str, left: Value, right: Value) -> EvaluationResult {
    if let (Value::Int(_) | Value::UInt(_), Value::Int(0) | Value::UInt(0)) = (&left, &right) {
        match name {
            "_/_" => return Err(failure("division by zero")),
            "_%_" => return Err(failure("modulus by zero")),
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
        cel::ExecutionError::Overflow(..) => failure("integer overflow"),
        other => failure(other.to_string()),
    })
}
