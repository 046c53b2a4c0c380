//! Table cells of JSON values, formatted as upstream does.

use jiff::Timestamp;
use serde_json::{Number, Value};

use super::age::age_of_timestamp;
use super::column::ColumnType;

/// The cell of a null in a string column.
const NO_VALUE: &str = "<no value>";
/// 2^53: every integer of a smaller magnitude is exact as a float.
const MAX_EXACT_INTEGER: f64 = 9_007_199_254_740_992.0;
/// Floats with a decimal exponent outside of this range are formatted like `1e+21`.
const PLAIN_EXPONENTS: std::ops::Range<i32> = -4..21;

/// Returns the cell of a value, or null if the value does not match the column's type.
pub(super) fn cell(value: &Value, column_type: ColumnType, now: Timestamp) -> Value {
    match (column_type, value) {
        (ColumnType::String, value) => Value::String(cell_text(value)),
        (ColumnType::Integer, Value::Number(n)) => integer_cell(n),
        (ColumnType::Number, Value::Number(n)) => number_cell(n),
        (ColumnType::Boolean, Value::Bool(_)) => value.clone(),
        (ColumnType::Date, Value::String(s)) => Value::String(age_of_timestamp(s, now)),
        _ => Value::Null,
    }
}

fn integer_cell(n: &Number) -> Value {
    match (n.as_i64(), n.as_f64()) {
        (Some(n), _) => n.into(),
        // Saturates at the bounds of an int64.
        #[allow(
            clippy::cast_possible_truncation,
            reason = "the fraction is dropped intentionally"
        )]
        (None, Some(n)) => (n as i64).into(),
        (None, None) => Value::Null,
    }
}

/// Omits `.0`, as Go's JSON encoder does.
fn number_cell(n: &Number) -> Value {
    match n.as_f64() {
        #[allow(
            clippy::cast_possible_truncation,
            reason = "checked to be integral and exact"
        )]
        Some(f) if f.fract() == 0.0 && f.abs() < MAX_EXACT_INTEGER => (f as i64).into(),
        _ => Value::Number(n.clone()),
    }
}

fn cell_text(value: &Value) -> String {
    match value {
        Value::Null => NO_VALUE.into(),
        Value::String(s) => s.clone(),
        Value::Number(n) if n.is_f64() => n.as_f64().map(format_float).unwrap_or_default(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(_) | Value::Object(_) => html_escaped_json(value),
    }
}

/// Returns JSON in which HTML's special characters are escaped, as Go's JSON encoder
/// does.
fn html_escaped_json(value: &Value) -> String {
    let mut out = String::new();
    for c in value.to_string().chars() {
        match c {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            c => out.push(c),
        }
    }
    out
}

/// Returns the shortest representation of a float that can be parsed back. Only very
/// large and very small ones have an exponent.
fn format_float(f: f64) -> String {
    let scientific = format!("{f:e}");
    let exponent = scientific
        .split_once('e')
        .and_then(|(mantissa, exponent)| Some((mantissa, exponent.parse::<i32>().ok()?)));
    match exponent {
        Some((mantissa, exponent)) if !PLAIN_EXPONENTS.contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.abs())
        }
        _ => format!("{f}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cell_is_null_unless_the_value_matches_the_column_type() {
        let now = "2024-06-01T12:00:00Z".parse().unwrap();
        for (value, column_type, expected) in [
            (json!(7), ColumnType::Integer, json!(7)),
            (json!(7.9), ColumnType::Integer, json!(7)),
            (json!("7"), ColumnType::Integer, json!(null)),
            (json!(7), ColumnType::Number, json!(7)),
            (json!(7.0), ColumnType::Number, json!(7)),
            (json!(7.25), ColumnType::Number, json!(7.25)),
            (json!(true), ColumnType::Boolean, json!(true)),
            (json!("true"), ColumnType::Boolean, json!(null)),
            (
                json!("2024-06-01T11:59:50Z"),
                ColumnType::Date,
                json!("10s"),
            ),
            (json!(5), ColumnType::Date, json!(null)),
            (json!(null), ColumnType::String, json!("<no value>")),
            (json!(true), ColumnType::String, json!("true")),
            (json!(-3), ColumnType::String, json!("-3")),
            (json!(1.0), ColumnType::String, json!("1")),
            (json!(1e21), ColumnType::String, json!("1e+21")),
            (json!(0.00001), ColumnType::String, json!("1e-05")),
            (json!(1_500_000.5), ColumnType::String, json!("1500000.5")),
            (
                json!({"b": "<&>", "a": [1]}),
                ColumnType::String,
                json!("{\"a\":[1],\"b\":\"\\u003c\\u0026\\u003e\"}"),
            ),
        ] {
            assert_eq!(cell(&value, column_type, now), expected, "{value}");
        }
    }
}
