//! Parameters of a watch.

use std::time::Duration;

use crate::status::{ApiError, StatusCause};
use crate::verbs::call::Call;

/// A watch without a limit of its own lasts between one and two of these.
const LIFETIME: Duration = Duration::from_secs(30 * 60);
/// The longest that a client may ask for: beyond any watch's life, and within
/// what can be added to the time of day.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Where a watch begins.
pub(super) enum Start {
    /// With what exists now.
    Existing,
    /// After a revision.
    After(u64),
}

/// What was asked for.
pub(super) struct Options {
    pub(super) start: Start,
    pub(super) bookmarks: bool,
    /// Say when the initial events are over.
    pub(super) mark_initial: bool,
    pub(super) lifetime: Duration,
}

fn refuse(causes: Vec<StatusCause>) -> ApiError {
    ApiError::invalid("meta.k8s.io", "ListOptions", "", causes)
}

/// Reads the query.
///
/// # Errors
/// 422 for options that contradict each other, 400 and 500 for numbers that are
/// none.
pub(super) fn read(call: &Call) -> Result<Options, ApiError> {
    let query = &call.query;
    let matched = query.get("resourceVersionMatch");
    let initial = query
        .raw("sendInitialEvents")
        .map(|_| query.flag("sendInitialEvents"));
    if query.get("continue").is_some() {
        return Err(refuse(vec![StatusCause::forbidden(
            "resourceVersionMatch",
            "resourceVersionMatch is forbidden when continue is provided",
        )]));
    }
    let mut causes = Vec::new();
    match (initial, matched) {
        (None, Some(_)) => causes.push(StatusCause::forbidden(
            "resourceVersionMatch",
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        )),
        (Some(_), matched) if matched != Some("NotOlderThan") => {
            causes.push(StatusCause::forbidden(
                "resourceVersionMatch",
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            ))
        }
        _ => {}
    }
    if let Some(other) = matched
        && other != "NotOlderThan"
    {
        causes.push(StatusCause::new(
            "FieldValueNotSupported",
            "resourceVersionMatch",
            format!("Unsupported value: {other:?}: supported values: \"NotOlderThan\""),
        ));
    }
    if !causes.is_empty() {
        return Err(refuse(causes));
    }
    let asked = match query.get("resourceVersion") {
        None => None,
        Some(text) => Some(text.parse::<u64>().map_err(|_| {
            ApiError::untyped(format!(
                "resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
            ))
        })?),
    };
    let start = match (asked, initial) {
        (None | Some(0), Some(false)) => Start::After(call.server.store.revision()),
        (Some(revision), Some(true)) if revision > call.server.store.revision() => {
            Start::After(revision)
        }
        (_, Some(true)) | (None | Some(0), None) => Start::Existing,
        (Some(revision), _) => Start::After(revision),
    };
    let lifetime = match query.get("timeoutSeconds") {
        None => None,
        Some(text) => Some(text.parse::<i64>().map_err(|_| {
            ApiError::bad_request(format!(
                "strconv.ParseInt: parsing {text:?}: invalid syntax"
            ))
        })?),
    };
    let lifetime = match lifetime.and_then(|seconds| u64::try_from(seconds).ok()) {
        Some(seconds) if seconds > 0 => Duration::from_secs(seconds).min(LONGEST),
        _ => LIFETIME + LIFETIME.mul_f64(f64::from(uuid::Uuid::new_v4().as_bytes()[0]) / 256.0),
    };
    let bookmarks = query.flag("allowWatchBookmarks");
    Ok(Options {
        start,
        bookmarks,
        mark_initial: bookmarks && initial == Some(true),
        lifetime,
    })
}
