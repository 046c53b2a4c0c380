//! Validation of numbers: 64-bit integers keep their precision, and `1.0` counts as an integer.

use serde_json::{Number, Value};

use super::value_validator::ValueValidator;
use crate::error::FieldErrorKind;
use crate::node::ValueValidation;
use crate::path::PathRef;

/// The largest magnitude at which a float can count as an integer: 2^53 - 1, the limit for exact integers in doubles.
const MAX_WHOLE: f64 = 9_007_199_254_740_991.0;
/// The relative tolerance within which a float counts as an integer: upstream's value.
const TOLERANCE: f64 = 1e-9;
/// The magnitude from which Go formats floats with an exponent.
const EXPONENT_FROM: f64 = 1e21;
/// The magnitude below which Go formats floats with an exponent.
const EXPONENT_BELOW: f64 = 1e-4;

/// A number as upstream decodes it: a float, unless it is a signed 64-bit integer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NumericValue {
    Integer(i64),
    Float(f64),
}

impl NumericValue {
    pub(crate) fn from_json(number: &Number) -> Self {
        // Every JSON number converts to a float, so that the fallback is not used.
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

/// Whether a float counts as an integer.
pub(super) fn is_whole(float: f64) -> bool {
    if !float.is_finite() || float.abs() > MAX_WHOLE {
        return false;
    }
    let whole = float.trunc();
    float == whole
        || whole != 0.0 && (float - whole).abs() / (float.abs() + whole.abs()) < TOLERANCE
}

/// Whether two JSON values are equal; `1` equals `1.0`.
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

/// Formats a float as Go does.
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

/// Checks the bounds of a number, and `multipleOf`.
pub(super) fn check(
    validator: &mut ValueValidator<'_>,
    checks: &ValueValidation,
    number: &Number,
    path: &PathRef<'_>,
) {
    let value = NumericValue::from_json(number);
    let mut report = |expectation: String| {
        validator.report_in_body(
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
        report(format!("a multiple of {}", format_bound(factor)));
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
        report(format!("less than{or_equal} {}", format_bound(bound)));
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
        report(format!("greater than{or_equal} {}", format_bound(bound)));
    }
}
