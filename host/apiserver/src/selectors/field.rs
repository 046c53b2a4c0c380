//! Field selectors: `metadata.name=a,status.phase!=Active`.

use serde_json::Value;

#[derive(Debug, Clone, PartialEq)]
struct FieldTerm {
    field: String,
    value: String,
    is_equal: bool,
}

/// A parsed field selector; the empty one matches everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct FieldSelector(Vec<FieldTerm>);

fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(escaped @ ('\\' | ',' | '=')) => out.push(escaped),
                Some(other) => {
                    return Err(format!(
                        "invalid field selector: invalid escape sequence: \\{other}"
                    ));
                }
                None => {
                    return Err("invalid field selector: invalid escape sequence: \\".to_owned());
                }
            },
            ',' | '=' => {
                return Err(format!(
                    "invalid field selector: unescaped character in {text:?}"
                ));
            }
            other => out.push(other),
        }
    }
    Ok(out)
}

/// Splits at commas that no backslash protects.
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
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut out = Vec::new();
        for term in terms(text).into_iter().filter(|term| !term.is_empty()) {
            let (at, length, equal) = find_operator(term)
                .ok_or_else(|| format!("invalid selector: '{text}'; can't understand '{term}'"))?;
            let field = term.get(..at).unwrap_or_default().to_owned();
            let value = unescape(term.get(at + length..).unwrap_or_default())?;
            out.push(FieldTerm {
                field,
                value,
                is_equal: equal,
            });
        }
        super::check_size(out.len())?;
        Ok(Self(out))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fields that the selector names.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|term| term.field.as_str())
    }

    /// The one name that an equality on `metadata.name` allows.
    pub(crate) fn name(&self) -> Option<&str> {
        self.0
            .iter()
            .find(|term| term.is_equal && term.field == "metadata.name")
            .map(|term| term.value.as_str())
    }

    /// Whether an object matches, given what each field reads as.
    pub(crate) fn matches(&self, read: impl Fn(&str) -> String) -> bool {
        self.0
            .iter()
            .all(|term| (read(&term.field) == term.value) == term.is_equal)
    }
}

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

/// A field as the selectors compare it: text as it is, numbers and booleans
/// printed, everything absent empty.
pub(crate) fn field_value(object: &Value, field: &str) -> String {
    let mut at = object;
    for part in field.trim_start_matches('.').split('.') {
        match at.get(part) {
            Some(inner) => at = inner,
            None => return String::new(),
        }
    }
    match at {
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => at.to_string(),
        _ => String::new(),
    }
}
