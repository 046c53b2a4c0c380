//! Query parameters of writes: dry run, field manager, field validation.

use crate::request_context::{FIELD_MANAGER_MAX_LENGTH, RequestContext};
use crate::status::{ApiError, StatusCause};

/// How a write treats unknown and duplicate fields (`fieldValidation`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

/// The options of a create, update, or patch.
#[derive(Debug, Clone)]
pub(crate) struct WriteOptions {
    pub(crate) dry_run: bool,
    pub(crate) manager: String,
    pub(crate) validation: FieldValidation,
    /// Whether an apply takes over fields that others own.
    pub(crate) force: bool,
}

/// Parses the values of `dryRun`.
///
/// # Errors
/// The cause of a 422 for a value other than `All`.
pub(crate) fn parse_dry_run(values: &[&str]) -> Result<bool, StatusCause> {
    let values: Vec<&str> = values.iter().copied().filter(|v| !v.is_empty()).collect();
    if values.iter().any(|value| *value != "All") {
        let list = serde_json::Value::from(values);
        return Err(StatusCause::new(
            "FieldValueNotSupported",
            "dryRun",
            format!("Unsupported value: {list}: supported values: \"All\""),
        ));
    }
    Ok(!values.is_empty())
}

impl WriteOptions {
    /// Parses the options from the query; `kind` names them in messages.
    ///
    /// # Errors
    /// 422 for invalid values, an apply without a field manager, or another
    /// patch with `force`.
    pub(crate) fn parse(
        ctx: &RequestContext,
        kind: &str,
        is_apply: bool,
    ) -> Result<Self, ApiError> {
        let mut causes = Vec::new();
        let dry_run_values: Vec<&str> = ctx.query.all("dryRun").collect();
        let dry_run = parse_dry_run(&dry_run_values).unwrap_or_else(|cause| {
            causes.push(cause);
            false
        });
        let validation = match ctx.query.get("fieldValidation") {
            None => FieldValidation::Warn,
            Some("Ignore") => FieldValidation::Ignore,
            Some("Warn") => FieldValidation::Warn,
            Some("Strict") => FieldValidation::Strict,
            Some(other) => {
                causes.push(StatusCause::new(
                    "FieldValueNotSupported",
                    "fieldValidation",
                    format!("Unsupported value: {other:?}: supported values: \"\", \"Ignore\", \"Strict\", \"Warn\""),
                ));
                FieldValidation::Warn
            }
        };
        let force = ctx
            .query
            .get("force")
            .map(|text| !matches!(text.to_ascii_lowercase().as_str(), "false" | "0"));
        let manager = ctx.query.get("fieldManager").unwrap_or_default();
        if is_apply && manager.is_empty() {
            causes.push(StatusCause::required(
                "fieldManager",
                "is required for apply patch",
            ));
        }
        if !is_apply && kind == "PatchOptions" && force.is_some() {
            causes.push(StatusCause::forbidden(
                "force",
                "may not be specified for non-apply patch",
            ));
        }
        if manager.len() > FIELD_MANAGER_MAX_LENGTH {
            causes.push(StatusCause::new(
                "FieldValueTooLong",
                "fieldManager",
                format!("Too long: may not be more than {FIELD_MANAGER_MAX_LENGTH} bytes"),
            ));
        }
        if manager.chars().any(char::is_control) {
            causes.push(StatusCause::invalid(
                "fieldManager",
                &manager.into(),
                "should only contain printable characters",
            ));
        }
        if !causes.is_empty() {
            return Err(ApiError::invalid("meta.k8s.io", kind, "", causes));
        }
        Ok(Self {
            dry_run,
            manager: if manager.is_empty() {
                ctx.manager_from_user_agent()
            } else {
                manager.to_owned()
            },
            validation,
            force: force.unwrap_or_default(),
        })
    }
}
