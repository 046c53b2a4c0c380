//! The paths of the passthrough.

use std::collections::BTreeMap;

use rdd_core::AccessScope;

use crate::request_error::StreamRequestError;

const ENGINE: &str = "engine";
const EXEC: &str = "exec";
const LOGS: &str = "logs";

/// Returns the endpoints by controller, both sorted, as published by discovery.
pub fn endpoints() -> BTreeMap<String, Vec<String>> {
    BTreeMap::from([(ENGINE.to_owned(), vec![EXEC.to_owned(), LOGS.to_owned()])])
}

/// Returns what a request for `path` is about to do, for the authorization by a
/// cluster.
///
/// ```
/// use rdd_core::AccessScope;
/// use rdd_passthrough::access_scope;
///
/// let exec = access_scope("/passthrough/engine/exec/4c0f");
/// assert_eq!(exec, AccessScope::ContainerExec);
/// let logs = access_scope("/passthrough/engine/logs/4c0f");
/// assert_eq!(logs, AccessScope::ContainerLog);
/// ```
pub fn access_scope(path: &str) -> AccessScope {
    match parse_path(path) {
        Ok(RequestRoute::Exec(_)) => AccessScope::ContainerExec,
        Ok(RequestRoute::Logs(_) | RequestRoute::LogsMux) | Err(_) => AccessScope::ContainerLog,
    }
}

/// Returns the container that a path names, as the path has it: its ID is not
/// validated. `None` for the logs of many containers, and for any other path.
///
/// ```
/// use rdd_passthrough::addressed_container;
///
/// assert_eq!(addressed_container("/passthrough/engine/logs/4c0f"), Some("4c0f"));
/// assert_eq!(addressed_container("/passthrough/engine/logs"), None);
/// ```
pub fn addressed_container(path: &str) -> Option<&str> {
    match parse_path(path) {
        Ok(RequestRoute::Exec(container) | RequestRoute::Logs(container)) => Some(container),
        Ok(RequestRoute::LogsMux) | Err(_) => None,
    }
}

/// The endpoint that a path addresses.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RequestRoute<'a> {
    /// The log of a container. The ID is not validated yet.
    Logs(&'a str),
    /// The logs of many containers.
    LogsMux,
    /// A process in a container. The ID is not validated yet.
    Exec(&'a str),
}

/// Parses `/passthrough/<controller>/<endpoint>/…`, with or without a trailing
/// slash.
pub(crate) fn parse_path(path: &str) -> Result<RequestRoute<'_>, StreamRequestError> {
    let rest = path.strip_prefix("/passthrough").unwrap_or_default();
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let mut segments = rest.split('/').skip(1);
    match (
        segments.next(),
        segments.next(),
        segments.next(),
        segments.next(),
    ) {
        (Some(ENGINE), Some(LOGS), Some(id), None) => Ok(RequestRoute::Logs(id)),
        (Some(ENGINE), Some(LOGS), None, None) => Ok(RequestRoute::LogsMux),
        (Some(ENGINE), Some(EXEC), Some(id), None) => Ok(RequestRoute::Exec(id)),
        _ => Err(StreamRequestError::UnknownPath {
            path: path.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_endpoint_is_found_with_or_without_a_trailing_slash() {
        for path in [
            "/passthrough/engine/logs/abc",
            "/passthrough/engine/logs/abc/",
        ] {
            assert_eq!(
                parse_path(path).ok(),
                Some(RequestRoute::Logs("abc")),
                "{path}"
            );
        }
    }

    #[test]
    fn every_path_of_the_exec_endpoint_has_its_scope() {
        for path in [
            "/passthrough/engine/exec/abc",
            "/passthrough/engine/exec/abc/",
            "/passthrough/engine/exec/%61bc",
        ] {
            assert!(
                matches!(parse_path(path), Ok(RequestRoute::Exec(_))),
                "{path}"
            );
            assert_eq!(access_scope(path), AccessScope::ContainerExec, "{path}");
        }
    }

    #[test]
    fn the_logs_of_many_containers_have_no_container_in_their_path() {
        for path in ["/passthrough/engine/logs", "/passthrough/engine/logs/"] {
            assert_eq!(parse_path(path).ok(), Some(RequestRoute::LogsMux), "{path}");
        }
    }

    #[test]
    fn any_other_path_is_not_found() {
        for path in [
            "/passthrough",
            "/passthrough/",
            "/passthrough/engine",
            "/passthrough/engine/exec",
            "/passthrough/engine/exec/abc/def",
            "/passthrough/engine/EXEC/abc",
            "/passthrough/other/logs/abc",
            "/passthrough/engine/logs/abc/def",
            "/passthrough//engine/logs/abc",
        ] {
            assert!(parse_path(path).is_err(), "{path}");
        }
    }

    #[test]
    fn the_endpoints_of_discovery_are_sorted_and_served() {
        for (controller, endpoints) in endpoints() {
            assert!(endpoints.is_sorted(), "{controller}: {endpoints:?}");
            for endpoint in endpoints {
                let path = format!("/passthrough/{controller}/{endpoint}/abc");
                assert!(parse_path(&path).is_ok(), "{path}");
            }
        }
    }
}
