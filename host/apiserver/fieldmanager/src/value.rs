//! Equality and order of JSON values as Kubernetes defines them: `1` and `1.0` are one number.

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// Returns whether two values are deeply equal. Numbers compare by value, whatever their notation.
pub(crate) fn is_equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(l), Value::Number(r)) => compare_numbers(l, r) == Ordering::Equal,
        (Value::Array(l), Value::Array(r)) => {
            l.len() == r.len() && l.iter().zip(r).all(|(l, r)| is_equal(l, r))
        }
        (Value::Object(l), Value::Object(r)) => {
            l.len() == r.len()
                && l.iter()
                    .all(|(k, l)| r.get(k).is_some_and(|r| is_equal(l, r)))
        }
        _ => left == right,
    }
}

/// A total order of JSON values: numbers, strings, booleans, lists, maps, null. Returns `Equal`
/// exactly when [`is_equal`] returns true.
pub(crate) fn compare(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Number(l), Value::Number(r)) => compare_numbers(l, r),
        (Value::String(l), Value::String(r)) => l.cmp(r),
        (Value::Bool(l), Value::Bool(r)) => l.cmp(r),
        (Value::Array(l), Value::Array(r)) => {
            for (l, r) in l.iter().zip(r) {
                match compare(l, r) {
                    Ordering::Equal => {}
                    other => return other,
                }
            }
            l.len().cmp(&r.len())
        }
        (Value::Object(l), Value::Object(r)) => {
            // Sorted here because the map may keep insertion order.
            let (l, r) = (sorted(l), sorted(r));
            for ((lk, lv), (rk, rv)) in l.iter().zip(&r) {
                match lk.cmp(rk).then_with(|| compare(lv, rv)) {
                    Ordering::Equal => {}
                    other => return other,
                }
            }
            l.len().cmp(&r.len())
        }
        _ => rank(left).cmp(&rank(right)),
    }
}

fn sorted(map: &serde_json::Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    entries
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Number(_) => 0,
        Value::String(_) => 1,
        Value::Bool(_) => 2,
        Value::Array(_) => 3,
        Value::Object(_) => 4,
        Value::Null => 5,
    }
}

fn integer(number: &Number) -> Option<i128> {
    number
        .as_i64()
        .map(i128::from)
        .or_else(|| number.as_u64().map(i128::from))
}

/// Compares exactly, also an integer with a float: comparing both as floats would not be a total
/// order near 2^53.
fn compare_numbers(left: &Number, right: &Number) -> Ordering {
    match (integer(left), integer(right)) {
        (Some(l), Some(r)) => l.cmp(&r),
        (Some(l), None) => compare_mixed(l, float(right)),
        (None, Some(r)) => compare_mixed(r, float(left)).reverse(),
        (None, None) => float(left)
            .partial_cmp(&float(right))
            .unwrap_or(Ordering::Equal),
    }
}

fn float(number: &Number) -> f64 {
    // JSON numbers are finite, and every number that is not an integer is a float.
    number.as_f64().unwrap_or_default()
}

fn compare_mixed(integer: i128, float: f64) -> Ordering {
    let whole = float.trunc();
    // The cast saturates, so a float out of range still compares correctly.
    integer.cmp(&(whole as i128)).then_with(|| {
        0.0_f64
            .partial_cmp(&(float - whole))
            .unwrap_or(Ordering::Equal)
    })
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering::{Equal, Greater, Less};

    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_compare_by_value() {
        for (left, right, order) in [
            (json!(1), json!(1.0), Equal),
            (json!(1.5), json!(1), Greater),
            (json!(-1.5), json!(-1), Less),
            (
                json!(9007199254740993_i64),
                json!(9007199254740992.0),
                Greater,
            ),
            (json!(u64::MAX), json!(i64::MAX), Greater),
            (json!(1e300), json!(u64::MAX), Greater),
            (json!(-1e300), json!(i64::MIN), Less),
            (json!(0), json!("0"), Less),
            (json!([1, 2]), json!([1]), Greater),
            (json!({"a": 1}), json!({"a": 1.0}), Equal),
            (json!(null), json!({}), Greater),
        ] {
            assert_eq!(compare(&left, &right), order, "{left} {right}");
            assert_eq!(compare(&right, &left), order.reverse(), "{right} {left}");
            assert_eq!(is_equal(&left, &right), order == Equal, "{left} {right}");
        }
    }
}
