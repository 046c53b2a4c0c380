//! The `resourceVersion` parameters of reads.

use serde_json::Value;

use crate::query::QueryParams;
use crate::status::{ApiError, StatusCause};

/// Parses the `resourceVersion` of a read.
pub(crate) fn parse(text: &str) -> Result<u64, ApiError> {
    text.parse().map_err(|_| {
        ApiError::bad_request(format!(
            "invalid resource version: resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
        ))
    })
}

/// The revision at which a list is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RevisionPolicy {
    /// The latest revision.
    Latest,
    /// Any revision that is at least this one.
    NotOlderThan(u64),
    /// Exactly this revision.
    Exact(u64),
}

fn options_error(cause: StatusCause) -> ApiError {
    ApiError::invalid("meta.k8s.io", "ListOptions", "", vec![cause])
}

/// Parses `resourceVersion` and `resourceVersionMatch` of a list.
pub(crate) fn for_list(query: &QueryParams) -> Result<RevisionPolicy, ApiError> {
    let requested = query.get("resourceVersion");
    let matched = query.get("resourceVersionMatch");
    let continued = query.get("continue").is_some();
    if query.raw("sendInitialEvents").is_some() {
        return Err(options_error(StatusCause::forbidden(
            "sendInitialEvents",
            "sendInitialEvents is forbidden for list",
        )));
    }
    if let Some(matched) = matched {
        if continued {
            return Err(options_error(StatusCause::forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden when continue is provided",
            )));
        }
        if requested.is_none() {
            return Err(options_error(StatusCause::forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            )));
        }
        if !matches!(matched, "Exact" | "NotOlderThan") {
            return Err(options_error(StatusCause::new(
                "FieldValueNotSupported",
                "resourceVersionMatch",
                format!(
                    "Unsupported value: {}: supported values: \"Exact\", \"NotOlderThan\", \"\"",
                    Value::from(matched)
                ),
            )));
        }
        if matched == "Exact" && requested == Some("0") {
            return Err(options_error(StatusCause::forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
            )));
        }
    }
    let Some(requested) = requested else {
        return Ok(RevisionPolicy::Latest);
    };
    if continued && requested != "0" {
        return Err(ApiError::bad_request(
            "specifying resource version is not allowed when using continue",
        ));
    }
    let revision = parse(requested)?;
    let limited = query.get("limit").is_some_and(|limit| limit != "0");
    Ok(match matched {
        Some("Exact") => RevisionPolicy::Exact(revision),
        Some(_) => RevisionPolicy::NotOlderThan(revision),
        // Without a match, a limited list at a revision is exact.
        None if limited && revision != 0 => RevisionPolicy::Exact(revision),
        None => RevisionPolicy::NotOlderThan(revision),
    })
}
