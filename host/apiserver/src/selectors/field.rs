//! Field selectors: `metadata.name=a,status.phase!=Active`.

use serde_json::Value;

use super::SelectorError;

#[derive(Debug, Clone, PartialEq)]
struct FieldTerm {
    field: String,
    value: String,
    is_equal: bool,
}

/// A parsed field selector; an empty one matches everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct FieldSelector(Vec<FieldTerm>);

fn unescape(text: &str) -> Result<String, SelectorError> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(escaped @ ('\\' | ',' | '=')) => out.push(escaped),
                Some(other) => {
                    return Err(SelectorError::Escape(other.to_string()));
                }
                None => {
                    return Err(SelectorError::Escape(String::new()));
                }
            },
            ',' | '=' => {
                return Err(SelectorError::Unescaped(text.to_owned()));
            }
            other => out.push(other),
        }
    }
    Ok(out)
}

/// Splits at commas that no backslash escapes.
fn terms(text: &str) -> Vec<&str> {
    let (mut out, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                out.push(text.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            _ => {}
        }
    }
    out.push(text.get(start..).unwrap_or_default());
    out
}

impl FieldSelector {
    /// Parses a selector.
    ///
    /// # Errors
    /// The text is not a selector, or it has too many terms.
    pub(crate) fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut out = Vec::new();
        for term in terms(text).into_iter().filter(|term| !term.is_empty()) {
            let (position, length, is_equal) =
                find_operator(term).ok_or_else(|| SelectorError::NoOperator {
                    selector: text.to_owned(),
                    term: term.to_owned(),
                })?;
            let field = term.get(..position).unwrap_or_default().to_owned();
            let value = unescape(term.get(position + length..).unwrap_or_default())?;
            out.push(FieldTerm {
                field,
                value,
                is_equal,
            });
        }
        super::check_size(out.len())?;
        Ok(Self(out))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the fields that the selector names.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|term| term.field.as_str())
    }

    /// Returns the name that a term `metadata.name=…` requires.
    pub(crate) fn name(&self) -> Option<&str> {
        self.0
            .iter()
            .find(|term| term.is_equal && term.field == "metadata.name")
            .map(|term| term.value.as_str())
    }

    /// Returns whether an object matches; `read` returns the value of a field.
    pub(crate) fn matches(&self, read: impl Fn(&str) -> String) -> bool {
        self.0
            .iter()
            .all(|term| (read(&term.field) == term.value) == term.is_equal)
    }
}

/// Returns the position and length of a term's operator, and whether it requires
/// equality.
fn find_operator(term: &str) -> Option<(usize, usize, bool)> {
    let bytes = term.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let next = bytes.get(at + 1);
        match (byte, next) {
            (b'!', Some(b'=')) => return Some((at, 2, false)),
            (b'=', Some(b'=')) => return Some((at, 2, true)),
            (b'=', _) => return Some((at, 1, true)),
            _ => {}
        }
    }
    None
}

/// Returns the value of a field in the form that selectors compare: texts,
/// numbers, and booleans as text, anything else as an empty text.
pub(crate) fn field_value(object: &Value, field: &str) -> String {
    let mut value = object;
    for part in field.trim_start_matches('.').split('.') {
        match value.get(part) {
            Some(inner) => value = inner,
            None => return String::new(),
        }
    }
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        _ => String::new(),
    }
}
