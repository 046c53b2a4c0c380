//! JSON values as Go prints them (`%v`), for messages in upstream's words.

use std::fmt::{self, Write as _};

use serde_json::Value;

/// Displays a value as Go prints the map, list, or scalar that it is decoded as.
#[derive(Clone, Copy, Debug)]
pub struct GoValue<'v>(pub &'v Value);

impl fmt::Display for GoValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => f.write_str("<nil>"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::String(text) => f.write_str(text),
            Value::Number(number) => match number.as_i64() {
                Some(integer) => write!(f, "{integer}"),
                None => write_float(f, number.as_f64().unwrap_or_default()),
            },
            Value::Array(items) => {
                f.write_char('[')?;
                for (index, item) in items.iter().enumerate() {
                    let separator = if index == 0 { "" } else { " " };
                    write!(f, "{separator}{}", GoValue(item))?;
                }
                f.write_char(']')
            }
            Value::Object(fields) => {
                let mut fields: Vec<_> = fields.iter().collect();
                fields.sort_by_key(|(name, _)| *name);
                f.write_str("map[")?;
                for (index, (name, value)) in fields.into_iter().enumerate() {
                    let separator = if index == 0 { "" } else { " " };
                    write!(f, "{separator}{name}:{}", GoValue(value))?;
                }
                f.write_char(']')
            }
        }
    }
}

/// Displays a value in Go's syntax (`%#v`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct GoSyntaxValue<'v>(pub(crate) &'v Value);

impl fmt::Display for GoSyntaxValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => f.write_str("interface {}(nil)"),
            Value::Bool(_) | Value::Number(_) => write!(f, "{}", GoValue(self.0)),
            Value::String(text) => write!(f, "{text:?}"),
            Value::Array(items) => {
                f.write_str("[]interface {}{")?;
                for (index, item) in items.iter().enumerate() {
                    let separator = if index == 0 { "" } else { ", " };
                    write!(f, "{separator}{}", GoSyntaxValue(item))?;
                }
                f.write_char('}')
            }
            Value::Object(fields) => {
                let mut fields: Vec<_> = fields.iter().collect();
                fields.sort_by_key(|(name, _)| *name);
                f.write_str("map[string]interface {}{")?;
                for (index, (name, value)) in fields.into_iter().enumerate() {
                    let separator = if index == 0 { "" } else { ", " };
                    write!(f, "{separator}{name:?}:{}", GoSyntaxValue(value))?;
                }
                f.write_char('}')
            }
        }
    }
}

/// Returns Go's type of a decoded value (`%T`).
pub(crate) fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// Writes a number with an exponent of at least two digits if it is large or small.
fn write_float(f: &mut fmt::Formatter<'_>, value: f64) -> fmt::Result {
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-4..1e21).contains(&magnitude) {
        return write!(f, "{value}");
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    write!(f, "{mantissa}e{sign}{digits:0>2}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_printed_as_go_prints_them() {
        for (value, expected) in [
            (
                json!({"b": [1, "x", null], "a": {"c": true}}),
                "map[a:map[c:true] b:[1 x <nil>]]",
            ),
            (json!([]), "[]"),
            (json!({}), "map[]"),
            (json!(1.5), "1.5"),
            (json!(1e21), "1e+21"),
            (json!(0.00001), "1e-05"),
            (json!(9_223_372_036_854_775_807_i64), "9223372036854775807"),
        ] {
            assert_eq!(GoValue(&value).to_string(), expected);
        }
    }

    #[test]
    fn values_are_printed_in_the_syntax_of_go() {
        let value = json!({"b": [1, "x", null], "a": 1.5});
        assert_eq!(
            GoSyntaxValue(&value).to_string(),
            r#"map[string]interface {}{"a":1.5, "b":[]interface {}{1, "x", interface {}(nil)}}"#
        );
        assert_eq!(go_type(&json!(1.5)), "float64");
    }
}
