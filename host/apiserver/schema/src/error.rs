//! Errors of fields, with Kubernetes' texts.

use std::fmt;

use serde_json::Value;

/// The field of errors that concern the object itself, which has no path.
pub(crate) const NIL_FIELD: &str = "<nil>";

/// The kind of a field error: upstream's `field.ErrorType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldErrorKind {
    /// The field is missing or empty.
    Required,
    /// The value is invalid.
    Invalid,
    /// The value has the wrong JSON type or format.
    TypeInvalid,
    /// The value is not one of the supported values.
    NotSupported,
    /// The value occurs more than once in its list.
    Duplicate,
    /// The string is too long.
    TooLong,
    /// The list or map has too many entries.
    TooMany,
    /// The field must not be set.
    Forbidden,
}

impl FieldErrorKind {
    /// Returns the `reason` of a `Status` cause.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Duplicate => "FieldValueDuplicate",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::Forbidden => "FieldValueForbidden",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Duplicate => "Duplicate value",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::Forbidden => "Forbidden",
        }
    }

    fn is_value_shown(self) -> bool {
        !matches!(self, Self::Required | Self::Forbidden | Self::TooLong)
    }
}

/// An error at one field of an object or a schema: upstream's `field.Error`.
///
/// `Display` returns Kubernetes' text, `spec.n: Invalid value: 0: spec.n in body should be greater than or equal to 1`;
/// [`FieldError::message`] returns it without the field, as the causes of a `Status` contain it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub struct FieldError {
    /// The kind of the error.
    pub kind: FieldErrorKind,
    /// The path of the field, such as `spec.list[0].name`. Errors about the whole object have `<nil>`; those about a
    /// whole schema have its prefix, which may be empty.
    pub field: String,
    /// The invalid value, if the message shows it.
    pub bad_value: Option<Value>,
    /// What is expected; may be empty.
    pub detail: String,
}

impl FieldError {
    pub(crate) fn new(
        kind: FieldErrorKind,
        field: impl fmt::Display,
        bad_value: Option<Value>,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            field: field.to_string(),
            bad_value,
            detail: detail.into(),
        }
    }

    pub(crate) fn required(field: impl fmt::Display, detail: impl Into<String>) -> Self {
        Self::new(FieldErrorKind::Required, field, None, detail)
    }

    pub(crate) fn forbidden(field: impl fmt::Display, detail: impl Into<String>) -> Self {
        Self::new(FieldErrorKind::Forbidden, field, None, detail)
    }

    pub(crate) fn invalid(
        field: impl fmt::Display,
        bad_value: impl Into<Value>,
        detail: impl Into<String>,
    ) -> Self {
        Self::new(
            FieldErrorKind::Invalid,
            field,
            Some(bad_value.into()),
            detail,
        )
    }

    pub(crate) fn unsupported(
        field: impl fmt::Display,
        bad_value: impl Into<Value>,
        supported: &[&str],
    ) -> Self {
        let supported = supported
            .iter()
            .map(|value| quote(value))
            .collect::<Vec<_>>()
            .join(", ");
        Self::new(
            FieldErrorKind::NotSupported,
            field,
            Some(bad_value.into()),
            format!("supported values: {supported}"),
        )
    }

    /// Returns the `reason` of a `Status` cause, such as `FieldValueRequired`.
    pub fn reason(&self) -> &'static str {
        self.kind.reason()
    }

    /// Returns the text without the field, such as `Invalid value: 0: must be positive`.
    pub fn message(&self) -> String {
        let mut text = String::from(self.kind.description());
        if let Some(value) = self
            .bad_value
            .as_ref()
            .filter(|_| self.kind.is_value_shown())
        {
            text.push_str(": ");
            text.push_str(&format_value(value));
        }
        if !self.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&self.detail);
        }
        text
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message())
    }
}

/// Quotes and escapes a string as Go does.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Formats a value as Kubernetes does: strings are quoted, everything else is JSON with HTML characters escaped.
pub(crate) fn format_value(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        other => escape_html(&other.to_string()),
    }
}

/// Escapes the characters in JSON that Go's encoder escapes because of HTML.
pub(crate) fn escape_html(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}
