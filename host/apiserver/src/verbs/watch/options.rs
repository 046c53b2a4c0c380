//! Parameters of a watch.

use std::time::Duration;

use crate::status::{ApiError, StatusCause};
use crate::verbs::context::RequestContext;

/// A watch without a limit of its own lasts between one and two of these.
const MIN_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// The longest that a client may ask for: beyond any watch's life, and within
/// what can be added to the time of day.
const MAX_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Where a watch begins.
pub(super) enum WatchStart {
    /// With what exists now.
    InitialEvents,
    /// After a revision.
    After(u64),
}

/// What was asked for.
pub(super) struct WatchOptions {
    pub(super) start: WatchStart,
    pub(super) sends_bookmarks: bool,
    /// Say when the initial events are over.
    pub(super) bookmarks_initial_events: bool,
    pub(super) timeout: Duration,
}

fn invalid_options(causes: Vec<StatusCause>) -> ApiError {
    ApiError::invalid("meta.k8s.io", "ListOptions", "", causes)
}

/// Reads the query.
///
/// # Errors
/// 422 for options that contradict each other, 400 and 500 for numbers that are
/// none.
pub(super) fn parse_options(call: &RequestContext) -> Result<WatchOptions, ApiError> {
    let query = &call.query;
    let matched = query.get("resourceVersionMatch");
    let initial = query
        .raw("sendInitialEvents")
        .map(|_| query.flag("sendInitialEvents"));
    if query.get("continue").is_some() {
        return Err(invalid_options(vec![StatusCause::forbidden(
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
        return Err(invalid_options(causes));
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
        (None | Some(0), Some(false)) => WatchStart::After(call.server.store.revision()),
        (Some(revision), Some(true)) if revision > call.server.store.revision() => {
            WatchStart::After(revision)
        }
        (_, Some(true)) | (None | Some(0), None) => WatchStart::InitialEvents,
        (Some(revision), _) => WatchStart::After(revision),
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
        Some(seconds) if seconds > 0 => Duration::from_secs(seconds).min(MAX_TIMEOUT),
        _ => {
            MIN_TIMEOUT + MIN_TIMEOUT.mul_f64(f64::from(uuid::Uuid::new_v4().as_bytes()[0]) / 256.0)
        }
    };
    let bookmarks = query.flag("allowWatchBookmarks");
    Ok(WatchOptions {
        start,
        sends_bookmarks: bookmarks,
        bookmarks_initial_events: bookmarks && initial == Some(true),
        timeout: lifetime,
    })
}
