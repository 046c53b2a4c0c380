//! The `details` of a `Status`.

use serde_json::{Map, Value, json};

use crate::cause::StatusCause;
use crate::limits;

/// What a failed request was about.
#[derive(Debug, Clone, Default)]
pub(crate) struct StatusDetails {
    pub(crate) name: String,
    pub(crate) group: String,
    pub(crate) kind: String,
    pub(crate) uid: String,
    pub(crate) causes: Vec<StatusCause>,
    /// In seconds.
    pub(crate) retry_after: Option<u32>,
}

impl StatusDetails {
    /// Returns the details as JSON, without empty fields.
    pub(crate) fn to_value(&self) -> Value {
        let mut out = Map::new();
        for (key, text) in [
            ("name", &self.name),
            ("group", &self.group),
            ("kind", &self.kind),
            ("uid", &self.uid),
        ] {
            if !text.is_empty() {
                out.insert(key.to_owned(), json!(text));
            }
        }
        if !self.causes.is_empty() {
            let causes: Vec<Value> = self.causes.iter().map(StatusCause::to_value).collect();
            out.insert("causes".to_owned(), Value::Array(causes));
        }
        if let Some(seconds) = self.retry_after {
            out.insert("retryAfterSeconds".to_owned(), json!(seconds));
        }
        Value::Object(out)
    }
}

/// Limits the number of causes and the size of each.
pub(crate) fn limit_causes(mut causes: Vec<StatusCause>) -> Vec<StatusCause> {
    let excess = causes.len().saturating_sub(limits::MAX_CAUSES);
    if excess > 0 {
        causes.truncate(limits::MAX_CAUSES - 1);
        causes.push(StatusCause::new(
            "",
            "",
            format!("and {} more; correct these first", excess + 1),
        ));
    }
    for cause in &mut causes {
        for text in [&mut cause.message, &mut cause.field] {
            *text = limits::ellipsize(std::mem::take(text), limits::MAX_CAUSE_BYTES);
        }
    }
    causes
}
