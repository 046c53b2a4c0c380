//! The causes in the details of a `Status`.

use serde_json::{Map, Value, json};

/// A cause of a failure: an invalid field and why it is invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusCause {
    /// The machine-readable reason, such as `FieldValueInvalid`.
    pub reason: String,
    /// The message for people, without the field's path.
    pub message: String,
    /// The path of the field, such as `spec.size`; empty if the cause is not a
    /// field.
    pub field: String,
}

impl StatusCause {
    /// Creates a cause.
    pub fn new(
        reason: impl Into<String>,
        field: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            reason: reason.into(),
            field: field.into(),
            message: message.into(),
        }
    }

    /// Creates a cause `FieldValueInvalid`, with the invalid value as JSON.
    pub fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self::invalid_quoted(field, &quoted(value), detail)
    }

    /// Creates a cause like [`Self::invalid`], with the text of the value, for causes
    /// that share it.
    pub(crate) fn invalid_quoted(field: impl Into<String>, value: &str, detail: &str) -> Self {
        let message = format!("Invalid value: {value}: {detail}");
        Self::new("FieldValueInvalid", field, message)
    }

    /// Creates a cause `FieldValueRequired`.
    pub fn required(field: impl Into<String>, detail: &str) -> Self {
        let message = if detail.is_empty() {
            "Required value".to_owned()
        } else {
            format!("Required value: {detail}")
        };
        Self::new("FieldValueRequired", field, message)
    }

    /// Creates a cause `FieldValueForbidden`.
    pub fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self::new("FieldValueForbidden", field, format!("Forbidden: {detail}"))
    }

    /// Returns the cause as JSON, without empty fields.
    pub(crate) fn to_value(&self) -> Value {
        let mut out = Map::new();
        for (key, text) in [
            ("reason", &self.reason),
            ("message", &self.message),
            ("field", &self.field),
        ] {
            if !text.is_empty() {
                out.insert(key.to_owned(), json!(text));
            }
        }
        Value::Object(out)
    }
}

impl From<&rdd_apiserver_schema::FieldError> for StatusCause {
    fn from(error: &rdd_apiserver_schema::FieldError) -> Self {
        Self::new(error.kind.reason(), error.field.clone(), error.message())
    }
}

/// Returns the value as kube-apiserver prints it in messages: as JSON, with
/// strings quoted.
pub(crate) fn quoted(value: &Value) -> String {
    value.to_string()
}
