//! Numbers: 64-bit integers keep their precision, and `1.0` is as whole as `1`.

use serde_json::{Number, Value};

use super::value_validator::ValueValidator;
use crate::error::FieldErrorKind;
use crate::node::ValueValidation;
use crate::path::PathRef;

/// The largest magnitude up to which a float counts as a whole number (2^53 - 1, as in JSON for JavaScript).
const MAX_WHOLE: f64 = 9_007_199_254_740_991.0;
/// How far, relatively, a float may lie from a whole number: upstream's tolerance.
const TOLERANCE: f64 = 1e-9;
/// From this magnitude on Go prints floats with an exponent.
const EXPONENT_FROM: f64 = 1e21;
/// Below this magnitude Go prints floats with an exponent.
const EXPONENT_BELOW: f64 = 1e-4;

/// A number as upstream decodes it: what does not fit 64 signed bits is a float.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NumericValue {
    Integer(i64),
    Float(f64),
}

impl NumericValue {
    pub(crate) fn from_json(number: &Number) -> Self {
        // Every JSON number has a float; the fallback cannot be met by any bound.
        number.as_i64().map_or_else(
            || Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            Self::Integer,
        )
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "comparing an integer with a float is inexact by nature"
    )]
    fn to_f64(self) -> f64 {
        match self {
            Self::Integer(integer) => integer as f64,
            Self::Float(float) => float,
        }
    }
}

/// Whether a float stands for a whole number.
pub(super) fn is_whole(float: f64) -> bool {
    if !float.is_finite() || float.abs() > MAX_WHOLE {
        return false;
    }
    let whole = float.trunc();
    float == whole
        || whole != 0.0 && (float - whole).abs() / (float.abs() + whole.abs()) < TOLERANCE
}

/// Equality of JSON values in which `1` is `1.0`.
pub(super) fn is_equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            match (
                NumericValue::from_json(left),
                NumericValue::from_json(right),
            ) {
                (NumericValue::Integer(left), NumericValue::Integer(right)) => left == right,
                (left, right) => left.to_f64() == right.to_f64(),
            }
        }
        _ => left == right,
    }
}

/// A float as Go prints it.
pub(crate) fn format_go_float(float: f64) -> String {
    let magnitude = float.abs();
    if magnitude != 0.0 && !(EXPONENT_BELOW..EXPONENT_FROM).contains(&magnitude) {
        let text = format!("{float:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = exponent
            .strip_prefix('-')
            .map_or(("+", exponent), |digits| ("-", digits));
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    float.to_string()
}

fn format_bound(bound: NumericValue) -> String {
    match bound {
        NumericValue::Integer(integer) => integer.to_string(),
        NumericValue::Float(float) => format_go_float(float),
    }
}

fn exceeds(value: NumericValue, bound: NumericValue, exclusive: bool) -> bool {
    match (value, bound) {
        (NumericValue::Integer(value), NumericValue::Integer(bound)) => {
            value > bound || exclusive && value == bound
        }
        _ => value.to_f64() > bound.to_f64() || exclusive && value.to_f64() == bound.to_f64(),
    }
}

fn is_multiple(value: NumericValue, factor: NumericValue) -> bool {
    match (value, factor) {
        (_, NumericValue::Integer(0)) => false,
        (NumericValue::Integer(value), NumericValue::Integer(factor)) => {
            value.checked_rem(factor) == Some(0)
        }
        _ if factor.to_f64() < 1.0 => is_whole(1.0 / factor.to_f64() * value.to_f64()),
        _ => is_whole(value.to_f64() / factor.to_f64()),
    }
}

/// Checks the bounds of a number.
pub(super) fn check(
    walk: &mut ValueValidator<'_>,
    checks: &ValueValidation,
    number: &Number,
    path: &PathRef<'_>,
) {
    let value = NumericValue::from_json(number);
    let mut fail = |expectation: String| {
        walk.report_in_body(
            FieldErrorKind::Invalid,
            path,
            number.clone(),
            &format!("should be {expectation}"),
        );
    };
    if let Some(factor) = checks
        .multiple_of
        .as_ref()
        .map(NumericValue::from_json)
        .filter(|factor| !is_multiple(value, *factor))
    {
        fail(format!("a multiple of {}", format_bound(factor)));
    }
    let above = |bound: &NumericValue| exceeds(value, *bound, checks.exclusive_maximum);
    if let Some(bound) = checks
        .maximum
        .as_ref()
        .map(NumericValue::from_json)
        .filter(above)
    {
        let or_equal = if checks.exclusive_maximum {
            ""
        } else {
            " or equal to"
        };
        fail(format!("less than{or_equal} {}", format_bound(bound)));
    }
    let below = |bound: &NumericValue| exceeds(*bound, value, checks.exclusive_minimum);
    if let Some(bound) = checks
        .minimum
        .as_ref()
        .map(NumericValue::from_json)
        .filter(below)
    {
        let or_equal = if checks.exclusive_minimum {
            ""
        } else {
            " or equal to"
        };
        fail(format!("greater than{or_equal} {}", format_bound(bound)));
    }
}
