//! Query parameters of a watch.

use std::time::Duration;

use crate::request_context::RequestContext;
use crate::status::{ApiError, StatusCause};

/// A watch without `timeoutSeconds` lasts between this and twice as long.
const MIN_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// Upper limit of `timeoutSeconds`: longer than any watch lasts, and short
/// enough to be added to an `Instant`.
const MAX_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Where a watch starts.
pub(super) enum WatchStart {
    /// With the objects that exist now.
    InitialEvents,
    /// With the first event after this revision.
    After(u64),
}

/// The options of a watch.
pub(super) struct WatchOptions {
    pub(super) start: WatchStart,
    pub(super) sends_bookmarks: bool,
    /// Whether a bookmark marks the end of the initial events.
    pub(super) bookmarks_initial_events: bool,
    pub(super) timeout: Duration,
}

fn invalid_options(causes: Vec<StatusCause>) -> ApiError {
    ApiError::invalid("meta.k8s.io", "ListOptions", "", causes)
}

/// Parses the options from the query.
///
/// # Errors
/// 422 for options that contradict each other, 400 or 500 for invalid numbers.
pub(super) fn parse_options(ctx: &RequestContext) -> Result<WatchOptions, ApiError> {
    let query = &ctx.query;
    let version_match = query.get("resourceVersionMatch");
    let send_initial_events = query
        .raw("sendInitialEvents")
        .map(|_| query.flag("sendInitialEvents"));
    if query.get("continue").is_some() {
        return Err(invalid_options(vec![StatusCause::forbidden(
            "resourceVersionMatch",
            "resourceVersionMatch is forbidden when continue is provided",
        )]));
    }
    let mut causes = Vec::new();
    match (send_initial_events, version_match) {
        (None, Some(_)) => causes.push(StatusCause::forbidden(
            "resourceVersionMatch",
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        )),
        (Some(_), version_match) if version_match != Some("NotOlderThan") => {
            causes.push(StatusCause::forbidden(
                "resourceVersionMatch",
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            ))
        }
        _ => {}
    }
    if let Some(other) = version_match
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
    let resource_version = match query.get("resourceVersion") {
        None => None,
        Some(text) => Some(text.parse::<u64>().map_err(|_| {
            ApiError::untyped(format!(
                "resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
            ))
        })?),
    };
    let start = match (resource_version, send_initial_events) {
        (None | Some(0), Some(false)) => WatchStart::After(ctx.server.store.revision()),
        (Some(revision), Some(true)) if revision > ctx.server.store.revision() => {
            WatchStart::After(revision)
        }
        (_, Some(true)) | (None | Some(0), None) => WatchStart::InitialEvents,
        (Some(revision), _) => WatchStart::After(revision),
    };
    let timeout_seconds = match query.get("timeoutSeconds") {
        None => None,
        Some(text) => Some(text.parse::<i64>().map_err(|_| {
            ApiError::bad_request(format!(
                "strconv.ParseInt: parsing {text:?}: invalid syntax"
            ))
        })?),
    };
    let timeout = match timeout_seconds.and_then(|seconds| u64::try_from(seconds).ok()) {
        Some(seconds) if seconds > 0 => Duration::from_secs(seconds).min(MAX_TIMEOUT),
        _ => {
            MIN_TIMEOUT + MIN_TIMEOUT.mul_f64(f64::from(uuid::Uuid::new_v4().as_bytes()[0]) / 256.0)
        }
    };
    let sends_bookmarks = query.flag("allowWatchBookmarks");
    Ok(WatchOptions {
        start,
        sends_bookmarks,
        bookmarks_initial_events: sends_bookmarks && send_initial_events == Some(true),
        timeout,
    })
}
